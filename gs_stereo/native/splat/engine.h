// What the files of the engine share: the Frame that a render leaves behind, and the passes.
//
// A render of one camera goes projection -> binning -> forward; `backward` and the backward half of projection use
// the Frame again. Every sum over threads has an order that does not depend on the number of threads, so results are
// bit-identical on one machine however many threads run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "interface.h"
#include "simd.h"

#if defined(_OPENMP)
#include <omp.h>
#else
inline int omp_get_thread_num() { return 0; }
inline int omp_get_num_threads() { return 1; }
#endif

namespace gss {

constexpr float kAlphaMax = 0.999f;
constexpr float kAlphaMin = 1.0f / 255.0f;
constexpr float kLog2AlphaMin = -7.994353436858858f;
constexpr float kTransmittanceMin = 1e-4f;

// A tile is one column of vectors: as wide as a vector, at most 8 pixels, then a vector covers several rows.
constexpr int kTileWidth = kLanes < 8 ? kLanes : 8;
constexpr int kTileHeight = 64;
constexpr int kRowsPerVector = kLanes / kTileWidth;
constexpr int kBlocks = kTileHeight / kRowsPerVector;

// Bits of the parameters that hold NaN or infinity.
enum Bad : int32_t { kBadMeans = 1, kBadQuats = 2, kBadLogScales = 4, kBadOpacities = 8, kBadSh = 16 };

// --- what a render keeps ---------------------------------------------------------------------------------------

// Memory of at least `bytes`, not initialised. Large blocks ask for huge pages: the passes over pairs and Gaussians
// jump about, and with 4 KiB pages most jumps would also miss the address cache.
constexpr size_t kCacheLine = 64, kHugePage = size_t(1) << 21;
inline void* allocate(size_t bytes) {
  const size_t alignment = bytes < kHugePage ? kCacheLine : kHugePage;
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* const memory = std::aligned_alloc(alignment, rounded);
  if (!memory) throw std::bad_alloc();
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (alignment == kHugePage) madvise(memory, rounded, MADV_HUGEPAGE);
#endif
  return memory;
}

// An array that grows and never shrinks; its values are not initialised, so an unused part costs no memory traffic.
template <class T>
class Buffer {
 public:
  T* resize(size_t count) {
    if (count > capacity_) {
      memory_.reset();
      capacity_ = 0;
      const size_t wanted = count + count / 4;
      memory_.reset(static_cast<T*>(allocate(wanted * sizeof(T))));
      capacity_ = wanted;
    }
    return memory_.get();
  }
  T* data() { return memory_.get(); }
  const T* data() const { return memory_.get(); }
  T& operator[](size_t index) { return memory_.get()[index]; }
  const T& operator[](size_t index) const { return memory_.get()[index]; }

 private:
  struct Free {
    void operator()(T* memory) const { std::free(memory); }
  };
  std::unique_ptr<T, Free> memory_;
  size_t capacity_ = 0;
};

// A Gaussian on screen, one cache line. Its alpha at (x + dx, y + dy) is 2^(a dx^2 + b dx dy + c dy^2 + log2_opacity).
struct alignas(64) Splat {
  float x, y;
  float a, b, c, log2_opacity;
  float red, green, blue, z;
  float extent_x, extent_y;  // half sides of the box in which alpha >= 1/255; 0 = culled
  float determinant;         // a c - b^2 / 4, taken from the covariance, where it does not cancel
  float unused[3];
};

// One Gaussian in one tile: rows first..last (of the tile) hold every pixel with alpha >= 1/255. `slot` is the pair's
// place in an order in which the pairs of a Gaussian lie together.
struct Pair {
  uint32_t splat, slot;
  uint8_t first, last;
};

// What one pair adds to its Gaussian's gradient; g is dL/dalpha * alpha, sums run over the pair's pixels.
struct PairGradient {
  float g, gx, gy, gxx, gxy, gyy;  // sums of g * {1, dx, dy, dx^2, dx dy, dy^2}
  float red, green, blue, z;
  float absolute_x, absolute_y;
};
constexpr int kPairFloats = sizeof(PairGradient) / sizeof(float);

struct Found {  // a pair before it is moved to its tile
  uint32_t tile, splat;
  uint8_t first, last;
};

struct Frame {
  int32_t width = 0, height = 0, tiles_x = 0, tiles_y = 0;
  int64_t count = 0, pair_count = 0;
  Buffer<Splat> splats, feature_splats;  // in the order of the cloud
  Buffer<uint32_t> first_slot, pairs_of;   // for each Gaussian: its first slot, and how many it has
  Buffer<size_t> tile_start;               // tiles + 1
  Buffer<Pair> pairs;                      // by tile, front to back
  Buffer<PairGradient> pair_gradients;     // by slot
  Buffer<float> feature_moments;           // N x 8: g..gyy, absolute_x, absolute_y of the feature passes
  bool has_feature_moments = false;
  std::vector<std::vector<Found>> found;   // one a thread
  Buffer<uint64_t> keys, keys_other;       // depth bits << 32 | index
  Buffer<uint32_t> histogram;
  size_t visible = 0;

  int64_t tiles() const { return int64_t(tiles_x) * tiles_y; }
};

// projection.cpp, projection_backward.cpp. Writes splats and radii and returns Bad bits. Views after the first add to
// the gradients.
int32_t project(const Render& render);
void project_backward(const Frame& frame, const Render& render, int view, const Gradients& gradients);
// binning.cpp
void sort_by_depth(Frame* const* frames, int views, int threads);
void bin(Frame& frame, const Frame& sorted, int threads);
// forward.cpp, backward.cpp: one view, whose images have three channels in `rgb`
void composite(const Frame& frame, const Splat* splats, const Options& options, const bool* mask,
               const Images& images);
void composite_backward(Frame& frame, const Splat* splats, const Options& options, const bool* mask,
                        const Images& images, const Images& gradients, bool absolute);
// loss.cpp, preferences.cpp, optimizer.cpp
void l1_dssim(Loss& loss);
void preferences(Preferences& view);
void adam(const Adam& step);

}  // namespace gss
