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

// Gradient by colour -> by SH and, through the view direction, by the mean (returned).
GSS_INLINE V3 colour_backward(const Camera& camera, const Cloud& cloud, const Shape& shape, const F* by_colour,
                              Rows rows, const Gradients& out) {
  const int used = (cloud.sh_degree + 1) * (cloud.sh_degree + 1), width = 3 * cloud.sh_count;
  F inverse_length, basis[kMaxShCount], weights[kMaxShCount], sh[3 * kMaxShCount];
  const V3 d = view_direction(camera, shape, inverse_length);
  sh_basis(cloud.sh_degree, d.x, d.y, d.z, basis);
  load_columns(cloud.sh, width, 3 * used, rows, sh);
  for (int k = 0; k < used; k++)
    weights[k] = sh[3 * k] * by_colour[0] + sh[3 * k + 1] * by_colour[1] + sh[3 * k + 2] * by_colour[2];
  for (int k = 0; k < cloud.sh_count; k++)
    for (int channel = 0; channel < 3; channel++)
      sh[3 * k + channel] = k < used ? basis[k] * by_colour[channel] : splat(0);
  store_columns(out.sh, width, width, rows, sh, out.accumulate);
  F by_direction[3];
  sh_gradient(cloud.sh_degree, d.x, d.y, d.z, weights, by_direction);
  const V3 by_d = {by_direction[0], by_direction[1], by_direction[2]};
  const F along = dot(by_d, d);
  return scaled({by_d.x - along * d.x, by_d.y - along * d.y, by_d.z - along * d.z}, inverse_length);
}

// The colours of a block as forward stored them.
GSS_INLINE void stored_colours(const Frame& frame, Rows rows, F* colours) {
  load_columns(&frame.splats[0].red, 16, 3, rows, colours);
}

GSS_INLINE void clear_block(const Cloud& cloud, Rows rows, const Gradients& out) {
  const size_t n = size_t(std::min<int64_t>(kLanes, rows.count - rows.first)), i = size_t(rows.first);
  if (!out.accumulate) {
    std::memset(out.means + 3 * i, 0, 12 * n);
    std::memset(out.quats + 4 * i, 0, 16 * n);
    std::memset(out.log_scales + 3 * i, 0, 12 * n);
    std::memset(out.opacity_logits + i, 0, 4 * n);
    std::memset(out.sh + 3 * cloud.sh_count * i, 0, 12 * cloud.sh_count * n);
  }
  if (out.screen_signed) std::memset(out.screen_signed + 2 * i, 0, 8 * n);
  if (out.screen_absolute) std::memset(out.screen_absolute + 2 * i, 0, 8 * n);
}

void block_backward(const Frame& frame, const Camera& camera, const Cloud& cloud, const Options& options, Rows rows,
                    const Gradients& out, PoseSums& pose_sums) {
  F extent;
  load_columns(&frame.splats[0].extent_x, 16, 1, rows, &extent);
  const M visible = both(less(splat(0), extent), in_range(rows));
  if (!any(visible)) return clear_block(cloud, rows, out);

  const Shape shape = load_shape(cloud, rows);
  const Posed posed = pose(camera, shape, options.near);
  const Screen s = to_screen(camera, posed, options.eps2d);
  const SplatGradients sums = sum_pairs(frame, rows);

  // Centre on screen: dalpha/dx = alpha (A dx + B dy), with (A, B, C) the inverse covariance.
  const F inverse_det = 1.0f / s.det;
  const F conic_a = s.yy * inverse_det, conic_b = -s.xy * inverse_det, conic_c = s.xx * inverse_det;
  const F by_x = keep(visible, conic_a * sums.gx + conic_b * sums.gy);
  const F by_y = keep(visible, conic_b * sums.gx + conic_c * sums.gy);
  if (out.screen_signed) {
    F columns[2] = {by_x, by_y};
    store_columns(out.screen_signed, 2, 2, rows, columns, false);
  }
  if (out.screen_absolute) {
    F columns[2] = {keep(visible, sums.absolute_x), keep(visible, sums.absolute_y)};
    store_columns(out.screen_absolute, 2, 2, rows, columns, false);
  }

  // Covariance: with u = Sigma^-1 d, dalpha/dSigma = alpha / 2 u u^T, and the pixel sums hold d d^T.
  const F p = conic_a * sums.gxx + conic_b * sums.gxy, q = conic_a * sums.gxy + conic_b * sums.gyy;
  const F r = conic_b * sums.gxx + conic_c * sums.gxy, t = conic_b * sums.gxy + conic_c * sums.gyy;
  F by_xx = 0.5f * (p * conic_a + q * conic_b);
  F by_xy = 0.5f * (p * conic_b + q * conic_c);  // each of the two equal entries
  F by_yy = 0.5f * (r * conic_b + t * conic_c);
  // Opacity: dalpha/d(log opacity) = alpha, and log opacity = log sigmoid(logit) + log compensation.
  F by_logit = sums.g * (1.0f - shape.opacity);
  if (options.antialiased) {
    const F by_log_sharp = keep(less(splat(0), s.det_sharp), 0.5f * sums.g / s.det_sharp);
    const F by_log_blurred = keep(less(splat(0), s.det_sharp), 0.5f * sums.g * inverse_det);
    by_xx += by_log_sharp * s.sharp_yy - by_log_blurred * s.yy;
    by_yy += by_log_sharp * s.sharp_xx - by_log_blurred * s.xx;
    by_xy -= (by_log_sharp - by_log_blurred) * s.xy;
  }
  by_xx = keep(visible, by_xx);
  by_xy = keep(visible, by_xy);
  by_yy = keep(visible, by_yy);
  by_logit = keep(visible, by_logit);

  // Through half = J W M to J and W M.
  F by_jx = splat(0), by_jxz = by_jx, by_jy = by_jx, by_jyz = by_jx, by_axes[9];
  for (int k = 0; k < 3; k++) {
    const F by_half_x = 2.0f * (by_xx * s.half[k] + by_xy * s.half[3 + k]);
    const F by_half_y = 2.0f * (by_xy * s.half[k] + by_yy * s.half[3 + k]);
    by_jx += by_half_x * posed.axes[k];
    by_jxz += by_half_x * posed.axes[6 + k];
    by_jy += by_half_y * posed.axes[3 + k];
    by_jyz += by_half_y * posed.axes[6 + k];
    by_axes[k] = s.jx * by_half_x;
    by_axes[3 + k] = s.jy * by_half_y;
    by_axes[6 + k] = s.jxz * by_half_x + s.jyz * by_half_y;
  }

  // Mean in the camera: jx = fx/z, jxz = -fx slope/z, screen x = fx x/z + cx, and z itself.
  const F iz = s.inverse_z, ux = posed.mean.x * iz, uy = posed.mean.y * iz;
  const F by_slope_x = keep(s.free_x, -s.jx * by_jxz), by_slope_y = keep(s.free_y, -s.jy * by_jyz);
  V3 by_camera_mean;
  by_camera_mean.x = iz * (camera.fx * by_x + by_slope_x);
  by_camera_mean.y = iz * (camera.fy * by_y + by_slope_y);
  by_camera_mean.z = keep(visible, sums.z) - ux * by_camera_mean.x - uy * by_camera_mean.y -
                     iz * (s.jx * by_jx + s.jxz * by_jxz + s.jy * by_jy + s.jyz * by_jyz);

  F colours[3], by_colour[3] = {sums.red, sums.green, sums.blue};
  stored_colours(frame, rows, colours);
  for (int k = 0; k < 3; k++) by_colour[k] = keep(both(visible, less(splat(0), colours[k])), by_colour[k]);
  const V3 by_direction = colour_backward(camera, cloud, shape, by_colour, rows, out);

  const float* const w = camera.rotation;
  F by_mean[3], by_scale[3], by_rotation[9], by_quat[4], by_m[9];
  const F direction[3] = {by_direction.x, by_direction.y, by_direction.z};
  for (int k = 0; k < 3; k++) {
    const F by_position = w[k] * by_camera_mean.x + w[3 + k] * by_camera_mean.y + w[6 + k] * by_camera_mean.z;
    by_mean[k] = keep(visible, direction[k] + by_position);
    for (int row = 0; row < 3; row++)
      by_m[3 * row + k] = w[row] * by_axes[k] + w[3 + row] * by_axes[3 + k] + w[6 + row] * by_axes[6 + k];
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

  if (out.pose) {
    const F mean[3] = {shape.mean.x, shape.mean.y, shape.mean.z};
    const F by_camera[3] = {by_camera_mean.x, by_camera_mean.y, by_camera_mean.z};
    for (int row = 0; row < 3; row++) {
      pose_sums.translation[row] += keep(visible, by_camera[row]);
      pose_sums.centre[row] += direction[row];
      for (int k = 0; k < 3; k++) {
        F part = by_camera[row] * mean[k];
        for (int c = 0; c < 3; c++) part += by_axes[3 * row + c] * shape.rotation[3 * k + c] * shape.scale[c];
        pose_sums.rotation[3 * row + k] += keep(visible, part);
      }
    }
  }
  store_columns(out.means, 3, 3, rows, by_mean, out.accumulate);
  store_columns(out.log_scales, 3, 3, rows, by_scale, out.accumulate);
  store_columns(out.quats, 4, 4, rows, by_quat, out.accumulate);
  store_columns(out.opacity_logits, 1, 1, rows, &by_logit, out.accumulate);
}

}  // namespace

void project_backward(Frame& frame, const Camera& camera, const Cloud& cloud, const Options& options,
                      const Gradients& out) {
  const int64_t chunks = (cloud.count + kChunk - 1) / kChunk;
  std::vector<float> partial(out.pose ? 15 * size_t(chunks) : 0);
#pragma omp parallel for schedule(static) num_threads(options.threads)
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    PoseSums sums = {};
    const int64_t end = std::min((chunk + 1) * kChunk, cloud.count);
    for (int64_t first = chunk * kChunk; first < end; first += kLanes) {
      prefetch_pairs(frame, first + kAhead);
      prefetch_rows(cloud.sh, 3 * cloud.sh_count, Rows{first + kAhead, cloud.count});
      block_backward(frame, camera, cloud, options, Rows{first, cloud.count}, out, sums);
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
