// Which splats each tile draws, front to back.
//
// The visible splats are sorted by depth once (a radix sort of the bits of z, which is positive). They are then
// walked in that order: for every column of tiles that a splat's ellipse alpha >= 1/255 crosses, the exact range of
// rows is worked out, one column a lane, and gives one Pair for each tile in the range. Each thread walks a
// contiguous part of the order, so the pairs of a tile stay sorted when the parts are put together. The order in which
// pairs are found gives each its slot: backward leaves its sums there, next to those of the same Gaussian.

#include <algorithm>
#include <limits>

#include "engine.h"

namespace gss {
namespace {

constexpr int kMaxDigitBits = 11;
constexpr size_t kMinKeysAThread = 16384;  // below this a thread costs more than it helps

uint32_t depth_bits(float z) {
  uint32_t value;
  std::memcpy(&value, &z, 4);
  return value;
}

struct Part {
  size_t begin, end;
};
Part part_of(size_t count, int thread, int threads) {
  return {count * thread / threads, count * (thread + 1) / threads};
}

// One pass of a stable least-significant-digit radix sort; every thread scatters its own contiguous part.
void radix_pass(const uint64_t* from, uint64_t* to, size_t count, int shift, int bits, [[maybe_unused]] int threads,
                uint32_t* histograms) {
  const uint32_t digits = 1u << bits, mask = digits - 1;
#pragma omp parallel num_threads(threads)
  {
    const int thread = omp_get_thread_num(), team = omp_get_num_threads();
    const Part part = part_of(count, thread, team);
    uint32_t* const mine = histograms + size_t(thread) * digits;
    std::fill(mine, mine + digits, 0u);
    for (size_t i = part.begin; i < part.end; i++) mine[(from[i] >> shift) & mask]++;
#pragma omp barrier
#pragma omp single
    {
      uint32_t start = 0;
      for (uint32_t digit = 0; digit < digits; digit++)
        for (int t = 0; t < team; t++) {
          uint32_t& entry = histograms[size_t(t) * digits + digit];
          const uint32_t here = entry;
          entry = start;
          start += here;
        }
    }
    for (size_t i = part.begin; i < part.end; i++) to[mine[(from[i] >> shift) & mask]++] = from[i];
  }
}

// The keys of the visible splats in the order of the cloud. Returns their number.
size_t collect_keys(Frame* const* frames, int views, int threads, uint64_t* keys, uint32_t& low, uint32_t& high) {
  const size_t count = size_t(frames[0]->count);
  std::vector<size_t> found(threads + 1, 0);
  uint32_t smallest = std::numeric_limits<uint32_t>::max(), largest = 0;
  const auto visible = [&](size_t i) {
    for (int v = 0; v < views; v++)
      if (frames[v]->splats[i].extent_x > 0) return true;
    return false;
  };
#pragma omp parallel num_threads(threads) reduction(min : smallest) reduction(max : largest)
  {
    const int thread = omp_get_thread_num(), team = omp_get_num_threads();
    const Part part = part_of(count, thread, team);
    size_t mine = 0;
    for (size_t i = part.begin; i < part.end; i++) mine += visible(i);
    found[thread + 1] = mine;
#pragma omp barrier
#pragma omp single
    for (int t = 0; t < threads; t++) found[t + 1] += found[t];
    uint64_t* to = keys + found[thread];
    for (size_t i = part.begin; i < part.end; i++) {
      if (!visible(i)) continue;
      const uint32_t depth = depth_bits(frames[0]->splats[i].z);
      smallest = std::min(smallest, depth);
      largest = std::max(largest, depth);
      *to++ = uint64_t(depth) << 32 | i;
    }
  }
  low = smallest;
  high = largest;
  return found[threads];
}

struct RowRange {
  int first, last;
};

// The rows that the splat's ellipse touches in kLanes columns of tiles from `column`; first > last = none.
GSS_INLINE void row_ranges(const Splat& s, int column, int height, I& first, I& last) {
  // alpha >= 1/255 is A dx^2 + 2 B dx dy + C dy^2 <= q.
  const float A = -s.a, B = -0.5f * s.b, C = -s.c, q = s.log2_opacity - kLog2AlphaMin;
  const F left = lane_index() * float(kTileWidth) + (float(column * kTileWidth) + 0.5f - s.x);
  const F x0 = max(left, splat(-s.extent_x)), x1 = min(left + float(kTileWidth - 1), splat(s.extent_x));
  // The ellipse is highest at x = -top and lowest at x = top; else at the border of the column.
  const float top = B / A * s.extent_y;
  const F high_x = clamp(splat(-top), x0, x1), low_x = clamp(splat(top), x0, x1);
  const float Cq = C * q, inverse = 1.0f / C;
  const F high = (sqrt(max(Cq - s.determinant * high_x * high_x, splat(0))) - B * high_x) * inverse;
  const F low = (-sqrt(max(Cq - s.determinant * low_x * low_x, splat(0))) - B * low_x) * inverse;
  // Rows whose centres (row + 0.5) lie inside; a little more, so that rounding loses none.
  const float slack = 0.01f + 1e-5f * s.extent_y;
  const float bottom = float(height);
  const F from = clamp(low + (s.y + 0.5f - slack), splat(0), splat(bottom));            // ceil(y - 0.5)
  const F to = clamp(high + (s.y - 0.5f + slack), splat(-1), splat(bottom - 1.0f)) + 1.0f;  // floor, shifted
  const M crossed = less_equal(x0, x1);
  first = __builtin_convertvector(from, I);
  last = __builtin_convertvector(select(crossed, to, splat(0)), I) - 1;
}

// Pairs as they are found: a vector whose size is its capacity, and how much of it is in use.
struct FoundList {
  std::vector<Found>& memory;
  size_t count = 0;

  Found* room_for(size_t more) {
    if (memory.size() < count + more) memory.resize(2 * memory.size() + more);
    return memory.data() + count;
  }
};

GSS_INLINE Found found_in(const Frame& frame, uint32_t index, int column, int row, int first, int last) {
  const int top = row * kTileHeight;
  return {uint32_t(row * frame.tiles_x + column), index, uint8_t(std::max(first - top, 0)),
          uint8_t(std::min(last - top, kTileHeight - 1))};
}

// Appends the pairs of splat `index`. A column's first pair is written in any case and kept if there is one: most
// columns have exactly one, and a branch on that would often be guessed wrong.
GSS_INLINE void find_pairs(const Frame& frame, uint32_t index, const Splat& s, FoundList& found) {
  const float last_column = float(frame.tiles_x - 1);
  const int column0 = int(std::max(0.0f, std::min((s.x - s.extent_x - 0.5f) * (1.0f / kTileWidth), last_column)));
  const int column1 = int(std::max(0.0f, std::min((s.x + s.extent_x) * (1.0f / kTileWidth), last_column)));
  for (int column = column0; column <= column1; column += kLanes) {
    I firsts, lasts;
    row_ranges(s, column, frame.height, firsts, lasts);
    int32_t first_rows[kLanes], last_rows[kLanes];
    std::memcpy(first_rows, &firsts, sizeof firsts);
    std::memcpy(last_rows, &lasts, sizeof lasts);
    Found* to = found.room_for(size_t(kLanes) * frame.tiles_y + 1);
    const int lanes = std::min(kLanes, column1 - column + 1);
    for (int lane = 0; lane < lanes; lane++) {
      const int first = first_rows[lane], last = last_rows[lane], row0 = first / kTileHeight;
      *to = found_in(frame, index, column + lane, row0, first, last);
      to += first <= last;
      for (int row = row0 + 1; row <= last / kTileHeight; row++)
        *to++ = found_in(frame, index, column + lane, row, first, last);
    }
    found.count = size_t(to - found.memory.data());
  }
}

}  // namespace

void sort_by_depth(Frame* const* frames, int views, int threads) {
  Frame& frame = *frames[0];
  frame.keys.resize(frame.count);
  frame.keys_other.resize(frame.count);
  uint32_t low = 0, high = 0;
  frame.visible = collect_keys(frames, views, threads, frame.keys.data(), low, high);
  if (frame.visible < 2) return;
  const int useful = int(std::min<size_t>(threads, frame.visible / kMinKeysAThread + 1));
  // Sort only the bits in which the depths differ, in as few passes of equal width as possible.
  const uint32_t differing = low ^ high;
  int bits = 0;
  while (bits < 32 && differing >> bits) bits++;
  const int passes = (bits + kMaxDigitBits - 1) / kMaxDigitBits;
  if (passes == 0) return;
  const int digit_bits = (bits + passes - 1) / passes;
  uint32_t* const histograms = frame.histogram.resize(size_t(useful) << digit_bits);
  for (int pass = 0; pass < passes; pass++) {
    radix_pass(frame.keys.data(), frame.keys_other.data(), frame.visible, 32 + pass * digit_bits, digit_bits, useful,
               histograms);
    std::swap(frame.keys, frame.keys_other);
  }
}

void bin(Frame& frame, const Frame& sorted, int threads) {
  const size_t tiles = size_t(frame.tiles());
  frame.first_slot.resize(frame.count);
  frame.pairs_of.resize(frame.count);
  if (frame.found.size() < size_t(threads)) frame.found.resize(threads);
  size_t* const starts = frame.tile_start.resize(tiles + 1);
  std::vector<uint32_t> counts(tiles * threads, 0);
  std::vector<size_t> slots(threads + 1, 0);
#pragma omp parallel num_threads(threads)
  {
    const int thread = omp_get_thread_num();
    const Part part = part_of(sorted.visible, thread, omp_get_num_threads());
    FoundList found{frame.found[thread]};
    uint32_t* const mine = counts.data() + tiles * thread;
    for (size_t k = part.begin; k < part.end; k++) {
      const uint32_t index = uint32_t(sorted.keys[k]);
      if (k + 8 < part.end) __builtin_prefetch(&frame.splats[uint32_t(sorted.keys[k + 8])]);
      frame.first_slot[index] = uint32_t(found.count);
      if (frame.splats[index].extent_x > 0) find_pairs(frame, index, frame.splats[index], found);
      frame.pairs_of[index] = uint32_t(found.count) - frame.first_slot[index];
    }
    const Found* const pairs = found.memory.data();
    for (size_t k = 0; k < found.count; k++) mine[pairs[k].tile]++;
    slots[thread + 1] = found.count;
#pragma omp barrier
#pragma omp single
    {
      for (int t = 0; t < threads; t++) slots[t + 1] += slots[t];
      size_t start = 0;
      for (size_t tile = 0; tile < tiles; tile++) {
        starts[tile] = start;
        for (int t = 0; t < threads; t++) {
          uint32_t& entry = counts[tiles * t + tile];
          const uint32_t here = entry;
          entry = uint32_t(start);
          start += here;
        }
      }
      starts[tiles] = start;
      frame.pair_count = int64_t(start);
      frame.pairs.resize(start);
    }
    const uint32_t base = uint32_t(slots[thread]);
    for (size_t k = part.begin; k < part.end; k++) frame.first_slot[uint32_t(sorted.keys[k])] += base;
    for (size_t k = 0; k < found.count; k++) {
      frame.pairs[mine[pairs[k].tile]++] = {pairs[k].splat, uint32_t(base + k), pairs[k].first, pairs[k].last};
    }
  }
}

}  // namespace gss
