// (1 - w) L1 + w (1 - SSIM) and its gradient by the rendered image, in one pass over the pixels.
//
// SSIM (Wang et al. 2004) needs blurred x, y, x^2 + y^2 and x y (only the sum of the two variances occurs). With
//   n1 = 2 mx my + C1, d1 = mx^2 + my^2 + C1, n2 = 2 cov + C2, d2 = vx + vy + C2, ssim = n1 n2 / (d1 d2),
// the derivatives by mx, by blur(x^2) and by blur(x y) are blurred once more (the Gaussian is its own adjoint):
//   d/dx = blur(by_mx) + 2 x blur(by_xx) + y blur(by_xy).
// A task is a band of rows of one channel. It streams down its rows through two rings of 11 horizontally blurred rows,
// so that what it works on stays in the cache.

#include <algorithm>
#include <vector>

#include "engine.h"

namespace gss {
namespace {

constexpr int kTaps = 11, kReach = kTaps / 2;
constexpr float kSigma = 1.5f, kC1 = 0.01f * 0.01f, kC2 = 0.03f * 0.03f;
constexpr int kBandRows = 64;
constexpr int kMaps = 4, kDerivatives = 3;

struct Window {
  float taps[kTaps];
  Window() {
    double weights[kTaps], total = 0;
    for (int k = 0; k < kTaps; k++) total += weights[k] = std::exp(-(k - kReach) * (k - kReach) / (2.0 * kSigma * kSigma));
    for (int k = 0; k < kTaps; k++) taps[k] = float(weights[k] / total);
  }
};
const Window kWindow;

// Rows are padded so that every load and store is a whole vector; the padding on the left holds the zeros that blur needs.
constexpr int kPad = (kReach + kLanes - 1) / kLanes * kLanes;
int row_stride(int width) { return kPad + (width + kLanes - 1) / kLanes * kLanes + kPad; }

// out[x] = sum_k taps[k] row[x + k - kReach]; `row` points at pixel 0 of a padded row with zeros on both sides.
void blur_row(const float* row, float* out, int width) {
  for (int x = 0; x < width; x += kLanes) {
    F total = load(row + x - kReach) * kWindow.taps[0];
    for (int k = 1; k < kTaps; k++) total += load(row + x + k - kReach) * kWindow.taps[k];
    store(out + x, total);
  }
}

// The last kTaps rows of several maps.
class Ring {
 public:
  Ring(int maps, int width) : maps_(maps), stride_(row_stride(width)), rows_(size_t(kTaps) * maps * stride_) {}
  float* row(int map, int y) { return rows_.data() + (size_t((y + kTaps) % kTaps) * maps_ + map) * stride_; }
  void clear(int y) { std::fill(row(0, y), row(0, y) + size_t(maps_) * stride_, 0.0f); }
  // The vertical blur around row y, of kLanes pixels from x.
  GSS_INLINE F blurred(const float* const* rows, int x) const {
    F total = load(rows[0] + x) * kWindow.taps[0];
    for (int k = 1; k < kTaps; k++) total += load(rows[k] + x) * kWindow.taps[k];
    return total;
  }
  void around(int map, int y, const float** rows) {
    for (int k = 0; k < kTaps; k++) rows[k] = row(map, y + k - kReach);
  }

 private:
  int maps_, stride_;
  std::vector<float> rows_;
};

struct Sums {
  double l1 = 0, ssim = 0;
};

struct Plane {
  const float *x, *y;
  float* gradient;
  int width, height;
  float l1_scale, ssim_scale;  // of the gradient
};

class Band {
 public:
  explicit Band(const Plane& plane)
      : plane_(plane), maps_(kMaps, plane.width), derivatives_(kDerivatives, plane.width),
        padded_(std::max(kMaps, kDerivatives) * size_t(row_stride(plane.width)), 0.0f) {}

  // Adds the values of rows begin..end and writes their gradient.
  Sums run(int begin, int end) {
    Sums sums;
    for (int y = begin - 2 * kReach; y < end + 2 * kReach; y++) {
      blur_inputs(y);
      const int middle = y - kReach;
      if (middle >= begin - kReach) {
        const double ssim = differentiate(middle);
        if (middle >= begin && middle < end) sums.ssim += ssim;
      }
      const int done = middle - kReach;
      if (done >= begin && done < end) sums.l1 += write_gradient(done);
    }
    return sums;
  }

 private:
  bool inside(int y) const { return y >= 0 && y < plane_.height; }
  float* padded(int map) { return padded_.data() + size_t(map) * row_stride(plane_.width) + kPad; }

  void blur_inputs(int y) {
    if (!inside(y)) return maps_.clear(y);
    const float *const x = plane_.x + size_t(y) * plane_.width, *const z = plane_.y + size_t(y) * plane_.width;
    float *const a = padded(0), *const b = padded(1), *const c = padded(2), *const d = padded(3);
    for (int i = 0; i < plane_.width; i++) {
      a[i] = x[i];
      b[i] = z[i];
      c[i] = x[i] * x[i] + z[i] * z[i];
      d[i] = x[i] * z[i];
    }
    for (int map = 0; map < kMaps; map++) {
      clear_right(padded(map));
      blur_row(padded(map), maps_.row(map, y), plane_.width);
    }
  }

  void clear_right(float* row) { std::fill(row + plane_.width, row + row_stride(plane_.width) - kPad, 0.0f); }

  // SSIM and its derivatives of one row; returns the sum of SSIM.
  double differentiate(int y) {
    if (!inside(y)) {
      derivatives_.clear(y);
      return 0;
    }
    const float* rows[kMaps][kTaps];
    for (int map = 0; map < kMaps; map++) maps_.around(map, y, rows[map]);
    float *const by_mean = padded(0), *const by_square = padded(1), *const by_product = padded(2);
    F total = splat(0);
    for (int i = 0; i < plane_.width; i += kLanes) {
      const F mx = maps_.blurred(rows[0], i), my = maps_.blurred(rows[1], i);
      const F variances = maps_.blurred(rows[2], i) - mx * mx - my * my;
      const F covariance = maps_.blurred(rows[3], i) - mx * my;
      const F n1 = 2.0f * mx * my + kC1, d1 = mx * mx + my * my + kC1;
      const F n2 = 2.0f * covariance + kC2, d2 = variances + kC2;
      const F r1 = 1.0f / d1, r2 = 1.0f / d2;
      const F luminance = n1 * r1, ssim = luminance * n2 * r2;
      const F square = -ssim * r2, product = 2.0f * luminance * r2;
      const F inside = keep(less(lane_index(), splat(float(plane_.width - i))), ssim);
      total += inside;
      store(by_mean + i, 2.0f * r1 * (my * n2 * r2 - mx * ssim) - 2.0f * mx * square - my * product);
      store(by_square + i, square);
      store(by_product + i, product);
    }
    for (int map = 0; map < kDerivatives; map++) {
      clear_right(padded(map));
      blur_row(padded(map), derivatives_.row(map, y), plane_.width);
    }
    return sum(total);
  }

  // The gradient of one row; returns the sum of |x - y|.
  double write_gradient(int y) {
    const float* rows[kDerivatives][kTaps];
    for (int map = 0; map < kDerivatives; map++) derivatives_.around(map, y, rows[map]);
    const size_t offset = size_t(y) * plane_.width;
    F total = splat(0);
    for (int i = 0; i < plane_.width; i += kLanes) {
      const int count = std::min(kLanes, plane_.width - i);
      F x = splat(0), z = splat(0);
      if (count == kLanes) {
        x = load(plane_.x + offset + i);
        z = load(plane_.y + offset + i);
      } else {
        std::memcpy(&x, plane_.x + offset + i, 4 * size_t(count));
        std::memcpy(&z, plane_.y + offset + i, 4 * size_t(count));
      }
      const F difference = x - z;
      total += absolute(difference);
      const F sign = keep(less(splat(0), difference), splat(1)) - keep(less(difference, splat(0)), splat(1));
      const F by_ssim = derivatives_.blurred(rows[0], i) + 2.0f * x * derivatives_.blurred(rows[1], i) +
                        z * derivatives_.blurred(rows[2], i);
      const F gradient = plane_.l1_scale * sign + plane_.ssim_scale * by_ssim;
      std::memcpy(plane_.gradient + offset + i, &gradient, 4 * size_t(count));
    }
    return sum(total);
  }

  const Plane plane_;
  Ring maps_, derivatives_;
  std::vector<float> padded_;
};

}  // namespace

void l1_dssim(Loss& loss) {
  const int height = loss.height, width = loss.width;
  const float weight = loss.dssim_weight;
  const int bands = (height + kBandRows - 1) / kBandRows, tasks = loss.planes * bands;
  const double scale = 1.0 / (double(loss.planes) * height * width);
  std::vector<Sums> sums(tasks);
#pragma omp parallel for schedule(dynamic, 1) num_threads(loss.threads)
  for (int task = 0; task < tasks; task++) {
    const size_t offset = size_t(task / bands) * height * width;
    Band band({loss.rendered + offset, loss.photo + offset, loss.gradient + offset, width, height,
               float((1 - weight) * scale), float(-weight * scale)});
    const int begin = task % bands * kBandRows;
    sums[task] = band.run(begin, std::min(begin + kBandRows, height));
  }
  Sums total;
  for (const Sums& part : sums) {
    total.l1 += part.l1;
    total.ssim += part.ssim;
  }
  loss.value = (1 - weight) * total.l1 * scale + weight * (1 - total.ssim * scale);
}

}  // namespace gss
