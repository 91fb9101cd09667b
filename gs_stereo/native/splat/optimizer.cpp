// One step of Adam (Kingma & Ba 2015) over several tensors, optionally only for some rows.
//
// The step is bound by memory, so parameter, gradient and both running means are walked once. Runs of rows to update
// are treated as one flat range. The caller folds the bias correction into step_size and root_scale.

#include <algorithm>

#include "engine.h"

namespace gss {
namespace {

constexpr int64_t kChunkFloats = 1 << 14;

GSS_INLINE void update(const AdamTensor& tensor, const Adam& step, int64_t at, int count) {
  F g = splat(0), m = g, v = g, p = g;
  const size_t bytes = 4 * size_t(count);
  std::memcpy(&g, tensor.gradient + at, bytes);
  std::memcpy(&m, tensor.first + at, bytes);
  std::memcpy(&v, tensor.second + at, bytes);
  std::memcpy(&p, tensor.parameter + at, bytes);
  m += (g - m) * (1.0f - step.beta1);
  v = v * step.beta2 + (1.0f - step.beta2) * (g * g);
  p -= tensor.step_size * m / (sqrt(v) * step.root_scale + step.eps);
  std::memcpy(tensor.first + at, &m, bytes);
  std::memcpy(tensor.second + at, &v, bytes);
  std::memcpy(tensor.parameter + at, &p, bytes);
}

void update_range(const AdamTensor& tensor, const Adam& step, int64_t begin, int64_t end) {
  int64_t at = begin;
  for (; at + kLanes <= end; at += kLanes) update(tensor, step, at, kLanes);
  if (at < end) update(tensor, step, at, int(end - at));
}

void update_rows(const AdamTensor& tensor, const Adam& step, int64_t begin, int64_t end) {
  if (!step.visible) return update_range(tensor, step, begin * tensor.row, end * tensor.row);
  while (begin < end) {
    while (begin < end && !step.visible[begin]) begin++;
    int64_t stop = begin;
    while (stop < end && step.visible[stop]) stop++;
    update_range(tensor, step, begin * tensor.row, stop * tensor.row);
    begin = stop;
  }
}

}  // namespace

void adam(const Adam& step) {
#pragma omp parallel num_threads(step.threads)
  for (int k = 0; k < step.count; k++) {
    const AdamTensor& tensor = step.tensors[k];
    const int64_t rows = std::max<int64_t>(1, kChunkFloats / std::max<int64_t>(1, tensor.row));
    const int64_t chunks = (tensor.rows + rows - 1) / rows;
#pragma omp for schedule(static) nowait
    for (int64_t chunk = 0; chunk < chunks; chunk++)
      update_rows(tensor, step, chunk * rows, std::min((chunk + 1) * rows, tensor.rows));
  }
}

}  // namespace gss
