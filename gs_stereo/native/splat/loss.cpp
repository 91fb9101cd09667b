// (1 - w) L1 + w (1 - SSIM) and its gradient by the rendered image, in one pass over the pixels.
//
// SSIM (Wang et al. 2004) needs blurred x, y, x^2 + y^2 and x y (only the sum of the two variances occurs). With
//   n1 = 2 mx my + C1, d1 = mx^2 + my^2 + C1, n2 = 2 cov + C2, d2 = vx + vy + C2, ssim = n1 n2 / (d1 d2),
// the derivatives by mx, by blur(x^2) and by blur(x y) are blurred once more (the Gaussian is its own adjoint):
//   d/dx = blur(by_mx) + 2 x blur(by_xx) + y blur(by_xy).
// A task is a strip of columns of one channel. It streams down the rows through two rings of 11 horizontally blurred rows.
// A strip is so narrow that the rings stay in the innermost cache: rows as wide as the image, from the next cache, took
// twice as long.

#include <algorithm>
#include <vector>

#include "engine.h"

namespace gss {
namespace {

constexpr int kTaps = 11, kReach = kTaps / 2;
constexpr float kSigma = 1.5f, kC1 = 0.01f * 0.01f, kC2 = 0.03f * 0.03f;
constexpr int kMostColumns = 80, kRowFloats = 16;  // of a strip; rows in memory are whole cache lines
constexpr int kMaps = 4, kDerivatives = 3;
constexpr int kRowsAhead = 2;  // to prefetch

struct Window {
  float taps[kTaps];
  Window() {
    double weights[kTaps], total = 0;
    for (int k = 0; k < kTaps; k++) total += weights[k] = std::exp(-(k - kReach) * (k - kReach) / (2.0 * kSigma * kSigma));
    for (int k = 0; k < kTaps; k++) taps[k] = float(weights[k] / total);
  }
};
const Window kWindow;

int row_stride(int columns) { return (columns + 2 * kReach + kLanes + kRowFloats - 1) / kRowFloats * kRowFloats; }

// out[i] = sum_k taps[k] row[i + k], whole vectors.
void blur_row(const float* row, float* out, int count) {
  for (int i = 0; i < count; i += kLanes) {
    F total = load(row + i) * kWindow.taps[0];
    for (int k = 1; k < kTaps; k++) total += load(row + i + k) * kWindow.taps[k];
    store(out + i, total);
  }
}

// The last kTaps rows of several maps.
class Ring {
 public:
  Ring(float* memory, int maps, int stride) : memory_(memory), maps_(maps), stride_(stride) {}
  static size_t floats(int maps, int stride) { return size_t(kTaps) * maps * stride; }
  float* row(int map, int y) { return memory_ + (size_t((y + kTaps) % kTaps) * maps_ + map) * stride_; }
  void clear(int y) { std::fill(row(0, y), row(0, y) + size_t(maps_) * stride_, 0.0f); }
  // The vertical blur around row y. The eleven rows have names, so that their addresses stay in registers: read from
  // memory they would be half of all loads.
  void blur(int map, int y, float* out, int count) {
    const float *const a = row(map, y - 5), *const b = row(map, y - 4), *const c = row(map, y - 3),
                *const d = row(map, y - 2), *const e = row(map, y - 1), *const f = row(map, y),
                *const g = row(map, y + 1), *const h = row(map, y + 2), *const j = row(map, y + 3),
                *const k = row(map, y + 4), *const l = row(map, y + 5);
    const float* const taps = kWindow.taps;
    for (int i = 0; i < count; i += kLanes) {
      F total = load(f + i) * taps[5];
      total += (load(e + i) + load(g + i)) * taps[4];
      total += (load(d + i) + load(h + i)) * taps[3];
      total += (load(c + i) + load(j + i)) * taps[2];
      total += (load(b + i) + load(k + i)) * taps[1];
      total += (load(a + i) + load(l + i)) * taps[0];
      store(out + i, total);
    }
  }

 private:
  float* memory_;
  int maps_, stride_;
};

struct Sums {
  double l1 = 0, ssim = 0;
};

struct Plane {
  const float *x, *y;
  float* gradient;
  const bool* mask;  // elsewhere x counts as y; null = everywhere
  int width, height;
  float l1_scale, ssim_scale;  // of the gradient
};

// Columns left..right of a plane. Inputs are needed twice kReach beyond, their blurs and the derivatives once.
class Strip {
 public:
  Strip(const Plane& plane, int left, int right, Buffer<float>& memory)
      : plane_(plane), left_(left), right_(right), stride_(row_stride(right - left + 2 * kReach)),
        rows_(memory.resize(floats(stride_))), maps_(rows_ + kRows * stride_, kMaps, stride_),
        derivatives_(rows_ + kRows * stride_ + Ring::floats(kMaps, stride_), kDerivatives, stride_) {
    std::fill(rows_, rows_ + floats(stride_), 0.0f);
  }

  // The sums over the strip; writes its gradient.
  Sums run() {
    Sums sums;
    for (int y = -2 * kReach; y < plane_.height + 2 * kReach; y++) {
      blur_inputs(y);
      const int middle = y - kReach, done = middle - kReach;
      if (middle >= -kReach) sums.ssim += differentiate(middle);
      if (done >= 0 && done < plane_.height) sums.l1 += write_gradient(done);
    }
    return sums;
  }

 private:
  static constexpr int kRows = kMaps + kDerivatives + kMaps;  // to be blurred (0 outside the image); blurred by columns
  static size_t floats(int stride) {
    return kRows * size_t(stride) + Ring::floats(kMaps, stride) + Ring::floats(kDerivatives, stride);
  }
  bool inside(int y) const { return y >= 0 && y < plane_.height; }
  float* row(int map) { return rows_ + size_t(map) * stride_; }
  float* blurred(int map) { return row(kMaps + kDerivatives + map); }

  void blur_inputs(int y) {
    if (!inside(y)) return maps_.clear(y);
    const int first = std::max(left_ - 2 * kReach, 0), count = std::min(right_ + 2 * kReach, plane_.width) - first;
    const size_t offset = size_t(y) * plane_.width + first;
    const float *const x = plane_.x + offset, *const z = plane_.y + offset;
    for (int i = 0; i < count && y + kRowsAhead < plane_.height; i += kRowFloats) {
      __builtin_prefetch(x + kRowsAhead * plane_.width + i);
      __builtin_prefetch(z + kRowsAhead * plane_.width + i);
    }
    const int at = first - (left_ - 2 * kReach);  // in the rows of the strip
    float *const a = row(0) + at, *const b = row(1) + at, *const c = row(2) + at, *const d = row(3) + at;
    if (plane_.mask) {
      for (int i = 0; i < count; i++) a[i] = plane_.mask[offset + i] ? x[i] : z[i];
    } else {
      std::copy(x, x + count, a);
    }
    std::copy(z, z + count, b);
    for (int i = 0; i < count; i++) c[i] = a[i] * a[i] + b[i] * b[i];
    for (int i = 0; i < count; i++) d[i] = a[i] * b[i];
    for (int map = 0; map < kMaps; map++) blur_row(row(map), maps_.row(map, y), right_ - left_ + 2 * kReach);
  }

  // SSIM and its derivatives of one row; returns the sum of SSIM over the strip.
  double differentiate(int y) {
    if (!inside(y)) {
      derivatives_.clear(y);
      return 0;
    }
    const int count = right_ - left_ + 2 * kReach;
    for (int map = 0; map < kMaps; map++) maps_.blur(map, y, blurred(map), count);
    float *const by_mean = row(kMaps), *const by_square = row(kMaps + 1), *const by_product = row(kMaps + 2);
    F total = splat(0);
    for (int i = 0; i < count; i += kLanes) {
      const F mx = load(blurred(0) + i), my = load(blurred(1) + i);
      const F variances = load(blurred(2) + i) - mx * mx - my * my;
      const F covariance = load(blurred(3) + i) - mx * my;
      const F n1 = 2.0f * mx * my + kC1, d1 = mx * mx + my * my + kC1;
      const F n2 = 2.0f * covariance + kC2, d2 = variances + kC2;
      const F r1 = 1.0f / d1, r2 = 1.0f / d2;
      const F luminance = n1 * r1, ssim = luminance * n2 * r2;
      const F square = -ssim * r2, product = 2.0f * luminance * r2;
      const F column = lane_index() + float(i - kReach);
      total += keep(both(less(splat(-1), column), less(column, splat(float(right_ - left_)))), ssim);
      const F in_image = column + float(left_);
      const M here = both(less(splat(-1), in_image), less(in_image, splat(float(plane_.width))));
      store(by_mean + i, keep(here, 2.0f * r1 * (my * n2 * r2 - mx * ssim) - 2.0f * mx * square - my * product));
      store(by_square + i, keep(here, square));
      store(by_product + i, keep(here, product));
    }
    for (int map = 0; map < kDerivatives; map++) blur_row(row(kMaps + map), derivatives_.row(map, y), right_ - left_);
    return sum(total);
  }

  // The gradient of one row; returns the sum of |x - y|.
  double write_gradient(int y) {
    const int count = right_ - left_;
    for (int map = 0; map < kDerivatives; map++) derivatives_.blur(map, y, blurred(map), count);
    F total = splat(0);
    int i = 0;
    for (; i + kLanes <= count; i += kLanes) total += gradient_at(y, i, kLanes);
    if (i < count) total += gradient_at(y, i, count - i);
    return sum(total);
  }

  // The gradient of `count` pixels from column i of the strip; returns their |x - y|.
  GSS_INLINE F gradient_at(int y, int i, int count) {
    const size_t offset = size_t(y) * plane_.width + left_ + i, bytes = 4 * size_t(count);
    F x = splat(0), z = splat(0);
    std::memcpy(&x, plane_.x + offset, bytes);
    std::memcpy(&z, plane_.y + offset, bytes);
    M shown = less(splat(-1), splat(0));  // everywhere
    if (plane_.mask) {
      float lanes[kLanes];
      for (int lane = 0; lane < kLanes; lane++) lanes[lane] = lane < count && plane_.mask[offset + lane];
      shown = less(splat(0), load(lanes));
      x = select(shown, x, z);
    }
    const F difference = x - z;
    const F sign = keep(less(splat(0), difference), splat(1)) - keep(less(difference, splat(0)), splat(1));
    const F by_ssim = load(blurred(0) + i) + 2.0f * x * load(blurred(1) + i) + z * load(blurred(2) + i);
    const F gradient = keep(shown, plane_.l1_scale * sign + plane_.ssim_scale * by_ssim);
    std::memcpy(plane_.gradient + offset, &gradient, bytes);
    return absolute(difference);
  }

  const Plane plane_;
  const int left_, right_, stride_;
  float* const rows_;
  Ring maps_, derivatives_;
};

}  // namespace

void l1_dssim(Loss& loss) {
  const int height = loss.height, width = loss.width;
  const float weight = loss.dssim_weight;
  const int strips = (width + kMostColumns - 1) / kMostColumns, tasks = loss.planes * strips;
  const int columns = (width + strips - 1) / strips;
  const double scale = 1.0 / (double(loss.planes) * height * width);
  std::vector<Sums> sums(tasks);
#pragma omp parallel num_threads(loss.threads)
  {
    Buffer<float> memory;
#pragma omp for schedule(dynamic, 1)
    for (int task = 0; task < tasks; task++) {
      const size_t offset = size_t(task / strips) * height * width;
      const Plane plane = {loss.rendered + offset, loss.photo + offset, loss.gradient + offset, loss.mask, width, height,
                           float((1 - weight) * scale), float(-weight * scale)};
      const int left = task % strips * columns;
      sums[task] = Strip(plane, left, std::min(left + columns, width), memory).run();
    }
  }
  Sums total;
  for (const Sums& part : sums) {
    total.l1 += part.l1;
    total.ssim += part.ssim;
  }
  loss.value = (1 - weight) * total.l1 * scale + weight * (1 - total.ssim * scale);
}

}  // namespace gss
