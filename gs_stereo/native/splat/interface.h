// The C interface of the CPU engine.
#pragma once

#include "../abi.h"

namespace gss {

struct Frame;

// A pinhole camera: cam_from_world, and its centre in the world.
struct Camera {
  float rotation[9], translation[3], centre[3];
  float fx, fy, cx, cy;
  int32_t width, height;
};

// The raw parameters of the Gaussians. sh_count: coefficients stored for each, sh_degree: the highest to use.
// channels: a multiple of three, as features are drawn like colours.
struct Cloud {
  int64_t count;
  const float* means;           // [count, 3]
  const float* quats_wxyz;      // [count, 4]
  const float* log_scales;      // [count, 3]
  const float* opacity_logits;  // [count]
  const float* sh;              // [count, sh_count, 3]
  int32_t sh_count, sh_degree;
  const float* features;  // [count, channels] or null
  int32_t channels;
};

struct Options {
  float near, eps2d, background[3];
  int32_t antialiased, threads;
};

// One cloud seen by `views` cameras of one size. same_depths: the cameras differ only by a move in their image plane
// (the eyes of a rig), so one depth order serves all. mask: pixels to draw; null = all. radii: for forward, half the box
// in which a Gaussian shows, 0 where it does not.
struct Render {
  int32_t views, height, width, same_depths;
  Frame* const* frames;  // [views]
  const Camera* cameras;
  Cloud cloud;
  Options options;
  const bool* mask;  // [views, height, width] or null
  float* radii;      // [views, cloud.count] or null
};

// Planar images of all views, or the gradients by them; null = absent.
struct Images {
  int32_t views, height, width, channels;
  float* rgb;                                    // [views, 3, height, width] or null
  float *alpha, *z_sum, *z2_sum, *median_depth;  // [views, height, width] or null
  float* features;                               // [views, channels, height, width] or null
};

// Where backward writes. features: zero at first. pose: the upper 3x4 of cam_from_world.
struct Gradients {
  int64_t count;
  int32_t views, sh_count, channels;
  float* means;                            // [count, 3]
  float* quats_wxyz;                       // [count, 4]
  float* log_scales;                       // [count, 3]
  float* opacity_logits;                   // [count]
  float* sh;                               // [count, sh_count, 3]
  float* features;                         // [count, channels] or null
  float *screen_signed, *screen_absolute;  // [views, count, 2] or null
  double* pose;                            // [views, 3, 4] or null
};

// mask: elsewhere the photo says nothing. gradient: of the value by `rendered`.
struct Loss {
  int32_t planes, height, width, threads;
  const float *rendered, *photo;  // [planes, height, width]
  float* gradient;                // [planes, height, width]
  const bool* mask;               // [height, width] or null
  float dssim_weight;
  double value;
};

// What is preferred of a rendered view, each term averaged over the pixels: alpha 1 where the mask is, 0 where the photo
// is cut out; a small relative variance of z; z near `depth` (NaN = unknown). by_...: gradients of the value.
struct Preferences {
  int32_t height, width, threads;
  const float *alpha, *z_sum, *z2_sum;   // [height, width]
  const float* depth;                    // [height, width] or null
  const bool *mask, *cut_out;            // [height, width] or null
  float *by_alpha, *by_z_sum, *by_z2_sum;  // [height, width]
  float alpha_weight, variance_weight, depth_weight;
  double value;
};

// One tensor of an optimizer step, a row a Gaussian. step_sizes: of the columns, learning rate / (1 - beta1^step).
struct AdamTensor {
  int64_t rows, row;
  float *parameter, *first, *second;  // [rows, row]
  const float* gradient;              // [rows, row]
  const float* step_sizes;            // [row]
};

// visible: rows to update; null = all. rows: of every tensor, if only some are updated. root_scale: 1 / sqrt(1 -
// beta2^step).
struct Adam {
  int32_t count, threads;
  const AdamTensor* tensors;
  float beta1, beta2, eps, root_scale;
  int64_t rows;
  const bool* visible;  // [rows] or null
};

// Memory that outlives a frame, for gradients; or a frame's.
struct Memory {
  int64_t bytes;
  void* address;
};

// For benchmarks. evaluations: (Gaussian, pixel) alphas of a frame before any pixel stops. multiply_adds: how many were
// run for `rounds`.
struct Work {
  const Frame* frame;
  int64_t rounds, evaluations, multiply_adds;
  int32_t lanes;
};

GS_EXPORT int32_t gs_frame_new(Memory* memory);
GS_EXPORT int32_t gs_memory_new(Memory* memory);
GS_EXPORT int32_t gs_memory_free(Memory* memory);
GS_EXPORT int32_t gs_forward(const Render* render, const Images* images);
GS_EXPORT int32_t gs_backward(const Render* render, const Images* images, const Images* by_images,
                              const Gradients* gradients);
GS_EXPORT int32_t gs_l1_dssim(Loss* loss);
GS_EXPORT int32_t gs_preferences(Preferences* preferences);
GS_EXPORT int32_t gs_adam(const Adam* step);
GS_EXPORT int32_t gs_measure(Work* work);

}  // namespace gss
