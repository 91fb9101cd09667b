// The geometry of projection, kLanes Gaussians at a time: shared by its forward and its backward half.
//
// The local affine approximation of Zwicker et al. 2001 as used by Kerbl et al. 2023: with M = R(q) diag(s), camera
// rotation W and J the Jacobian of the perspective projection at the mean, the covariance on screen is
// (J W M)(J W M)^T + eps2d I. J is evaluated at the mean clamped to 1.3 times the field of view. In antialiased mode
// the opacity is scaled by sqrt(det before blur / det after blur) (Yu et al. 2024). Activations live here:
// scale = exp(log_scale), opacity = sigmoid(logit).
#pragma once

#include <algorithm>

#include "columns.h"
#include "engine.h"
#include "spherical_harmonics.h"

namespace gss {

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
  load_columns(cloud.quats_wxyz, 4, 4, rows, columns);
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

}  // namespace gss
