// Gradients by the splats -> gradients by the Gaussians and by the camera's pose: projection.cpp in reverse, for one
// block of Gaussians at a time. The sums of a Gaussian's pairs are added up here, in the order of their slots.

#include "projection.h"

namespace gss {
namespace {

// Sums of the pose gradient: by the 9 + 3 entries of cam_from_world, and by the camera centre (negated).
struct PoseSums {
  F rotation[9], translation[3], centre[3];
};

// The gradients by a block of splats: sums over each Gaussian's pairs, in the order of the pairs.
struct SplatGradients {
  F g, gx, gy, gxx, gxy, gyy;
  F red, green, blue, z;
  F absolute_x, absolute_y;
};

GSS_INLINE SplatGradients sum_pairs(const Frame& frame, Rows rows) {
  alignas(64) float sums[kLanes][16] = {};
  for (int lane = 0; lane < kLanes; lane++) {
    if (rows.first + lane >= rows.count) break;
    const int64_t i = rows.first + lane;
    if (!(frame.splats[i].extent_x > 0)) continue;
    const PairGradient* const pairs = frame.pair_gradients.data() + frame.first_slot[i];
    F4 a = {}, b = {}, c = {};
    for (uint32_t k = 0; k < frame.pairs_of[i]; k++) {
      const float* const from = &pairs[k].g;
      a += load4(from);
      b += load4(from + 4);
      c += load4(from + 8);
    }
    if (frame.has_feature_moments) {
      const float* const from = &frame.feature_moments[8 * i];
      a += load4(from);
      b += F4{from[4], from[5], 0, 0};
      c += F4{0, 0, from[6], from[7]};
    }
    store4(sums[lane], a);
    store4(sums[lane] + 4, b);
    store4(sums[lane] + 8, c);
  }
  F columns[16];
  load_columns(&sums[0][0], 16, 16, Rows{0, kLanes}, columns);
  SplatGradients gradients;
  std::memcpy(&gradients, columns, sizeof gradients);
  return gradients;
}

// The sums of a block lie scattered in memory.
GSS_INLINE void prefetch_pairs(const Frame& frame, int64_t first) {
  for (int64_t i = first; i < std::min(first + kLanes, frame.count); i++) {
    if (!(frame.splats[i].extent_x > 0)) continue;
    const char* const sums = reinterpret_cast<const char*>(frame.pair_gradients.data() + frame.first_slot[i]);
    const size_t bytes = std::min<size_t>(frame.pairs_of[i], 4) * sizeof(PairGradient);
    for (size_t at = 0; at < bytes; at += kCacheLine) __builtin_prefetch(sums + at);
  }
}

GSS_INLINE void quaternion_gradient(const Shape& shape, const F* by_rotation, F* by_quat) {
  const F w = shape.quat[0], x = shape.quat[1], y = shape.quat[2], z = shape.quat[3];
  const F* const v = by_rotation;
  F unit[4];
  unit[0] = 2.0f * (x * (v[7] - v[5]) + y * (v[2] - v[6]) + z * (v[3] - v[1]));
  unit[1] = 2.0f * (-2.0f * x * (v[4] + v[8]) + y * (v[1] + v[3]) + z * (v[2] + v[6]) + w * (v[7] - v[5]));
  unit[2] = 2.0f * (x * (v[1] + v[3]) - 2.0f * y * (v[0] + v[8]) + z * (v[5] + v[7]) + w * (v[2] - v[6]));
  unit[3] = 2.0f * (x * (v[2] + v[6]) + y * (v[5] + v[7]) - 2.0f * z * (v[0] + v[4]) + w * (v[3] - v[1]));
  const F along = unit[0] * w + unit[1] * x + unit[2] * y + unit[3] * z;
  for (int k = 0; k < 4; k++) by_quat[k] = (unit[k] - along * shape.quat[k]) * shape.inverse_norm;
}

// One block of Gaussians in one view, whose gradients are added to `out` or replace what is there.
struct Block {
  const Frame& frame;
  const Camera& camera;
  const Cloud& cloud;
  const Options& options;
  const Gradients& out;
  bool accumulate;
  Rows rows;
};

GSS_INLINE void clear(const Block& block) {
  const Gradients& out = block.out;
  const size_t i = size_t(block.rows.first), n = size_t(std::min<int64_t>(kLanes, block.rows.count - block.rows.first));
  if (!block.accumulate) {
    std::memset(out.means + 3 * i, 0, 12 * n);
    std::memset(out.quats_wxyz + 4 * i, 0, 16 * n);
    std::memset(out.log_scales + 3 * i, 0, 12 * n);
    std::memset(out.opacity_logits + i, 0, 4 * n);
    std::memset(out.sh + 3 * out.sh_count * i, 0, 12 * out.sh_count * n);
  }
  if (out.screen_signed) std::memset(out.screen_signed + 2 * i, 0, 8 * n);
  if (out.screen_absolute) std::memset(out.screen_absolute + 2 * i, 0, 8 * n);
}

// Gradients by a splat's centre, by its covariance (xy: by each of the two equal entries), and by the opacity's logit.
struct ByScreen {
  F x, y, xx, xy, yy, logit;
};

GSS_INLINE ByScreen by_screen(const Block& block, const Shape& shape, const Screen& s, const SplatGradients& sums,
                              M visible) {
  ByScreen by;
  // Centre: dalpha/dx = alpha (A dx + B dy), with (A, B, C) the inverse covariance.
  const F inverse_det = 1.0f / s.det;
  const F conic_a = s.yy * inverse_det, conic_b = -s.xy * inverse_det, conic_c = s.xx * inverse_det;
  by.x = keep(visible, conic_a * sums.gx + conic_b * sums.gy);
  by.y = keep(visible, conic_b * sums.gx + conic_c * sums.gy);
  // Covariance: with u = Sigma^-1 d, dalpha/dSigma = alpha / 2 u u^T, and the pixel sums hold d d^T.
  const F p = conic_a * sums.gxx + conic_b * sums.gxy, q = conic_a * sums.gxy + conic_b * sums.gyy;
  const F r = conic_b * sums.gxx + conic_c * sums.gxy, t = conic_b * sums.gxy + conic_c * sums.gyy;
  by.xx = 0.5f * (p * conic_a + q * conic_b);
  by.xy = 0.5f * (p * conic_b + q * conic_c);
  by.yy = 0.5f * (r * conic_b + t * conic_c);
  // Opacity: dalpha/d(log opacity) = alpha, and log opacity = log sigmoid(logit) + log compensation.
  by.logit = keep(visible, sums.g * (1.0f - shape.opacity));
  if (block.options.antialiased) {
    const F by_log_sharp = keep(less(splat(0), s.det_sharp), 0.5f * sums.g / s.det_sharp);
    const F by_log_blurred = keep(less(splat(0), s.det_sharp), 0.5f * sums.g * inverse_det);
    by.xx += by_log_sharp * s.sharp_yy - by_log_blurred * s.yy;
    by.yy += by_log_sharp * s.sharp_xx - by_log_blurred * s.xx;
    by.xy -= (by_log_sharp - by_log_blurred) * s.xy;
  }
  by.xx = keep(visible, by.xx);
  by.xy = keep(visible, by.xy);
  by.yy = keep(visible, by.yy);
  return by;
}

// Gradients by the mean and the axes in the camera's orientation.
struct ByPosed {
  V3 mean;
  F axes[9];
};

// Through half = J W M to J and W M, and through J to the mean.
GSS_INLINE ByPosed by_posed(const Camera& camera, const Posed& posed, const Screen& s, const ByScreen& by, F by_z) {
  ByPosed result;
  F by_jx = splat(0), by_jxz = by_jx, by_jy = by_jx, by_jyz = by_jx;
  for (int k = 0; k < 3; k++) {
    const F by_half_x = 2.0f * (by.xx * s.half[k] + by.xy * s.half[3 + k]);
    const F by_half_y = 2.0f * (by.xy * s.half[k] + by.yy * s.half[3 + k]);
    by_jx += by_half_x * posed.axes[k];
    by_jxz += by_half_x * posed.axes[6 + k];
    by_jy += by_half_y * posed.axes[3 + k];
    by_jyz += by_half_y * posed.axes[6 + k];
    result.axes[k] = s.jx * by_half_x;
    result.axes[3 + k] = s.jy * by_half_y;
    result.axes[6 + k] = s.jxz * by_half_x + s.jyz * by_half_y;
  }
  // jx = fx/z, jxz = -fx slope/z, screen x = fx x/z + cx, and z itself.
  const F iz = s.inverse_z, ux = posed.mean.x * iz, uy = posed.mean.y * iz;
  const F by_slope_x = keep(s.free_x, -s.jx * by_jxz), by_slope_y = keep(s.free_y, -s.jy * by_jyz);
  V3& mean = result.mean;
  mean.x = iz * (camera.fx * by.x + by_slope_x);
  mean.y = iz * (camera.fy * by.y + by_slope_y);
  mean.z = by_z - ux * mean.x - uy * mean.y - iz * (s.jx * by_jx + s.jxz * by_jxz + s.jy * by_jy + s.jyz * by_jyz);
  return result;
}

// Gradient by colour -> by SH, which is stored, and by the mean through the view direction (returned).
GSS_INLINE V3 colour_backward(const Block& block, const Shape& shape, const SplatGradients& sums, M visible) {
  const Cloud& cloud = block.cloud;
  F stored[3], by_colour[3] = {sums.red, sums.green, sums.blue};
  load_columns(&block.frame.splats[0].red, 16, 3, block.rows, stored);
  for (int k = 0; k < 3; k++) by_colour[k] = keep(both(visible, less(splat(0), stored[k])), by_colour[k]);

  const int used = (cloud.sh_degree + 1) * (cloud.sh_degree + 1), width = 3 * cloud.sh_count;
  F inverse_length, basis[kMaxShCount], weights[kMaxShCount], sh[3 * kMaxShCount];
  const V3 d = view_direction(block.camera, shape, inverse_length);
  sh_basis(cloud.sh_degree, d.x, d.y, d.z, basis);
  load_columns(cloud.sh, width, 3 * used, block.rows, sh);
  for (int k = 0; k < used; k++)
    weights[k] = sh[3 * k] * by_colour[0] + sh[3 * k + 1] * by_colour[1] + sh[3 * k + 2] * by_colour[2];
  for (int k = 0; k < cloud.sh_count; k++)
    for (int channel = 0; channel < 3; channel++)
      sh[3 * k + channel] = k < used ? basis[k] * by_colour[channel] : splat(0);
  store_columns(block.out.sh, width, width, block.rows, sh, block.accumulate);
  F by_direction[3];
  sh_gradient(cloud.sh_degree, d.x, d.y, d.z, weights, by_direction);
  const V3 by_d = {by_direction[0], by_direction[1], by_direction[2]};
  const F along = dot(by_d, d);
  return scaled({by_d.x - along * d.x, by_d.y - along * d.y, by_d.z - along * d.z}, inverse_length);
}

// From the camera's orientation to means, scales and rotations, which are stored.
GSS_INLINE void shape_backward(const Block& block, const Shape& shape, const ByPosed& by, const F* by_direction,
                               M visible) {
  const float* const w = block.camera.rotation;
  F by_mean[3], by_scale[3], by_rotation[9], by_quat[4], by_m[9];
  for (int k = 0; k < 3; k++) {
    const F by_position = w[k] * by.mean.x + w[3 + k] * by.mean.y + w[6 + k] * by.mean.z;
    by_mean[k] = keep(visible, by_direction[k] + by_position);
    for (int row = 0; row < 3; row++)
      by_m[3 * row + k] = w[row] * by.axes[k] + w[3 + row] * by.axes[3 + k] + w[6 + row] * by.axes[6 + k];
  }
  for (int k = 0; k < 3; k++) {
    F by_axis = splat(0);
    for (int row = 0; row < 3; row++) {
      by_axis += shape.rotation[3 * row + k] * by_m[3 * row + k];
      by_rotation[3 * row + k] = by_m[3 * row + k] * shape.scale[k];
    }
    by_scale[k] = keep(visible, by_axis * shape.scale[k]);  // by the log
  }
  quaternion_gradient(shape, by_rotation, by_quat);
  for (F& part : by_quat) part = keep(visible, part);
  store_columns(block.out.means, 3, 3, block.rows, by_mean, block.accumulate);
  store_columns(block.out.log_scales, 3, 3, block.rows, by_scale, block.accumulate);
  store_columns(block.out.quats_wxyz, 4, 4, block.rows, by_quat, block.accumulate);
}

GSS_INLINE void add_to_pose(PoseSums& sums, const Shape& shape, const ByPosed& by, const F* by_direction, M visible) {
  const F mean[3] = {shape.mean.x, shape.mean.y, shape.mean.z}, by_mean[3] = {by.mean.x, by.mean.y, by.mean.z};
  for (int row = 0; row < 3; row++) {
    sums.translation[row] += keep(visible, by_mean[row]);
    sums.centre[row] += by_direction[row];
    for (int k = 0; k < 3; k++) {
      F part = by_mean[row] * mean[k];
      for (int c = 0; c < 3; c++) part += by.axes[3 * row + c] * shape.rotation[3 * k + c] * shape.scale[c];
      sums.rotation[3 * row + k] += keep(visible, part);
    }
  }
}

void block_backward(const Block& block, PoseSums& pose_sums) {
  const Gradients& out = block.out;
  F extent;
  load_columns(&block.frame.splats[0].extent_x, 16, 1, block.rows, &extent);
  const M visible = both(less(splat(0), extent), in_range(block.rows));
  if (!any(visible)) return clear(block);

  const Shape shape = load_shape(block.cloud, block.rows);
  const Posed posed = pose(block.camera, shape, block.options.near);
  const Screen screen = to_screen(block.camera, posed, block.options.eps2d);
  const SplatGradients sums = sum_pairs(block.frame, block.rows);
  ByScreen by = by_screen(block, shape, screen, sums, visible);
  store_columns(out.opacity_logits, 1, 1, block.rows, &by.logit, block.accumulate);
  if (out.screen_signed) {
    F columns[2] = {by.x, by.y};
    store_columns(out.screen_signed, 2, 2, block.rows, columns, false);
  }
  if (out.screen_absolute) {
    F columns[2] = {keep(visible, sums.absolute_x), keep(visible, sums.absolute_y)};
    store_columns(out.screen_absolute, 2, 2, block.rows, columns, false);
  }
  const ByPosed by_pose = by_posed(block.camera, posed, screen, by, keep(visible, sums.z));
  const V3 towards = colour_backward(block, shape, sums, visible);
  const F by_direction[3] = {towards.x, towards.y, towards.z};
  shape_backward(block, shape, by_pose, by_direction, visible);
  if (out.pose) add_to_pose(pose_sums, shape, by_pose, by_direction, visible);
}

// Part of a view of the gradients that lies behind those of the views before.
Gradients view_of(Gradients gradients, int view) {
  if (gradients.screen_signed) gradients.screen_signed += 2 * gradients.count * view;
  if (gradients.screen_absolute) gradients.screen_absolute += 2 * gradients.count * view;
  if (gradients.pose) gradients.pose += 12 * view;
  return gradients;
}

}  // namespace

void project_backward(const Frame& frame, const Render& render, int view, const Gradients& gradients) {
  const Camera& camera = render.cameras[view];
  const Cloud& cloud = render.cloud;
  const Gradients out = view_of(gradients, view);
  const int64_t chunks = (cloud.count + kChunk - 1) / kChunk;
  std::vector<float> partial(out.pose ? 15 * size_t(chunks) : 0);
#pragma omp parallel for schedule(static) num_threads(render.options.threads)
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    PoseSums sums = {};
    const int64_t end = std::min((chunk + 1) * kChunk, cloud.count);
    for (int64_t first = chunk * kChunk; first < end; first += kLanes) {
      prefetch_pairs(frame, first + kAhead);
      const Rows ahead{first + kAhead, cloud.count};
      prefetch_rows(cloud.sh, 3 * cloud.sh_count, ahead);
      prefetch_rows<true>(out.sh, 3 * cloud.sh_count, ahead);
      prefetch_rows<true>(out.means, 3, ahead);
      prefetch_rows<true>(out.log_scales, 3, ahead);
      prefetch_rows<true>(out.quats_wxyz, 4, ahead);
      prefetch_rows<true>(out.opacity_logits, 1, ahead);
      block_backward({frame, camera, cloud, render.options, out, view > 0, Rows{first, cloud.count}}, sums);
    }
    if (out.pose)
      for (int k = 0; k < 15; k++) partial[15 * chunk + k] = sum((&sums.rotation[0])[k]);
  }
  if (!out.pose) return;
  double total[15] = {};
  for (int64_t chunk = 0; chunk < chunks; chunk++)
    for (int k = 0; k < 15; k++) total[k] += partial[15 * chunk + k];
  // centre = -W^T t, so the part through the view direction goes to W and t.
  for (int row = 0; row < 3; row++) {
    double by_t = total[9 + row];
    for (int k = 0; k < 3; k++) {
      out.pose[4 * row + k] = total[3 * row + k] + camera.translation[row] * total[12 + k];
      by_t += camera.rotation[3 * row + k] * total[12 + k];
    }
    out.pose[4 * row + 3] = by_t;
  }
}

}  // namespace gss
