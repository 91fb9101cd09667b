// What is preferred of opacity and depth among splats that show a photo equally well, and its gradients: every pixel by
// itself, in one pass. With a = alpha, m = z_sum, s = z2_sum, each term averaged over the pixels:
//   alpha:    1 - a where the photo shows the scene, a where it is cut out, nothing where a mask hides it
//   variance: max(s a - m^2, 0) / m^2, the m^2 below held fixed; it is a^2 var(z) / mean(z)^2
//   depth:    |m - a d| / d, where d is known
// A task is a fixed range of pixels, so the sum does not depend on the threads.

#include <algorithm>
#include <vector>

#include "engine.h"

namespace gss {
namespace {

constexpr int64_t kChunkPixels = 1 << 13;
typedef uint8_t Flags __attribute__((vector_size(kLanes)));

// The first `count` lanes; the others are 0.
GSS_INLINE F load_some(const float* from, int count) {
  F value = splat(0);
  std::memcpy(&value, from, 4 * size_t(count));
  return value;
}
GSS_INLINE M load_flags(const bool* from, int count) {
  Flags flags = {};
  std::memcpy(&flags, from, size_t(count));
  return less(splat(0), __builtin_convertvector(flags, F));
}

// The values of `count` pixels from `at`, one a lane; writes their gradients.
GSS_INLINE F at_pixels(const Preferences& view, float scale, int64_t at, int count) {
  const M inside = less(lane_index(), splat(float(count))), none = less(splat(0), splat(0));
  const F alpha = load_some(view.alpha + at, count), z = load_some(view.z_sum + at, count);
  const F z2 = load_some(view.z2_sum + at, count);
  const float of_alpha = scale * view.alpha_weight, of_variance = scale * view.variance_weight;
  const float of_depth = scale * view.depth_weight;

  const M empty = view.cut_out ? both(inside, load_flags(view.cut_out + at, count)) : none;
  const M full = not_in(empty, view.mask ? both(inside, load_flags(view.mask + at, count)) : inside);
  F value = keep(full, of_alpha * (1.0f - alpha)) + keep(empty, of_alpha * alpha);
  F by_alpha = keep(empty, splat(of_alpha)) - keep(full, splat(of_alpha));

  const F inverse = 1.0f / select(both(inside, less(splat(0), alpha)), z * z, splat(1));
  const F variance = (z2 * alpha - z * z) * inverse;
  const F slope = keep(less_equal(splat(0), variance), of_variance * inverse);
  value += of_variance * max(variance, splat(0));
  by_alpha += slope * z2;
  const F by_z2 = slope * alpha;
  F by_z = -2.0f * slope * z;

  if (view.depth) {
    const F depth = load_some(view.depth + at, count);
    const M known = both(inside, finite_lanes(depth));
    const F wanted = select(known, depth, splat(1)), inverse_depth = 1.0f / wanted, error = z - alpha * wanted;
    const F sign = keep(less(splat(0), error), splat(of_depth)) - keep(less(error, splat(0)), splat(of_depth));
    value += keep(known, of_depth * absolute(error) * inverse_depth);
    by_z += keep(known, sign * inverse_depth);
    by_alpha -= keep(known, sign);
  }
  const size_t bytes = 4 * size_t(count);
  std::memcpy(view.by_alpha + at, &by_alpha, bytes);
  std::memcpy(view.by_z_sum + at, &by_z, bytes);
  std::memcpy(view.by_z2_sum + at, &by_z2, bytes);
  return value;
}

}  // namespace

void preferences(Preferences& view) {
  const int64_t pixels = int64_t(view.height) * view.width, chunks = (pixels + kChunkPixels - 1) / kChunkPixels;
  const float scale = 1.0f / float(pixels);
  std::vector<float> sums(chunks);
#pragma omp parallel for schedule(static) num_threads(view.threads)
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    int64_t at = chunk * kChunkPixels;
    const int64_t end = std::min(at + kChunkPixels, pixels);
    F total = splat(0);
    for (; at + kLanes <= end; at += kLanes) total += at_pixels(view, scale, at, kLanes);
    if (at < end) total += at_pixels(view, scale, at, int(end - at));
    sums[chunk] = sum(total);
  }
  view.value = 0;
  for (const float part : sums) view.value += part;
}

}  // namespace gss
