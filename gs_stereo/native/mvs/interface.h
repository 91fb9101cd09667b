// The C interface of the multi-view kernels.
#pragma once

#include "../abi.h"

// Another image. quads: a pixel, its right, lower and lower right neighbour in the bytes of one word, lowest byte first.
// The array coordinates of a left pixel (x, y) at inverse depth w are those of rotation * (x, y, 1) + w * shift.
struct View {
  const uint32_t* quads;  // [height, width]
  int32_t width, height;
  float rotation[9], shift[3];
};

// A left image and its views. rgb: for the weights. gray: what is compared.
struct Sweep {
  const uint8_t* rgb;   // [height, width, 3]
  const uint8_t* gray;  // [height, width]
  int32_t width, height;
  const View* views;
  int32_t view_count;
  float noise_variance, missing_cost;
  int32_t threads;
};

// pixels: indices row * width + column. planes: w, w_x, w_y. cost: of the best views. by_view: NaN where a view does not
// see the pixel. samples: window offsets (dx, dy). colour_weights: by the largest channel difference.
struct Patches {
  int64_t count;
  int32_t view_count;
  const int32_t* pixels;        // [count]
  const float* planes;          // [3, count]
  float* cost;                  // [count]
  float* by_view;               // [view_count, count]
  const int32_t* samples;       // [sample_count, 2]
  const float* sample_weights;  // [sample_count]
  const float* colour_weights;  // [256]
  int32_t sample_count, best_views;
};

// inverse_depths: of `count` planes. costs: the mean over the `best_views` best views of 1 - correlation, at most the
// missing cost, which also stands for a view that does not see the pixel.
struct Planes {
  const float* inverse_depths;  // [count]
  float* costs;                 // [height, width, count]
  int32_t width, height, count, radius, best_views;
};

// gray: a guide. The penalty of a jump is the large one where the guide is flat and falls to the small one at edges:
// small + (large - small) * exp(-|difference| / edge_levels).
struct Volume {
  const float* costs;   // [height, width, count]
  const uint8_t* gray;  // [height, width]
  float* total;         // [height, width, count]
  int32_t width, height, count;
  float small_jump, large_jump, edge_levels;
  int32_t threads;
};

GS_EXPORT int32_t gs_patch_costs(const Sweep* sweep, const Patches* patches);
GS_EXPORT int32_t gs_plane_costs(const Sweep* sweep, const Planes* planes);
GS_EXPORT int32_t gs_aggregate(const Volume* volume);
