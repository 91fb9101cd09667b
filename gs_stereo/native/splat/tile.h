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
  bool inside() const { return x + kTileWidth <= width && y + kTileHeight <= height; }
};

// Offset of a pixel of block k in a planar image, or -1 outside.
GSS_INLINE int64_t pixel_offset(const TileShape& tile, int block, int lane) {
  const int x = tile.x + lane % kTileWidth, y = tile.y + block * kRowsPerVector + lane / kTileWidth;
  return x < tile.width && y < tile.height ? int64_t(y) * tile.width + x : -1;
}

GSS_INLINE F load_block(const float* image, const TileShape& tile, int block) {
  if (kRowsPerVector == 1 && tile.inside()) return load(image + pixel_offset(tile, block, 0));
  float lanes[kLanes];
  for (int lane = 0; lane < kLanes; lane++) {
    const int64_t offset = pixel_offset(tile, block, lane);
    lanes[lane] = offset < 0 ? 0.0f : image[offset];
  }
  return load(lanes);
}

GSS_INLINE void store_block(float* image, const TileShape& tile, int block, F value) {
  if (kRowsPerVector == 1 && tile.inside()) return store(image + pixel_offset(tile, block, 0), value);
  float lanes[kLanes];
  store(lanes, value);
  for (int lane = 0; lane < kLanes; lane++) {
    const int64_t offset = pixel_offset(tile, block, lane);
    if (offset >= 0) image[offset] = lanes[lane];
  }
}

struct Pixels {
  F transmittance[kPaddedBlocks], floor[kPaddedBlocks];
  int live_blocks;  // blocks in which some pixel has not stopped

  GSS_INLINE void start(const TileShape& tile, const bool* mask) {
    live_blocks = kBlocks;
    for (int k = 0; k < kPaddedBlocks; k++) {
      transmittance[k] = splat(k < kBlocks ? 1.0f : 0.0f);
      floor[k] = splat(k < kBlocks ? kLiveFloor : kStoppedFloor);
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
      transmittance[k] = load(live);
      floor[k] = load(floors);
      live_blocks += some;
    }
  }

  // Stops the pixels in `stopping`.
  GSS_INLINE void stop(int block, M stopping) {
    floor[block] = select(stopping, splat(kStoppedFloor), floor[block]);
    if (!any(less(splat(0), floor[block]))) live_blocks--;
  }
};

// A pair's blocks are worked on in several short passes over small arrays, rather than in one long loop body: more of
// them are in flight at once, and sums stay in registers.

// A splat seen from a tile: its alpha in the blocks that the pair covers, not clamped, and 0 where it is under 1/255
// (the exponential of a smaller power may be anything: its bits are masked away).
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
      F value[kGroup];
      M shown[kGroup];
      for (int i = 0; i < kGroup; i++) {
        const F here = y + float(i * kRowsPerVector);
        value[i] = (s.c * here + slope) * here + at_zero;
        shown[i] = less_equal(splat(kLog2AlphaMin), value[i]);
      }
      exp2_each<kGroup>(value);
      for (int i = 0; i < kGroup; i++) alpha[k + i] = keep(shown[i], value[i]);
    }
  }
};

}  // namespace gss
