// The pixels of one tile as vectors, and the evaluation of a splat in them: shared by forward and backward.
//
// A tile is kBlocks vectors of kTileWidth x kRowsPerVector pixels, top to bottom. `transmittance` is what a pixel
// still lets through. A pixel stops when a splat would bring it to 1e-4 or below: that splat is not drawn, the
// transmittance is put aside as final and set to zero, so that nothing later adds to the pixel; its floor moves below
// zero, so that it does not stop again. Pixels outside the image or the mask are stopped from the start.
#pragma once

#include "engine.h"

namespace gss {

// A pair's blocks are worked on in groups of this many, side by side. Arrays over the blocks of a tile are padded, so
// that a group may reach over the end.
constexpr int kGroup = 2;
constexpr int kPaddedBlocks = kBlocks + kGroup;

constexpr float kLiveFloor = kTransmittanceMin, kStoppedFloor = -1.0f;

struct TileShape {
  int x, y;             // of the upper left pixel
  int width, height;    // of the image
  TileShape(const Frame& frame, int64_t index)
      : x(int(index % frame.tiles_x) * kTileWidth), y(int(index / frame.tiles_x) * kTileHeight), width(frame.width),
        height(frame.height) {}
  bool inside() const { return x + kTileWidth <= width && y + kTileHeight <= height; }
  bool inside(int block) const { return x + kTileWidth <= width && y + (block + 1) * kRowsPerVector <= height; }
};

// Offset of a pixel of block k in a planar image, or -1 outside.
GSS_INLINE int64_t pixel_offset(const TileShape& tile, int block, int lane) {
  const int x = tile.x + lane % kTileWidth, y = tile.y + block * kRowsPerVector + lane / kTileWidth;
  return x < tile.width && y < tile.height ? int64_t(y) * tile.width + x : -1;
}

GSS_INLINE F load_block(const float* image, const TileShape& tile, int block) {
  if (GSS_LIKELY(tile.inside(block))) return load_rows(image + pixel_offset(tile, block, 0), tile.width);
  float lanes[kLanes];
  for (int lane = 0; lane < kLanes; lane++) {
    const int64_t offset = pixel_offset(tile, block, lane);
    lanes[lane] = offset < 0 ? 0.0f : image[offset];
  }
  return load(lanes);
}

GSS_INLINE void store_block(float* image, const TileShape& tile, int block, F value) {
  if (GSS_LIKELY(tile.inside(block))) return store_rows(image + pixel_offset(tile, block, 0), tile.width, value);
  float lanes[kLanes];
  store(lanes, value);
  for (int lane = 0; lane < kLanes; lane++) {
    const int64_t offset = pixel_offset(tile, block, lane);
    if (offset >= 0) image[offset] = lanes[lane];
  }
}

// Asks for one row of a tile in all images, to read or to write it. The rows of a tile lie far apart, which the hardware
// does not foresee; a pass asks for one at each pair.
template <bool kWrite>
GSS_INLINE void prefetch_row(const Images& images, const TileShape& tile, int row) {
  if (tile.y + row >= tile.height) return;
  const size_t plane = size_t(tile.width) * tile.height, at = size_t(tile.y + row) * tile.width + tile.x;
  if (images.rgb)
    for (int channel = 0; channel < 3; channel++) __builtin_prefetch(images.rgb + channel * plane + at, kWrite);
  for (const float* const image : {images.alpha, images.z_sum, images.z2_sum, images.median_depth})
    if (image) __builtin_prefetch(image + at, kWrite);
}

// What a pass keeps for each block starts with this. One struct a block: one address leads to all of it, and arrays
// whose distances are multiples of 4 KiB would hinder each other in the cache.
struct Lit {
  F transmittance, floor;
};

template <class Block>
struct Pixels {
  Block blocks[kPaddedBlocks];
  int live_blocks;  // blocks in which some pixel has not stopped

  GSS_INLINE void start(const TileShape& tile, const bool* mask) {
    live_blocks = kBlocks;
    for (int k = 0; k < kPaddedBlocks; k++) {
      blocks[k] = Block{};
      blocks[k].transmittance = splat(k < kBlocks ? 1.0f : 0.0f);
      blocks[k].floor = splat(k < kBlocks ? kLiveFloor : kStoppedFloor);
    }
    if (tile.inside() && !mask) return;
    live_blocks = 0;
    for (int k = 0; k < kBlocks; k++) {
      float live[kLanes], floors[kLanes];
      bool some = false;
      for (int lane = 0; lane < kLanes; lane++) {
        const int64_t offset = pixel_offset(tile, k, lane);
        const bool here = offset >= 0 && (!mask || mask[offset]);
        live[lane] = here ? 1.0f : 0.0f;
        floors[lane] = here ? kLiveFloor : kStoppedFloor;
        some |= here;
      }
      blocks[k].transmittance = load(live);
      blocks[k].floor = load(floors);
      live_blocks += some;
    }
  }

  // Stops the pixels in `stopping`.
  GSS_INLINE void stop(Block& block, M stopping) {
    block.floor = select(stopping, splat(kStoppedFloor), block.floor);
    if (!any(less(splat(0), block.floor))) live_blocks--;
  }
};

// A pair's blocks are worked on in several short passes over small arrays, rather than in one long loop body: more of
// them are in flight at once, and sums stay in registers.

// A splat seen from a tile: its alpha in the blocks that the pair covers, not clamped, and 0 where it is under 1/255.
struct Footprint {
  int first, count;  // blocks
  F dx, dy;          // from the splat's centre to the pixels of the first block
  F alpha[kPaddedBlocks];  // whole groups, possibly more than `count`

  GSS_INLINE Footprint(const Splat& s, const Pair& pair, const TileShape& tile) {
    first = pair.first / kRowsPerVector;
    count = pair.last / kRowsPerVector - first + 1;
    F lane_x, lane_y;
    for (int lane = 0; lane < kLanes; lane++) {
      lane_x[lane] = float(lane % kTileWidth);
      lane_y[lane] = float(lane / kTileWidth);
    }
    dx = lane_x + (float(tile.x) + 0.5f - s.x);
    dy = lane_y + (float(tile.y + first * kRowsPerVector) + 0.5f - s.y);
    // log2 alpha = (c dy + slope) dy + at_zero down a column of pixels.
    const F at_zero = s.a * dx * dx + s.log2_opacity, slope = s.b * dx;
    F y = dy;
    for (int k = 0; k < count; k += kGroup, y += float(kGroup * kRowsPerVector)) {
      F power[kGroup];
      M shown[kGroup];
      for (int i = 0; i < kGroup; i++) {
        const F here = y + float(i * kRowsPerVector);
        power[i] = (s.c * here + slope) * here + at_zero;
        shown[i] = less_equal(splat(kLog2AlphaMin), power[i]);
      }
      exp2_each<kGroup>(power, shown);
      for (int i = 0; i < kGroup; i++) alpha[k + i] = power[i];
    }
  }
};

}  // namespace gss
