// Gaussians in space -> splats on screen, kLanes Gaussians at a time, and the gradients back.
//
// The local affine approximation of Zwicker et al. 2001 as used by Kerbl et al. 2023: with M = R(q) diag(s), camera
// rotation W and J the Jacobian of the perspective projection at the mean, the covariance on screen is
// (J W M)(J W M)^T + eps2d I. J is evaluated at the mean clamped to 1.3 times the field of view. In antialiased mode
// the opacity is scaled by sqrt(det before blur / det after blur) (Yu et al. 2024). Activations live here:
// scale = exp(log_scale), opacity = sigmoid(logit), colour = max(0, SH + 1/2).
// Parameters are checked for NaN and infinity on the way.

#include <algorithm>

#include "columns.h"
#include "engine.h"
#include "spherical_harmonics.h"

namespace gss {
namespace {

constexpr float kFrustumMargin = 0.3f;
constexpr int64_t kAhead = 2 * kLanes;  // how far ahead to prefetch
constexpr int64_t kChunk = 1024;  // Gaussians a task; also the unit of the pose gradient's fixed summation order

struct V3 {
  F x, y, z;
};
GSS_INLINE F dot(V3 a, V3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
GSS_INLINE V3 scaled(V3 a, F factor) { return {a.x * factor, a.y * factor, a.z * factor}; }

GSS_INLINE M in_range(Rows rows) { return less(lane_index(), splat(float(std::min<int64_t>(kLanes, rows.count - rows.first)))); }

// What does not depend on the camera.
struct Shape {
  V3 mean;
  F quat[4], inverse_norm;  // unit quaternion
  F rotation[9], scale[3];
  F opacity;
};

GSS_INLINE Shape load_shape(const Cloud& cloud, Rows rows) {
  Shape shape;
  F columns[4];
  load_columns(cloud.means, 3, 3, rows, columns);
  shape.mean = {columns[0], columns[1], columns[2]};
  load_columns(cloud.log_scales, 3, 3, rows, columns);
  for (int k = 0; k < 3; k++) shape.scale[k] = exp(columns[k]);
  load_columns(cloud.opacity_logits, 1, 1, rows, columns);
  shape.opacity = 1.0f / (1.0f + exp(-columns[0]));
  load_columns(cloud.quats, 4, 4, rows, columns);
  const F squared = columns[0] * columns[0] + columns[1] * columns[1] + columns[2] * columns[2] + columns[3] * columns[3];
  const M not_zero = less(splat(0), squared);
  shape.inverse_norm = keep(not_zero, 1.0f / sqrt(select(not_zero, squared, splat(1))));
  for (int k = 0; k < 4; k++) shape.quat[k] = columns[k] * shape.inverse_norm;
  const F w = shape.quat[0], x = shape.quat[1], y = shape.quat[2], z = shape.quat[3];
  F* const r = shape.rotation;
  r[0] = 1.0f - 2.0f * (y * y + z * z);
  r[1] = 2.0f * (x * y - w * z);
  r[2] = 2.0f * (x * z + w * y);
  r[3] = 2.0f * (x * y + w * z);
  r[4] = 1.0f - 2.0f * (x * x + z * z);
  r[5] = 2.0f * (y * z - w * x);
  r[6] = 2.0f * (x * z - w * y);
  r[7] = 2.0f * (y * z + w * x);
  r[8] = 1.0f - 2.0f * (x * x + y * y);
  return shape;
}

// Means and axes in the camera's orientation: the same for both eyes of a rig, apart from the mean's x.
struct Posed {
  V3 mean;      // in the camera
  F axes[9];    // W M
  M in_front;   // z > near; elsewhere the mean is replaced by (0, 0, 1)
};

GSS_INLINE Posed pose(const Camera& camera, const Shape& shape, float near) {
  const float* const r = camera.rotation;
  const V3 m = shape.mean;
  Posed posed;
  F mean[3];
  for (int row = 0; row < 3; row++) {
    mean[row] = r[3 * row] * m.x + r[3 * row + 1] * m.y + r[3 * row + 2] * m.z + camera.translation[row];
    for (int k = 0; k < 3; k++)
      posed.axes[3 * row + k] = (r[3 * row] * shape.rotation[k] + r[3 * row + 1] * shape.rotation[3 + k] +
                                 r[3 * row + 2] * shape.rotation[6 + k]) * shape.scale[k];
  }
  posed.in_front = less(splat(near), mean[2]);
  posed.mean = {keep(posed.in_front, mean[0]), keep(posed.in_front, mean[1]), select(posed.in_front, mean[2], splat(1))};
  return posed;
}

// The covariance on screen and what its gradient needs.
struct Screen {
  F inverse_z, slope_x, slope_y;     // x/z and y/z, clamped
  M free_x, free_y;                  // where they are not clamped
  F jx, jxz, jy, jyz;                // entries of J
  F half[6];                         // J W M, rows x and y
  F sharp_xx, xy, sharp_yy, xx, yy;  // covariance without and with eps2d
  F det_sharp, det;
};

GSS_INLINE Screen to_screen(const Camera& camera, const Posed& posed, float eps2d) {
  Screen s;
  s.inverse_z = 1.0f / posed.mean.z;
  const F ux = posed.mean.x * s.inverse_z, uy = posed.mean.y * s.inverse_z;
  const float margin_x = kFrustumMargin * 0.5f * camera.width / camera.fx;
  const float margin_y = kFrustumMargin * 0.5f * camera.height / camera.fy;
  s.slope_x = clamp(ux, splat(-camera.cx / camera.fx - margin_x), splat((camera.width - camera.cx) / camera.fx + margin_x));
  s.slope_y = clamp(uy, splat(-camera.cy / camera.fy - margin_y), splat((camera.height - camera.cy) / camera.fy + margin_y));
  s.free_x = both(less_equal(s.slope_x, ux), less_equal(ux, s.slope_x));
  s.free_y = both(less_equal(s.slope_y, uy), less_equal(uy, s.slope_y));
  s.jx = camera.fx * s.inverse_z;
  s.jxz = -s.jx * s.slope_x;
  s.jy = camera.fy * s.inverse_z;
  s.jyz = -s.jy * s.slope_y;
  for (int k = 0; k < 3; k++) {
    s.half[k] = s.jx * posed.axes[k] + s.jxz * posed.axes[6 + k];
    s.half[3 + k] = s.jy * posed.axes[3 + k] + s.jyz * posed.axes[6 + k];
  }
  const F* const h = s.half;
  s.sharp_xx = h[0] * h[0] + h[1] * h[1] + h[2] * h[2];
  s.xy = h[0] * h[3] + h[1] * h[4] + h[2] * h[5];
  s.sharp_yy = h[3] * h[3] + h[4] * h[4] + h[5] * h[5];
  s.xx = s.sharp_xx + eps2d;
  s.yy = s.sharp_yy + eps2d;
  s.det_sharp = s.sharp_xx * s.sharp_yy - s.xy * s.xy;
  s.det = s.xx * s.yy - s.xy * s.xy;
  return s;
}

GSS_INLINE F compensation(const Screen& s) { return sqrt(max(s.det_sharp / s.det, splat(0))); }

// Unit vector from the camera centre to the mean, and one over its length.
GSS_INLINE V3 view_direction(const Camera& camera, const Shape& shape, F& inverse_length) {
  const V3 d = {shape.mean.x - camera.centre[0], shape.mean.y - camera.centre[1], shape.mean.z - camera.centre[2]};
  inverse_length = 1.0f / sqrt(max(dot(d, d), splat(1e-24f)));
  return scaled(d, inverse_length);
}

// True if all `count` floats are finite.
GSS_INLINE bool finite(const float* values, int64_t count) {
  F largest = splat(0);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) largest = max_magnitude(largest, load(values + i));
  bool rest = true;
  for (; i < count; i++) rest &= std::isfinite(values[i]);
  return all(finite_lanes(largest)) && rest;
}

GSS_INLINE int32_t check(const Cloud& cloud, int64_t first, int64_t count) {
  int32_t bad = kOk;
  if (!finite(cloud.means + 3 * first, 3 * count)) bad |= kBadMeans;
  if (!finite(cloud.quats + 4 * first, 4 * count)) bad |= kBadQuats;
  if (!finite(cloud.log_scales + 3 * first, 3 * count)) bad |= kBadLogScales;
  if (!finite(cloud.opacity_logits + first, count)) bad |= kBadOpacities;
  if (!finite(cloud.sh + 3 * cloud.sh_count * first, 3 * cloud.sh_count * count)) bad |= kBadSh;
  return bad;
}

// Writes the splats of one block for one camera, without colour. Returns the visible lanes.
GSS_INLINE M write_splats(const Camera& camera, const Options& options, const Shape& shape, const Posed& posed,
                          Rows rows, Splat* splats, float* radii) {
  const Screen s = to_screen(camera, posed, options.eps2d);
  const F x = s.jx * posed.mean.x + camera.cx, y = s.jy * posed.mean.y + camera.cy;
  const F opacity = options.antialiased ? shape.opacity * compensation(s) : shape.opacity;
  M visible = both(both(posed.in_front, in_range(rows)), less_equal(splat(kAlphaMin), opacity));
  visible = both(visible, both(less(splat(0), s.det), finite_lanes(s.det)));  // positive, finite
  const F log2_opacity = log2(max(opacity, splat(kAlphaMin)));
  // alpha >= 1/255 where the Mahalanobis distance squared is under `reach`.
  const F reach = max((log2_opacity - kLog2AlphaMin) * (2.0f / kLog2E), splat(0));
  const F extent_x = sqrt(reach * s.xx), extent_y = sqrt(reach * s.yy);
  visible = both(visible, both(less(splat(0), x + extent_x), less(x - extent_x, splat(float(camera.width)))));
  visible = both(visible, both(less(splat(0), y + extent_y), less(y - extent_y, splat(float(camera.height)))));

  const F inverse_det = 1.0f / s.det;
  const F scale = -0.5f * kLog2E * inverse_det;  // exponents are in powers of two
  F columns[16] = {x, y, scale * s.yy, -2.0f * scale * s.xy, scale * s.xx, log2_opacity, splat(0), splat(0), splat(0),
                   posed.mean.z, keep(visible, extent_x), keep(visible, extent_y),
                   0.25f * kLog2E * kLog2E * inverse_det, splat(0), splat(0), splat(0)};
  store_columns(&splats[0].x, 16, 16, rows, columns, false);
  F radius = keep(visible, max(extent_x, extent_y));
  store_columns(radii, 1, 1, rows, &radius, false);
  return visible;
}

GSS_INLINE void write_colours(const Camera& camera, const Cloud& cloud, const Shape& shape, const F* sh, Rows rows,
                              Splat* splats) {
  F inverse_length, basis[kMaxShCount];
  const V3 d = view_direction(camera, shape, inverse_length);
  sh_basis(cloud.sh_degree, d.x, d.y, d.z, basis);
  const int used = (cloud.sh_degree + 1) * (cloud.sh_degree + 1);
  F colour[3] = {splat(0.5f), splat(0.5f), splat(0.5f)};
  for (int k = 0; k < used; k++)
    for (int channel = 0; channel < 3; channel++) colour[channel] += basis[k] * sh[3 * k + channel];
  for (F& channel : colour) channel = max(channel, splat(0));
  store_columns(&splats[0].red, 16, 3, rows, colour, false);
}

int32_t project_chunk(Frame* const* frames, const Camera* cameras, int views, const Cloud& cloud,
                      const Options& options, float* const* radii, int64_t begin, int64_t end) {
  const int width = 3 * (cloud.sh_degree + 1) * (cloud.sh_degree + 1);
  for (int64_t first = begin; first < end; first += kLanes) {
    const Rows rows{first, cloud.count};
    prefetch_rows(cloud.sh, 3 * cloud.sh_count, Rows{first + kAhead, cloud.count});
    const Shape shape = load_shape(cloud, rows);
    F sh[3 * kMaxShCount];
    bool loaded = false;
    for (int v = 0; v < views; v++) {
      const Posed posed = pose(cameras[v], shape, options.near);
      const M visible = write_splats(cameras[v], options, shape, posed, rows, frames[v]->splats.data(), radii[v]);
      if (!any(visible)) continue;
      if (!loaded) load_columns(cloud.sh, 3 * cloud.sh_count, width, rows, sh);
      loaded = true;
      write_colours(cameras[v], cloud, shape, sh, rows, frames[v]->splats.data());
    }
  }
  return check(cloud, begin, end - begin);
}

}  // namespace

int32_t project(Frame* const* frames, const Camera* cameras, int views, const Cloud& cloud, const Options& options,
                float* const* radii) {
  for (int v = 0; v < views; v++) {
    Frame& frame = *frames[v];
    frame.count = cloud.count;
    frame.width = cameras[v].width;
    frame.height = cameras[v].height;
    frame.tiles_x = (frame.width + kTileWidth - 1) / kTileWidth;
    frame.tiles_y = (frame.height + kTileHeight - 1) / kTileHeight;
    frame.splats.resize(cloud.count);
    frame.has_feature_moments = false;
  }
  const int64_t chunks = (cloud.count + kChunk - 1) / kChunk;
  int32_t bad = kOk;
#pragma omp parallel for schedule(static) num_threads(options.threads) reduction(| : bad)
  for (int64_t chunk = 0; chunk < chunks; chunk++)
    bad |= project_chunk(frames, cameras, views, cloud, options, radii, chunk * kChunk,
                         std::min((chunk + 1) * kChunk, cloud.count));
  return bad;
}

// --- backward -------------------------------------------------------------------------------------------------

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
