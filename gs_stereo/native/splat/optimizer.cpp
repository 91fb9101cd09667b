// One step of Adam (Kingma & Ba 2015) over several tensors, optionally only for some rows.
//
// The step is bound by memory, so parameter, gradient and both running means are walked once. Runs of rows to update
// are treated as one flat range. The caller folds the bias correction into step_size and root_scale.

#include <algorithm>
#include <vector>

#include "engine.h"

namespace gss {
namespace {

constexpr int64_t kChunkFloats = 1 << 14;

// Of `count` values from `at`, whose step sizes are given.
GSS_INLINE void update(const AdamTensor& tensor, const Adam& step, const float* step_sizes, int64_t at, int count) {
  F g = splat(0), m = g, v = g, p = g;
  const size_t bytes = 4 * size_t(count);
  std::memcpy(&g, tensor.gradient + at, bytes);
  std::memcpy(&m, tensor.first + at, bytes);
  std::memcpy(&v, tensor.second + at, bytes);
  std::memcpy(&p, tensor.parameter + at, bytes);
  m += (g - m) * (1.0f - step.beta1);
  v = v * step.beta2 + (1.0f - step.beta2) * (g * g);
  p -= load(step_sizes) * m / (sqrt(v) * step.root_scale + step.eps);
  std::memcpy(tensor.first + at, &m, bytes);
  std::memcpy(tensor.second + at, &v, bytes);
  std::memcpy(tensor.parameter + at, &p, bytes);
}

// A tensor and the step sizes of its columns, repeated so that a vector can be loaded at any column.
struct Stepped {
  const AdamTensor& tensor;
  std::vector<float> step_sizes;

  explicit Stepped(const AdamTensor& of) : tensor(of), step_sizes(size_t(of.row) + kLanes) {
    for (size_t k = 0; k < step_sizes.size(); k++) step_sizes[k] = of.step_sizes[k % size_t(of.row)];
  }
};

// From the beginning of a row.
void update_range(const Stepped& stepped, const Adam& step, int64_t begin, int64_t end) {
  const AdamTensor& tensor = stepped.tensor;
  const float* const step_sizes = stepped.step_sizes.data();
  const int64_t ahead = kLanes % tensor.row;  // columns that a vector moves on
  int64_t at = begin, column = 0;
  for (; at + kLanes <= end; at += kLanes) {
    update(tensor, step, step_sizes + column, at, kLanes);
    column += ahead;
    if (column >= tensor.row) column -= tensor.row;
  }
  if (at < end) update(tensor, step, step_sizes + column, at, int(end - at));
}

void update_rows(const Stepped& stepped, const Adam& step, int64_t begin, int64_t end) {
  const int64_t row = stepped.tensor.row;
  if (!step.visible) return update_range(stepped, step, begin * row, end * row);
  while (begin < end) {
    while (begin < end && !step.visible[begin]) begin++;
    int64_t stop = begin;
    while (stop < end && step.visible[stop]) stop++;
    update_range(stepped, step, begin * row, stop * row);
    begin = stop;
  }
}

}  // namespace

void adam(const Adam& step) {
  std::vector<Stepped> tensors;
  for (int k = 0; k < step.count; k++)
    if (step.tensors[k].row > 0) tensors.emplace_back(step.tensors[k]);
#pragma omp parallel num_threads(step.threads)
  for (const Stepped& stepped : tensors) {
    const int64_t count = stepped.tensor.rows, rows = std::max<int64_t>(1, kChunkFloats / stepped.tensor.row);
    const int64_t chunks = (count + rows - 1) / rows;
#pragma omp for schedule(static) nowait
    for (int64_t chunk = 0; chunk < chunks; chunk++)
      update_rows(stepped, step, chunk * rows, std::min((chunk + 1) * rows, count));
  }
}

}  // namespace gss
