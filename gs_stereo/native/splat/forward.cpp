// Compositing, front to back: colour, moments of z, transmittance, and the median depth.
//
// Kerbl et al. 2023, equation 3, with gsplat's thresholds. A task is one tile, so threads share nothing.

#include "tile.h"

namespace gss {
namespace {

template <int kMoments, bool kMedian>
void composite_tile(const Frame& frame, const Splat* splats, const Options& options, const bool* mask,
                    const Images& images, int64_t index) {
  const TileShape tile{int(index % frame.tiles_x) * kTileWidth, int(index / frame.tiles_x) * kTileHeight, frame.width,
                       frame.height};
  Pixels pixels;
  pixels.start(tile, mask);
  F red[kBlocks], green[kBlocks], blue[kBlocks], z1[kBlocks], z2[kBlocks], median[kBlocks], final[kBlocks];
  for (int k = 0; k < kBlocks; k++) {
    red[k] = green[k] = blue[k] = splat(0);
    if (kMoments > 0) z1[k] = splat(0);
    if (kMoments > 1) z2[k] = splat(0);
    if (kMedian) median[k] = splat(__builtin_nanf(""));
    final[k] = splat(1);
  }

  const Pair* const end = frame.pairs.data() + frame.tile_start[index + 1];
  for (const Pair* pair = frame.pairs.data() + frame.tile_start[index]; pair < end && pixels.live_blocks; pair++) {
    if (pair + 8 < end) __builtin_prefetch(&splats[pair[8].splat]);
    const Splat& s = splats[pair->splat];
    const Footprint footprint(s, *pair, tile);
    const F r = splat(s.red), g = splat(s.green), b = splat(s.blue), z = splat(s.z), zz = splat(s.z * s.z);
    for (int i = 0; i < footprint.count; i++) {
      const int k = footprint.first + i;
      const F before = pixels.transmittance[k];
      F weight = before * min(footprint.alpha[i], splat(kAlphaMax));
      F after = before - weight;
      const M stopping = less_equal(after, pixels.floor[k]);
      if (GSS_UNLIKELY(any(stopping))) {
        final[k] = select(stopping, before, final[k]);
        weight = select(stopping, splat(0), weight);
        after = select(stopping, splat(0), after);
        pixels.stop(k, stopping);
      }
      pixels.transmittance[k] = after;
      red[k] += weight * r;
      green[k] += weight * g;
      blue[k] += weight * b;
      if (kMoments > 0) z1[k] += weight * z;
      if (kMoments > 1) z2[k] += weight * zz;
      if (kMedian) {
        const M crossing = both(less(splat(0.5f), before), less_equal(after, splat(0.5f)));
        median[k] = select(crossing, z, median[k]);
      }
    }
  }

  const size_t plane = size_t(frame.width) * frame.height;
  for (int k = 0; k < kBlocks && tile.y + k * kRowsPerVector < tile.height; k++) {
    // A pixel that has not stopped ends with what it still lets through.
    const M live = less(splat(0), pixels.floor[k]);
    const F left = select(live, pixels.transmittance[k], final[k]);
    F behind = left;
    if (mask) {
      F shown = splat(0);
      for (int lane = 0; lane < kLanes; lane++) {
        const int64_t offset = pixel_offset(tile, k, lane);
        shown[lane] = offset >= 0 && mask[offset] ? 1.0f : 0.0f;
      }
      behind = left * shown;
    }
    store_block(images.rgb, tile, k, red[k] + behind * options.background[0]);
    store_block(images.rgb + plane, tile, k, green[k] + behind * options.background[1]);
    store_block(images.rgb + 2 * plane, tile, k, blue[k] + behind * options.background[2]);
    if (images.alpha) store_block(images.alpha, tile, k, 1.0f - left);
    if (kMoments > 0) store_block(images.z_sum, tile, k, z1[k]);
    if (kMoments > 1) store_block(images.z2_sum, tile, k, z2[k]);
    if (kMedian) store_block(images.median_depth, tile, k, median[k]);
  }
}

template <int kMoments, bool kMedian>
void composite_all(const Frame& frame, const Splat* splats, const Options& options, const bool* mask,
                   const Images& images) {
  const int64_t tiles = frame.tiles();
#pragma omp parallel for schedule(dynamic, 4) num_threads(options.threads)
  for (int64_t index = 0; index < tiles; index++)
    composite_tile<kMoments, kMedian>(frame, splats, options, mask, images, index);
}

}  // namespace

void composite(const Frame& frame, const Splat* splats, const Options& options, const bool* mask,
               const Images& images) {
  const auto run = [&](auto kernel) { kernel(frame, splats, options, mask, images); };
  if (images.median_depth) {
    if (images.z2_sum) return run(composite_all<2, true>);
    return run(images.z_sum ? composite_all<1, true> : composite_all<0, true>);
  }
  if (images.z2_sum) return run(composite_all<2, false>);
  run(images.z_sum ? composite_all<1, false> : composite_all<0, false>);
}

}  // namespace gss
