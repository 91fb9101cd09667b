// Compositing, front to back: colour, moments of z, transmittance, and the median depth.
//
// Kerbl et al. 2023, equation 3, with gsplat's thresholds. A task is one tile, so threads share nothing.

#include "tile.h"

namespace gss {
namespace {

struct Drawn : Lit {
  F final;  // transmittance of the pixels that have stopped
  F red, green, blue, z1, z2, median;
};

template <int kMoments, bool kMedian>
void composite_tile(const Frame& frame, const Splat* splats, const Options& options, const bool* mask,
                    const Images& images, int64_t index) {
  const TileShape tile(frame, index);
  Pixels<Drawn> pixels;
  pixels.start(tile, mask);
  for (Drawn& block : pixels.blocks) {
    block.final = splat(1);
    if (kMedian) block.median = splat(__builtin_nanf(""));
  }

  const Pair* const end = frame.pairs.data() + frame.tile_start[index + 1];
  int row = 0;  // to prefetch
  for (const Pair* pair = frame.pairs.data() + frame.tile_start[index]; pair < end && pixels.live_blocks; pair++) {
    if (pair + 8 < end) __builtin_prefetch(&splats[pair[8].splat]);
    if (row < kTileHeight) prefetch_row<true>(images, tile, row++);
    const Splat& s = splats[pair->splat];
    const Footprint footprint(s, *pair, tile);
    const F r = splat(s.red), g = splat(s.green), b = splat(s.blue), z = splat(s.z), zz = splat(s.z * s.z);
    for (int i = 0; i < footprint.count; i++) {
      Drawn& block = pixels.blocks[footprint.first + i];
      const F before = block.transmittance;
      F weight = before * min(footprint.alpha[i], splat(kAlphaMax));
      F after = before - weight;
      const M stopping = less_equal(after, block.floor);
      if (GSS_UNLIKELY(any(stopping))) {
        block.final = select(stopping, before, block.final);
        weight = select(stopping, splat(0), weight);
        after = select(stopping, splat(0), after);
        pixels.stop(block, stopping);
      }
      block.transmittance = after;
      block.red += weight * r;
      block.green += weight * g;
      block.blue += weight * b;
      if (kMoments > 0) block.z1 += weight * z;
      if (kMoments > 1) block.z2 += weight * zz;
      if (kMedian) {
        const M crossing = both(less(splat(0.5f), before), less_equal(after, splat(0.5f)));
        block.median = select(crossing, z, block.median);
      }
    }
  }

  const size_t plane = size_t(frame.width) * frame.height;
  for (int k = 0; k < kBlocks && tile.y + k * kRowsPerVector < tile.height; k++) {
    const Drawn& block = pixels.blocks[k];
    // A pixel that has not stopped ends with what it still lets through.
    const M live = less(splat(0), block.floor);
    const F left = select(live, block.transmittance, block.final);
    F behind = left;
    if (mask) {
      F shown = splat(0);
      for (int lane = 0; lane < kLanes; lane++) {
        const int64_t offset = pixel_offset(tile, k, lane);
        shown[lane] = offset >= 0 && mask[offset] ? 1.0f : 0.0f;
      }
      behind = left * shown;
    }
    store_block(images.rgb, tile, k, block.red + behind * options.background[0]);
    store_block(images.rgb + plane, tile, k, block.green + behind * options.background[1]);
    store_block(images.rgb + 2 * plane, tile, k, block.blue + behind * options.background[2]);
    if (images.alpha) store_block(images.alpha, tile, k, 1.0f - left);
    if (kMoments > 0) store_block(images.z_sum, tile, k, block.z1);
    if (kMoments > 1) store_block(images.z2_sum, tile, k, block.z2);
    if (kMedian) store_block(images.median_depth, tile, k, block.median);
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
