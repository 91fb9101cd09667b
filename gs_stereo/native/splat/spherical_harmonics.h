// Real spherical harmonics up to degree 3 in gsplat's order and sign, for one unit direction a lane.
//
// Polynomials after Sloan, "Efficient Spherical Harmonic Evaluation" (JCGT 2013).
#pragma once

#include "simd.h"

namespace gss {

constexpr int kMaxShCount = 16;

constexpr float kSh0 = 0.2820947917738781f;
constexpr float kSh1 = 0.48860251190292f;
constexpr float kSh2xy = 1.092548430592079f, kSh2z = 0.9461746957575601f, kSh2c = 0.3153915652525201f;
constexpr float kSh3a = 0.5900435899266435f, kSh3b = 1.445305721320277f, kSh3c = 2.285228997322329f;
constexpr float kSh3d = 0.4570457994644658f, kSh3e = 1.865881662950577f, kSh3f = 1.119528997770346f;

GSS_INLINE void sh_basis(int degree, F x, F y, F z, F* basis) {
  basis[0] = splat(kSh0);
  if (degree < 1) return;
  basis[1] = -kSh1 * y;
  basis[2] = kSh1 * z;
  basis[3] = -kSh1 * x;
  if (degree < 2) return;
  const F z2 = z * z, xy = 2.0f * x * y, x2_y2 = x * x - y * y;  // the sine and cosine of twice the azimuth
  basis[4] = 0.5f * kSh2xy * xy;
  basis[5] = -kSh2xy * y * z;
  basis[6] = kSh2z * z2 - kSh2c;
  basis[7] = -kSh2xy * x * z;
  basis[8] = 0.5f * kSh2xy * x2_y2;
  if (degree < 3) return;
  const F ring = kSh3d - kSh3c * z2;
  basis[9] = -kSh3a * (x * xy + y * x2_y2);
  basis[10] = kSh3b * z * xy;
  basis[11] = ring * y;
  basis[12] = z * (kSh3e * z2 - kSh3f);
  basis[13] = ring * x;
  basis[14] = kSh3b * z * x2_y2;
  basis[15] = -kSh3a * (x * x2_y2 - y * xy);
}

// The gradient of sum_k weights[k] basis[k] by the direction, as if x, y, z were independent.
GSS_INLINE void sh_gradient(int degree, F x, F y, F z, const F* weights, F* by_xyz) {
  const F* w = weights;
  F gx = splat(0), gy = gx, gz = gx;
  if (degree >= 1) {
    gx = -kSh1 * w[3];
    gy = -kSh1 * w[1];
    gz = kSh1 * w[2];
  }
  if (degree >= 2) {
    gx += kSh2xy * (y * w[4] - z * w[7] + x * w[8]);
    gy += kSh2xy * (x * w[4] - z * w[5] - y * w[8]);
    gz += 2.0f * kSh2z * z * w[6] - kSh2xy * (y * w[5] + x * w[7]);
  }
  if (degree >= 3) {
    const F xy = 2.0f * x * y, x2_y2 = x * x - y * y, ring = kSh3d - kSh3c * z * z;
    gx += -3.0f * kSh3a * (xy * w[9] + x2_y2 * w[15]) + 2.0f * kSh3b * z * (y * w[10] + x * w[14]) + ring * w[13];
    gy += -3.0f * kSh3a * (x2_y2 * w[9] - xy * w[15]) + 2.0f * kSh3b * z * (x * w[10] - y * w[14]) + ring * w[11];
    gz += kSh3b * (xy * w[10] + x2_y2 * w[14]) - 2.0f * kSh3c * z * (y * w[11] + x * w[13]) +
          (3.0f * kSh3e * z * z - kSh3f) * w[12];
  }
  by_xyz[0] = gx;
  by_xyz[1] = gy;
  by_xyz[2] = gz;
}

}  // namespace gss
