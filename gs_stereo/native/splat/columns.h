// Rows of an array of structs as columns of lanes, and back: the lanes of a column are kLanes consecutive Gaussians.
#pragma once

#include <algorithm>

#include "simd.h"

namespace gss {

// kLanes rows from `first`; lanes past the last row repeat it.
struct Rows {
  int64_t first, count;
  bool full() const { return first + kLanes <= count; }
  int64_t row(int lane) const { return std::min(first + lane, count - 1); }
};

// Asks for kLanes whole rows ahead of their use, or of being written.
template <bool kWrite = false>
GSS_INLINE void prefetch_rows(const float* base, int stride, Rows rows) {
  constexpr int kLineFloats = 16;
  const float* const start = base + rows.first * stride;
  const int64_t floats = std::min<int64_t>(kLanes, rows.count - rows.first) * stride;
  for (int64_t at = 0; at < floats; at += kLineFloats) __builtin_prefetch(start + at, kWrite);
}

// columns[k] = base[row * stride + k] for k < width.
GSS_INLINE void load_columns(const float* base, int stride, int width, Rows rows, F* columns) {
  int k = 0;
  for (; k + kLanes <= width; k += kLanes) {
    for (int lane = 0; lane < kLanes; lane++) columns[k + lane] = load(base + rows.row(lane) * stride + k);
    transpose(columns + k);
  }
  for (; k < width; k++) {
    float lanes[kLanes];
    for (int lane = 0; lane < kLanes; lane++) lanes[lane] = base[rows.row(lane) * stride + k];
    columns[k] = load(lanes);
  }
}

// The inverse of load_columns; `accumulate` adds to what is there. Overwrites `columns`.
GSS_INLINE void store_columns(float* base, int stride, int width, Rows rows, F* columns, bool accumulate) {
  const int lanes_used = int(std::min<int64_t>(kLanes, rows.count - rows.first));
  float* const start = base + rows.first * stride;
  int k = 0;
  for (; k + kLanes <= width; k += kLanes) {
    transpose(columns + k);
    for (int lane = 0; lane < lanes_used; lane++) {
      float* const to = start + lane * stride + k;
      store(to, accumulate ? load(to) + columns[k + lane] : columns[k + lane]);
    }
  }
  for (; k < width; k++)
    for (int lane = 0; lane < lanes_used; lane++) {
      float& to = start[lane * stride + k];
      to = accumulate ? to + columns[k][lane] : columns[k][lane];
    }
}

}  // namespace gss
