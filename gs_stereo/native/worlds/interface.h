// The C interface of the light along rays.
#pragma once

#include "../abi.h"

// A world and how the direction of a ray changes from sample to sample. texels: an RGB image. starts: x of every
// texture's every mip level, then y. linear: light of the byte values. place: of the lamp, or the unit direction to it
// if `far`.
struct World {
  const float* corner_uv;       // [2, triangles]
  const float* steps_uv;        // [4, triangles]
  const float* slope;           // [6, triangles]
  const float* normal;          // [3, triangles]
  const float* corner_normals;  // [9, triangles]
  const float* material;        // [5, pieces]
  const int32_t* piece;         // [triangles]
  int64_t triangles, pieces;
  const uint8_t* texels;  // [rows, columns, 3]
  int64_t rows, columns;
  const float* starts;  // [2, boxes]
  const float* linear;  // [256]
  int32_t tiles, levels, boxes, side, far;
  float place[3], lamp[3], sky[3], floor[3], reach;
  float right[3], down[3];
};

// rays: origin and direction. t, triangle, uv: what they hit, as `RayHits`. light: first the texture's, then the
// surface's. shadow_rays: from the hits `shadow_of` towards the lamp, `shadows` of them. reached: where the surface
// glows, else, for the second pass, whether the lamp reaches it.
struct Rays {
  int64_t count, shadows;
  const float* rays;        // [count, 6]
  const float* t;           // [count]
  const float* uv;          // [count, 2]
  const int32_t* triangle;  // [count]
  float *light, *normal;    // [count, 3]
  float* shadow_rays;       // [count, 6]
  bool* reached;            // [count]
  int64_t* shadow_of;       // [count]
};

GS_EXPORT int32_t gs_surfaces(const World* world, Rays* rays);
GS_EXPORT int32_t gs_light(const World* world, Rays* rays);
