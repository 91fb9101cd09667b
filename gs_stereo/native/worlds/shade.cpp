// Light along rays behind the C interface of interface.h; the numpy twin is tests/twins/shading.py, which explains each
// step.
//
// Shading is done in two passes, because the shadow rays between them are cast by another library. Tables of the world
// have one row a component, arrays of rays one row a ray. Every ray is computed by itself, on one thread.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "interface.h"

GS_LIBRARY({"World", sizeof(World)}, {"Rays", sizeof(Rays)})

namespace {

using gs::require;

constexpr int kProbes = 4;
constexpr float kLift = 1e-3f, kLongestShadow = 60.0f, kFar = 1e6f;

struct Vector {
  float x, y, z;
};

Vector operator+(Vector a, Vector b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
Vector operator-(Vector a, Vector b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
Vector operator*(float s, Vector a) { return {s * a.x, s * a.y, s * a.z}; }
float dot(Vector a, Vector b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
Vector vector_at(const float* p) { return {p[0], p[1], p[2]}; }
Vector column(const float* rows, int64_t length, int64_t i) { return {rows[i], rows[length + i], rows[2 * length + i]}; }
void store(Vector a, float* p) { p[0] = a.x, p[1] = a.y, p[2] = a.z; }

struct Material {
  int tile;
  float highlight, shininess, mirror;
  bool glows;
};

Material material_of(const World& world, int64_t triangle) {
  const int64_t n = world.pieces;
  const float* p = world.material + world.piece[triangle];
  return {static_cast<int>(p[0]), p[n], p[2 * n], p[3 * n], p[4 * n] > 0};
}

struct Place {
  float u, v;
};

float reflected(float u) {
  const float folded = std::fabs(u - 2.0f * static_cast<float>(std::lrint(u * 0.5f)));
  return folded <= 1.0f ? folded : 0.0f;  // also where it is no number
}

// Bilinear on 1/32 of a texel, rounded to a byte, as OpenCV's remap; then linear light.
Vector lookup(const World& world, int tile, int level, Place place) {
  const int box = tile * world.levels + level;
  const float side = static_cast<float>(world.side >> level);
  const long x = std::lrint((reflected(place.u) * side + world.starts[box]) * 32.0f);
  const long y = std::lrint((reflected(place.v) * side + world.starts[world.boxes + box]) * 32.0f);
  const uint8_t* upper = world.texels + ((y >> 5) * world.columns + (x >> 5)) * 3;
  const uint8_t* lower = upper + world.columns * 3;
  const int right = x & 31, down = y & 31;
  const int a = (32 - right) * (32 - down), b = right * (32 - down), c = (32 - right) * down, d = right * down;
  float light[3];
  for (int k = 0; k < 3; ++k)
    light[k] = world.linear[(a * upper[k] + b * upper[k + 3] + c * lower[k] + d * lower[k + 3] + 512) >> 10];
  return vector_at(light);
}

float mip_level(const World& world, float width) {
  const float level = std::log2(std::max(1.0f, width * static_cast<float>(world.side)));
  return std::min(level, static_cast<float>(world.levels) - 1.001f);
}

// Texture steps from a sample to the next one in the direction `change` on the hit triangle's plane.
Place texture_step(const Vector slope[2], Vector way, Vector face, float safe_facing, float t, const float* change) {
  const Vector to = vector_at(change);
  const float tilt = dot(face, to) / safe_facing;
  return {t * (dot(slope[0], to) - dot(slope[0], way) * tilt), t * (dot(slope[1], to) - dot(slope[1], way) * tilt)};
}

float squared(Place step) { return step.u * step.u + step.v * step.v; }

// Mip levels across the footprint, up to four probes along its long side.
Vector filtered(const World& world, int tile, Place place, Place right, Place down) {
  const Place along = squared(right) >= squared(down) ? right : down;
  const float length = std::sqrt(squared(along));
  const float area = std::fabs(right.u * down.v - right.v * down.u);
  const float width = std::max(area / std::max(length, 1e-9f), length / kProbes);
  if (length > 1.5f * width) {
    const int level = static_cast<int>(std::lrint(mip_level(world, width)));
    Vector total = {0, 0, 0};
    for (int k = 0; k < kProbes; ++k) {
      const float step = (k + 0.5f) / kProbes - 0.5f;
      total = total + lookup(world, tile, level, {place.u + step * along.u, place.v + step * along.v});
    }
    return (1.0f / kProbes) * total;
  }
  const float level = mip_level(world, std::sqrt(std::max(1e-12f, area)));
  const int lower = static_cast<int>(level);
  const Vector fine = lookup(world, tile, lower, place), coarse = lookup(world, tile, lower + 1, place);
  return fine + (level - static_cast<float>(lower)) * (coarse - fine);
}

struct Hit {
  Vector way, point, face;
  float facing;
};

Hit hit_at(const World& world, const Rays& hits, int64_t i) {
  const Vector way = vector_at(hits.rays + 6 * i + 3), face = column(world.normal, world.triangles, hits.triangle[i]);
  return {way, vector_at(hits.rays + 6 * i) + hits.t[i] * way, face, dot(face, way)};
}

Vector texture(const World& world, const Rays& hits, int64_t i, const Hit& hit, int tile) {
  const int64_t n = world.triangles, k = hits.triangle[i];
  const float second = hits.uv[2 * i], third = hits.uv[2 * i + 1];
  const float *corner = world.corner_uv + k, *steps = world.steps_uv + k;
  const Place place = {corner[0] + second * steps[0] + third * steps[2 * n],
                       corner[n] + second * steps[n] + third * steps[3 * n]};
  const Vector slope[2] = {column(world.slope, n, k), column(world.slope + 3 * n, n, k)};
  const float facing = std::fabs(hit.facing) < 1e-4f ? 1e-4f : hit.facing;
  const Place right = texture_step(slope, hit.way, hit.face, facing, hits.t[i], world.right);
  const Place down = texture_step(slope, hit.way, hit.face, facing, hits.t[i], world.down);
  return filtered(world, tile, place, right, down);
}

// Interpolated, on the viewer's side of the surface.
Vector shading_normal(const World& world, const Rays& hits, int64_t i, const Hit& hit) {
  const int64_t n = world.triangles, k = hits.triangle[i];
  const float* rows = world.corner_normals;
  const Vector normal = column(rows, n, k) + hits.uv[2 * i] * column(rows + 3 * n, n, k) +
                        hits.uv[2 * i + 1] * column(rows + 6 * n, n, k);
  const float side = (dot(normal, hit.face) > 0) == (hit.facing > 0) ? -1.0f : 1.0f;
  return (side / std::max(std::sqrt(dot(normal, normal)), 1e-6f)) * normal;
}

struct ToLamp {
  Vector direction;
  float distance;
};

ToLamp to_lamp(const World& world, Vector point) {
  const Vector place = vector_at(world.place);
  if (world.far) return {place, kFar};
  const Vector way = place - point;
  const float distance = std::sqrt(dot(way, way));
  return {(1.0f / std::max(distance, 1e-6f)) * way, distance};
}

// Highlight of the lamp and a blurred reflection of sky and floor: the shares of the three lights.
Vector gloss(const Material& material, Vector normal, Vector way, Vector lamp, float strength) {
  const Vector view = (1.0f / std::sqrt(dot(way, way))) * way;
  Vector half = lamp - view;
  half = (1.0f / std::max(std::sqrt(dot(half, half)), 1e-6f)) * half;
  const float sharp = std::max(dot(normal, half), 0.0f);
  const float lobe = strength > 0 ? material.highlight * std::pow(sharp, material.shininess) * strength : 0.0f;
  const float facing = std::min(std::max(-dot(normal, view), 0.0f), 1.0f), away = 1 - facing;
  const float share = std::min(material.mirror * (1 + 4 * away * away * away * away * away), 0.9f);
  const float horizon = std::min(std::max(0.5f + 2.0f * (view.z + 2 * facing * normal.z), 0.0f), 1.0f);
  return {lobe, share * horizon, share * (1 - horizon)};
}

void check(const World& world, const Rays& rays) {
  require(world.levels >= 2 && world.tiles >= 1 && world.boxes == world.tiles * world.levels,
          "%d textures with %d levels each cannot lie in %d boxes.", world.tiles, world.levels, world.boxes);
  bool inside = true;
  for (int box = 0; box < world.boxes; ++box) {  // a lookup reaches the next texel
    const float x = world.starts[box], y = world.starts[world.boxes + box];
    const float side = static_cast<float>(world.side >> box % world.levels);
    inside &= x >= 0 && y >= 0 && x + side <= world.columns - 1.5f && y + side <= world.rows - 1.5f;
  }
  require(inside, "A texture lies outside the image of %lld x %lld.", static_cast<long long>(world.columns),
          static_cast<long long>(world.rows));
  for (int64_t k = 0; k < world.triangles; ++k) inside &= world.piece[k] >= 0 && world.piece[k] < world.pieces;
  require(inside, "A triangle belongs to no piece.");
  for (int64_t k = 0; k < world.pieces; ++k) inside &= world.material[k] >= 0 && world.material[k] < world.tiles;
  require(inside, "A piece has no texture.");
  for (int64_t i = 0; i < rays.count; ++i) inside &= rays.triangle[i] >= 0 && rays.triangle[i] < world.triangles;
  require(inside, "A ray hits no triangle of the world; close the scene.");
}

}  // namespace

// First pass: texture colour and normal of every hit, and the rays towards the lamp that must be tested.
GS_EXPORT int32_t gs_surfaces(const World* world, Rays* rays) {
  return gs::guarded("", [&] {
    check(*world, *rays);
    rays->shadows = 0;
    for (int64_t i = 0; i < rays->count; ++i) {
      const Hit hit = hit_at(*world, *rays, i);
      const Material material = material_of(*world, rays->triangle[i]);
      store(texture(*world, *rays, i, hit, material.tile), rays->light + 3 * i);
      rays->reached[i] = material.glows;
      if (material.glows) continue;
      const Vector up = shading_normal(*world, *rays, i, hit);
      store(up, rays->normal + 3 * i);
      const ToLamp lamp = to_lamp(*world, hit.point);
      const Vector outward = (hit.facing > 0 ? -1.0f : hit.facing < 0 ? 1.0f : 0.0f) * hit.face;
      if (dot(up, lamp.direction) <= 0 || dot(outward, lamp.direction) <= 0) continue;
      const float lift = kLift * (std::sqrt(dot(hit.point, hit.point)) + 1);
      float* const shadow_ray = rays->shadow_rays + 6 * rays->shadows;
      store(hit.point + lift * outward, shadow_ray);
      store(std::min(lamp.distance, kLongestShadow) * lamp.direction, shadow_ray + 3);
      rays->shadow_of[rays->shadows++] = i;
    }
  });
}

// Second pass: turns the textures' light into the surfaces', given where the lamp reaches them.
GS_EXPORT int32_t gs_light(const World* world, Rays* rays) {
  return gs::guarded("", [&] {
    check(*world, *rays);
    for (int64_t i = 0; i < rays->count; ++i) {
      const Material material = material_of(*world, rays->triangle[i]);
      if (material.glows) continue;
      const Hit hit = hit_at(*world, *rays, i);
      const Vector up = vector_at(rays->normal + 3 * i);
      const ToLamp lamp = to_lamp(*world, hit.point);
      const float fall = world->far ? 0.0f : lamp.distance / world->reach;
      const float strength = (rays->reached[i] ? 1.0f : 0.0f) / (1 + fall * fall);
      const float direct = std::max(dot(up, lamp.direction), 0.0f) * strength, above = 0.5f + 0.5f * up.z;
      const bool shines = material.highlight + material.mirror > 0;
      const Vector shine = shines ? gloss(material, up, hit.way, lamp.direction, strength) : Vector{0, 0, 0};
      for (int k = 0; k < 3; ++k) {
        const float matt = world->lamp[k] * direct + world->sky[k] * above + world->floor[k] * (1 - above);
        const float glossy = world->lamp[k] * shine.x + world->sky[k] * shine.y + world->floor[k] * shine.z;
        rays->light[3 * i + k] = rays->light[3 * i + k] * matt + glossy;
      }
    }
  });
}
