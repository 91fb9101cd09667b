// Kernels of the multi-view sweep behind the C interface of interface.h.
//
// plane_costs: photometric cost of planes of constant depth at every pixel. Each plane warps a view by one homography
//   (Collins 1996), square windows are compared by normalised cross-correlation, and the costs of the best views are
//   averaged, so that a point hidden on one side is judged by the other (Kang, Szeliski & Chai 2001).
// patch_costs: photometric cost of one plane per pixel. Inverse depth of a plane is linear in the image (w, w_x, w_y),
//   so a window is warped into another view by one homography, linearised at the window's centre. The windows are
//   compared by normalised cross-correlation with bilateral weights (Yoon & Kweon 2006; Schoenberger et al. 2016), and
//   the costs of the best views are averaged, which leaves out the views in which the point is hidden.
// aggregate: semi-global aggregation of a cost volume (Hirschmueller 2008) along eight paths.
//
// Every pixel is computed by itself, or in a fixed order, so results do not depend on the number of threads.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "interface.h"

#if defined(_OPENMP)
#include <omp.h>
#else
inline int omp_get_thread_num() { return 0; }
#endif

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define GS_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define GS_CLONES
#endif

#define GS_INLINE inline __attribute__((always_inline))  // so that it is compiled for the level of its caller

GS_LIBRARY({"View", sizeof(View)}, {"Sweep", sizeof(Sweep)}, {"Patches", sizeof(Patches)}, {"Planes", sizeof(Planes)},
           {"Volume", sizeof(Volume)})

namespace {

using gs::require;

constexpr int kMaxSamples = 128;
constexpr int kMaxViews = 62;
constexpr int kMaxRadius = 16;
constexpr int64_t kChunk = 2048;
constexpr int kLanes = 16;    // pixels side by side: one register of AVX-512
constexpr int kUnrolled = 4;  // samples between two looks at the sums
constexpr int kBand = 16;  // rows whose costs of all planes stay in the cache
constexpr float kLeastDepthRatio = 1e-3f;

// By value: references, as std::min returns them, keep loops from being vectorised. 0 for what is no number.
GS_INLINE float clamped(float value, float top) { return value > 0 ? value < top ? value : top : 0; }

// The gray value at a place inside a view whose rows have `stride` words, bilinear. Callers keep both in variables of
// their own: read from the view for every sample, they cost the patch kernel a tenth of its time.
GS_INLINE float sampled(const uint32_t* quads, int32_t stride, float x, float y) {
  const int32_t column = static_cast<int32_t>(x), line = static_cast<int32_t>(y);
  const float fx = x - static_cast<float>(column), fy = y - static_cast<float>(line);
  const uint32_t quad = quads[line * stride + column];
  const float a = static_cast<float>(static_cast<int32_t>(quad & 255));
  const float b = static_cast<float>(static_cast<int32_t>(quad >> 8 & 255));
  const float c = static_cast<float>(static_cast<int32_t>(quad >> 16 & 255));
  const float d = static_cast<float>(static_cast<int32_t>(quad >> 24));
  const float top = a + fx * (b - a), low = c + fx * (d - c);
  return top + fy * (low - top);
}

// Of pixels that are worked on side by side: what a view's window is compared with. Left weights sum to one; deviation:
// weight times the deviation from the mean.
struct Windows {
  alignas(64) float weight[kMaxSamples][kLanes], deviation[kMaxSamples][kLanes];
  alignas(64) float mean[kLanes], variance[kLanes];
};

// Pixels side by side, with a plane each.
struct Lanes {
  alignas(64) int32_t x[kLanes], y[kLanes];
  alignas(64) float w[kLanes], w_x[kLanes], w_y[kLanes];
};

// Sampling offsets and weights, padded by samples of weight zero.
struct Pattern {
  int32_t dx[kMaxSamples], dy[kMaxSamples], padded;
  float weight[kMaxSamples];
};

Pattern padded_pattern(const Patches& patches) {
  Pattern pattern{};
  for (int s = 0; s < patches.sample_count; ++s) {
    pattern.dx[s] = patches.samples[2 * s];
    pattern.dy[s] = patches.samples[2 * s + 1];
    pattern.weight[s] = patches.sample_weights[s];
  }
  pattern.padded = (patches.sample_count + kUnrolled - 1) / kUnrolled * kUnrolled;
  return pattern;
}

// The left image: red, green, blue and gray in the bytes of one word, lowest byte first, so that one load gets a pixel.
std::vector<uint32_t> packed(const Sweep& sweep) {
  std::vector<uint32_t> words(static_cast<size_t>(sweep.width) * sweep.height);
  for (size_t i = 0; i < words.size(); ++i) {
    const uint8_t* colour = sweep.rgb + 3 * i;
    words[i] = colour[0] | colour[1] << 8 | colour[2] << 16 | static_cast<uint32_t>(sweep.gray[i]) << 24;
  }
  return words;
}

GS_INLINE int32_t difference_of(uint32_t word, uint32_t other, int shift) {
  return std::abs(static_cast<int32_t>(word >> shift & 255) - static_cast<int32_t>(other >> shift & 255));
}

// words: of `packed`.
GS_INLINE void fill_windows(const Sweep& sweep, const uint32_t* words, const Pattern& pattern,
                            const float* colour_weights, const Lanes& lanes, Windows& windows) {
  const int32_t width = sweep.width, right = width - 1, bottom = sweep.height - 1;
  alignas(64) uint32_t middle[kLanes];
  alignas(64) float sum[kLanes] = {}, mean[kLanes] = {}, variance[kLanes] = {};
#pragma omp simd
  for (int l = 0; l < kLanes; ++l) middle[l] = words[lanes.y[l] * width + lanes.x[l]];
  for (int s = 0; s < pattern.padded; ++s) {
    const int32_t dx = pattern.dx[s], dy = pattern.dy[s];
    const float near = pattern.weight[s];
    float *const weight = windows.weight[s], *const value = windows.deviation[s];
#pragma omp simd
    for (int l = 0; l < kLanes; ++l) {
      const int32_t i = lanes.x[l] + dx, j = lanes.y[l] + dy;
      const int32_t column = i > 0 ? i < right ? i : right : 0, row = j > 0 ? j < bottom ? j : bottom : 0;
      const uint32_t word = words[row * width + column], own = middle[l];
      const int32_t red = difference_of(word, own, 0), green = difference_of(word, own, 8),
                    blue = difference_of(word, own, 16);
      const int32_t larger = red > green ? red : green, largest = larger > blue ? larger : blue;
      const float inside = ((column == i) & (row == j)) ? near : 0.0f, alike = inside * colour_weights[largest];
      weight[l] = alike;
      value[l] = static_cast<float>(static_cast<int32_t>(word >> 24));
      sum[l] += alike;
      mean[l] += alike * value[l];
    }
  }
#pragma omp simd
  for (int l = 0; l < kLanes; ++l) {
    sum[l] = 1 / sum[l];
    mean[l] *= sum[l];
  }
  for (int s = 0; s < pattern.padded; ++s) {
    float *const weight = windows.weight[s], *const deviation = windows.deviation[s];
#pragma omp simd
    for (int l = 0; l < kLanes; ++l) {
      const float centred = deviation[l] - mean[l];
      weight[l] *= sum[l];
      deviation[l] = weight[l] * centred;
      variance[l] += deviation[l] * centred;
    }
  }
  std::copy_n(mean, kLanes, windows.mean);
  std::copy_n(variance, kLanes, windows.variance);
}

// 1 - correlation of the windows with their images under the planes. NaN where the centre does not fall into the view,
// and where no sample is like the centre, so that the window has no weight.
GS_INLINE void view_costs(const View& view, const Pattern& pattern, const Windows& windows, const Lanes& lanes,
                          float noise_variance, float* costs) {
  const float right = static_cast<float>(view.width - 1), bottom = static_cast<float>(view.height - 1);
  const uint32_t* const quads = view.quads;
  const int32_t stride = view.width;
  const float* const r = view.rotation;
  const float shift_x = view.shift[0], shift_y = view.shift[1], shift_z = view.shift[2];
  alignas(64) float u[kLanes], v[kLanes], u_x[kLanes], u_y[kLanes], v_x[kLanes], v_y[kLanes], seen[kLanes];
  alignas(64) float mean[kLanes] = {}, square[kLanes] = {}, covariance[kLanes] = {};
#pragma omp simd
  for (int l = 0; l < kLanes; ++l) {
    const float x = static_cast<float>(lanes.x[l]), y = static_cast<float>(lanes.y[l]);
    const float w = lanes.w[l], w_x = lanes.w_x[l], w_y = lanes.w_y[l];
    const float z = r[6] * x + r[7] * y + r[8] + w * shift_z;
    const bool front = z > kLeastDepthRatio;
    const float scale = 1 / (front ? z : 1.0f);
    u[l] = (r[0] * x + r[1] * y + r[2] + w * shift_x) * scale;
    v[l] = (r[3] * x + r[4] * y + r[5] + w * shift_y) * scale;
    const float z_x = r[6] + w_x * shift_z, z_y = r[7] + w_y * shift_z;
    u_x[l] = (r[0] + w_x * shift_x - u[l] * z_x) * scale;
    u_y[l] = (r[1] + w_y * shift_x - u[l] * z_y) * scale;
    v_x[l] = (r[3] + w_x * shift_y - v[l] * z_x) * scale;
    v_y[l] = (r[4] + w_y * shift_y - v[l] * z_y) * scale;
    seen[l] = (front & (u[l] >= 0) & (v[l] >= 0) & (u[l] <= right) & (v[l] <= bottom)) ? 1.0f : 0.0f;
  }
  for (int s = 0; s < pattern.padded; s += kUnrolled) {
#pragma omp simd
    for (int l = 0; l < kLanes; ++l) {
      float sum_of = 0, square_of = 0, product_of = 0;
      for (int k = s; k < s + kUnrolled; ++k) {
        const float dx = static_cast<float>(pattern.dx[k]), dy = static_cast<float>(pattern.dy[k]);
        const float x = clamped(u[l] + dx * u_x[l] + dy * u_y[l], right);
        const float y = clamped(v[l] + dx * v_x[l] + dy * v_y[l], bottom);
        const float value = sampled(quads, stride, x, y) - windows.mean[l];  // near zero: the squares keep their digits
        const float weighted = windows.weight[k][l] * value;
        sum_of += weighted;
        square_of += weighted * value;
        product_of += windows.deviation[k][l] * value;
      }
      mean[l] += sum_of;
      square[l] += square_of;
      covariance[l] += product_of;
    }
  }
#pragma omp simd
  for (int l = 0; l < kLanes; ++l) {
    const float spread = square[l] - mean[l] * mean[l], variance = spread > 0 ? spread : 0;
    const float found =
        1 - covariance[l] / std::sqrt((windows.variance[l] + noise_variance) * (variance + noise_variance));
    costs[l] = seen[l] > 0 ? found < 0 ? 0.0f : found : NAN;
  }
}

// The lowest costs of a pixel's views, in order, and how many views see it.
struct Best {
  alignas(64) float cost[kMaxViews][kLanes];
  alignas(64) int32_t seen[kLanes] = {};

  explicit Best(int count) { std::fill_n(&cost[0][0], count * kLanes, INFINITY); }

  GS_INLINE void add(const float* costs, int count) {
    alignas(64) float left[kLanes];
#pragma omp simd
    for (int l = 0; l < kLanes; ++l) {
      seen[l] += costs[l] >= 0;
      left[l] = costs[l] >= 0 ? costs[l] : INFINITY;
    }
    for (int rank = 0; rank < count; ++rank) {
#pragma omp simd
      for (int l = 0; l < kLanes; ++l) {
        const float kept = cost[rank][l], other = left[l];
        cost[rank][l] = other < kept ? other : kept;
        left[l] = other < kept ? kept : other;
      }
    }
  }

  // Of half the views that see the pixel, at least two and at most `count`. With one view, or none, the missing cost
  // stands in.
  GS_INLINE void means(int count, float missing, float* answer) const {
    alignas(64) float sum[kLanes] = {}, used[kLanes] = {};
    for (int rank = 0; rank < count; ++rank) {
#pragma omp simd
      for (int l = 0; l < kLanes; ++l) {
        const bool counts = (rank < 2) | (rank < (seen[l] + 1) / 2);
        sum[l] += counts ? rank < seen[l] ? cost[rank][l] : missing : 0.0f;
        used[l] += counts ? 1.0f : 0.0f;
      }
    }
    for (int l = 0; l < kLanes; ++l) answer[l] = sum[l] / used[l];
  }
};

GS_CLONES void cost_range(const Sweep& sweep, const uint32_t* words, const Pattern& pattern, const Patches& patches,
                          int64_t from, int64_t to) {
  const int best_views = std::min(patches.best_views, kMaxViews);
  Windows windows;
  Lanes lanes;
  alignas(64) float costs[kLanes];
  for (int64_t start = from; start < to; start += kLanes) {
    const int filled = static_cast<int>(std::min<int64_t>(kLanes, to - start));
    for (int l = 0; l < kLanes; ++l) {
      const int64_t i = start + std::min(l, filled - 1);
      lanes.x[l] = patches.pixels[i] % sweep.width;
      lanes.y[l] = patches.pixels[i] / sweep.width;
      lanes.w[l] = patches.planes[i];
      lanes.w_x[l] = patches.planes[patches.count + i];
      lanes.w_y[l] = patches.planes[2 * patches.count + i];
    }
    fill_windows(sweep, words, pattern, patches.colour_weights, lanes, windows);
    Best best(best_views);
    for (int k = 0; k < sweep.view_count; ++k) {
      view_costs(sweep.views[k], pattern, windows, lanes, sweep.noise_variance, costs);
      std::copy_n(costs, filled, patches.by_view + k * patches.count + start);
      best.add(costs, best_views);
    }
    best.means(best_views, sweep.missing_cost, costs);
    std::copy_n(costs, filled, patches.cost + start);
  }
}

bool is_image(int64_t width, int64_t height) { return width > 0 && height > 0 && width * height <= INT32_MAX; }

void check(const Sweep& sweep) {
  require(is_image(sweep.width, sweep.height), "An image of %d x %d cannot be swept.", sweep.width, sweep.height);
  require(sweep.view_count >= 1 && sweep.view_count <= kMaxViews && sweep.threads >= 1,
          "A sweep has %d views and %d threads; the kernel takes 1 to %d views.", sweep.view_count, sweep.threads,
          kMaxViews);
  for (int k = 0; k < sweep.view_count; ++k)
    require(is_image(sweep.views[k].width, sweep.views[k].height), "View %d is an image of %d x %d.", k,
            sweep.views[k].width, sweep.views[k].height);
}

void check(const Sweep& sweep, const Patches& patches) {
  check(sweep);
  require(patches.sample_count >= 1 && patches.sample_count <= kMaxSamples,
          "A window has %d samples; the kernel takes 1 to %d.", patches.sample_count, kMaxSamples);
  require(sweep.view_count == patches.view_count, "The sweep has %d views and the answer room for %d.",
          sweep.view_count, patches.view_count);
  require(patches.best_views >= 2, "The mean of %d views is asked for; the kernel takes 2 or more.",
          patches.best_views);
  const int32_t area = sweep.width * sweep.height;
  bool inside = true;
  for (int64_t i = 0; i < patches.count; ++i) inside &= patches.pixels[i] >= 0 && patches.pixels[i] < area;
  require(inside, "A pixel lies outside the image of %d x %d.", sweep.width, sweep.height);
}

void check(const Sweep& sweep, const Planes& planes) {
  check(sweep);
  require(planes.width == sweep.width && planes.height == sweep.height, "The costs of %d x %d pixels are %d x %d.",
          sweep.height, sweep.width, planes.height, planes.width);
  require(planes.count >= 1 && planes.radius >= 0 && planes.radius <= kMaxRadius && planes.best_views >= 1,
          "%d planes, windows of radius %d and the mean of %d views are asked for.", planes.count, planes.radius,
          planes.best_views);
}

// What a view shows along row y of the left image if all lies on one plane, less 128, so that squares keep their
// digits; and 1 where it sees the pixel.
GS_INLINE void warp_row(const View& view, float inverse_depth, int y, int width, float* value, float* seen) {
  const float* r = view.rotation;
  float first[3];
  for (int k = 0; k < 3; ++k)
    first[k] = r[3 * k + 1] * static_cast<float>(y) + r[3 * k + 2] + inverse_depth * view.shift[k];
  const float right = static_cast<float>(view.width - 1), bottom = static_cast<float>(view.height - 1);
  const uint32_t* const quads = view.quads;
  const int32_t stride = view.width;
#pragma omp simd
  for (int x = 0; x < width; ++x) {
    const float step = static_cast<float>(x), z = first[2] + step * r[6];
    const float scale = 1 / (z > kLeastDepthRatio ? z : 1);
    const float u = (first[0] + step * r[0]) * scale, v = (first[1] + step * r[3]) * scale;
    const float inner_u = clamped(u, right), inner_v = clamped(v, bottom);
    seen[x] = ((z > kLeastDepthRatio) & (inner_u == u) & (inner_v == v)) ? 1.0f : 0.0f;
    value[x] = sampled(quads, stride, inner_u, inner_v) - 128;
  }
}

// Rows of the left image with `radius` more on each side, padded by as many columns: what a thread of plane_costs
// works on. `best`: the lowest costs of the views at every pixel, sorted.
struct Band {
  int width, radius, stride;
  std::vector<float> left, other, ones, seen, mean, variance, best, columns, sum, square, product, cost;

  Band(const Sweep& sweep, const Planes& planes)
      : width(sweep.width), radius(planes.radius), stride(width + 2 * radius) {
    for (auto* rows : {&left, &other, &ones}) rows->assign((kBand + 2 * radius) * stride, 1);
    seen.resize((kBand + 2 * radius) * width);
    for (auto* rows : {&mean, &variance}) rows->resize(kBand * width);
    best.resize(planes.best_views * kBand * width);
    columns.resize(stride);
    for (auto* row : {&sum, &square, &product, &cost}) row->resize(width);
  }

  void pad(float* row) const {
    std::fill_n(row, radius, row[radius]);
    std::fill_n(row + radius + width, radius, row[radius + width - 1]);
  }

  // Means of a * b over the windows of row y.
  GS_INLINE void window_means(const std::vector<float>& a, const std::vector<float>& b, int y, std::vector<float>& means) {
    const float *first = &a[y * stride], *second = &b[y * stride];
    float *column = columns.data(), *mean_of = means.data();
    for (int x = 0; x < stride; ++x) column[x] = first[x] * second[x];
    for (int k = stride; k <= 2 * radius * stride; k += stride)
      for (int x = 0; x < stride; ++x) column[x] += first[k + x] * second[k + x];
    for (int x = 0; x < width; ++x) mean_of[x] = column[x];
    for (int k = 1; k <= 2 * radius; ++k)
      for (int x = 0; x < width; ++x) mean_of[x] += column[x + k];
    const float share = 1.0f / static_cast<float>((2 * radius + 1) * (2 * radius + 1));
    for (int x = 0; x < width; ++x) mean_of[x] *= share;
  }
};

// The costs of all planes at rows `from` to `to`.
GS_CLONES void plane_range(const Sweep& sweep, const Planes& planes, Band& band, int from, int to) {
  const int width = sweep.width, radius = planes.radius, stride = band.stride;
  const auto row_of = [&](int j) { return std::clamp(from - radius + j, 0, sweep.height - 1); };
  for (int j = 0; j < to - from + 2 * radius; ++j) {
    const uint8_t* gray = sweep.gray + static_cast<size_t>(row_of(j)) * width;
    for (int x = 0; x < width; ++x) band.left[j * stride + radius + x] = static_cast<float>(gray[x]) - 128;
    band.pad(&band.left[j * stride]);
  }
  for (int y = 0; y < to - from; ++y) {
    band.window_means(band.left, band.ones, y, band.sum);
    band.window_means(band.left, band.left, y, band.square);
    for (int x = 0; x < width; ++x) {
      band.mean[y * width + x] = band.sum[x];
      band.variance[y * width + x] = std::max(band.square[x] - band.sum[x] * band.sum[x], 0.0f);
    }
  }
  for (int d = 0; d < planes.count; ++d) {
    std::fill(band.best.begin(), band.best.end(), sweep.missing_cost);
    for (int k = 0; k < sweep.view_count; ++k) {
      for (int j = 0; j < to - from + 2 * radius; ++j) {
        float* row = &band.other[j * stride];
        warp_row(sweep.views[k], planes.inverse_depths[d], row_of(j), width, row + radius, &band.seen[j * width]);
        band.pad(row);
      }
      for (int y = 0; y < to - from; ++y) {
        band.window_means(band.other, band.ones, y, band.sum);
        band.window_means(band.other, band.other, y, band.square);
        band.window_means(band.other, band.left, y, band.product);
        const float *mean = &band.mean[y * width], *variance = &band.variance[y * width];
        const float *sum = band.sum.data(), *square = band.square.data(), *product = band.product.data();
        const float *seen = &band.seen[(y + radius) * width], missing = sweep.missing_cost;
        float* cost = band.cost.data();
        for (int x = 0; x < width; ++x) {
          const float other = std::max(square[x] - sum[x] * sum[x], 0.0f);
          const float norm = std::sqrt((variance[x] + sweep.noise_variance) * (other + sweep.noise_variance));
          const float found = 1 - (product[x] - mean[x] * sum[x]) / norm;
          cost[x] = seen[x] > 0 && found < missing ? found : missing;
        }
        for (int rank = 0; rank < planes.best_views; ++rank) {
          float* kept = &band.best[(rank * kBand + y) * width];
          for (int x = 0; x < width; ++x) {
            const float better = cost[x] < kept[x] ? cost[x] : kept[x];
            cost[x] = cost[x] < kept[x] ? kept[x] : cost[x];
            kept[x] = better;
          }
        }
      }
    }
    float* target = planes.costs + static_cast<size_t>(from) * width * planes.count + d;
    for (int i = 0; i < (to - from) * width; ++i) {
      float sum = 0;
      for (int rank = 0; rank < planes.best_views; ++rank) sum += band.best[rank * kBand * width + i];
      target[static_cast<size_t>(i) * planes.count] = sum / static_cast<float>(planes.best_views);
    }
  }
}

// One step of a path: `here` = cost + best way from `before`, and the sum over paths grows by it.
GS_CLONES void path_step(const float* cost, const float* before, float* here, float* total, int count, float p1,
                         float p2) {
  float least = before[1];
#pragma omp simd reduction(min : least)
  for (int d = 2; d <= count; ++d) least = std::min(least, before[d]);
  const float jump = least + p2;
  for (int d = 0; d < count; ++d) {
    const float near = std::min(before[d], before[d + 2]) + p1;
    const float best = std::min(std::min(before[d + 1], near), jump) - least;
    here[d + 1] = cost[d] + best;
    total[d] += here[d + 1];
  }
}

void start_path(const float* cost, float* here, float* total, int count) {
  for (int d = 0; d < count; ++d) {
    here[d + 1] = cost[d];
    total[d] += cost[d];
  }
}

// The paths along rows, both ways. `lines`: two for each thread.
void aggregate_rows(const Volume& volume, const float* jump, float* lines) {
  const int width = volume.width, count = volume.count;
  const size_t stride = static_cast<size_t>(count) + 2;
#pragma omp parallel for schedule(static) num_threads(volume.threads)
  for (int y = 0; y < volume.height; ++y) {
    float* const pair = lines + 2 * stride * omp_get_thread_num();
    for (const int step : {1, -1}) {
      for (int k = 0; k < width; ++k) {
        const size_t x = step > 0 ? k : width - 1 - k, pixel = static_cast<size_t>(y) * width + x;
        float *here = pair + (k & 1) * stride, *before = pair + (~k & 1) * stride;
        const float* const cost = volume.costs + pixel * count;
        float* const total = volume.total + pixel * count;
        if (k == 0) {
          start_path(cost, here, total, count);
          continue;
        }
        const int difference = std::abs(volume.gray[pixel] - volume.gray[pixel - step]);
        path_step(cost, before, here, total, count, volume.small_jump, jump[difference]);
      }
    }
  }
}

// The paths that go `down` a row with each step: to the left, straight and to the right, one after the other at every
// pixel, so that its costs and sums are read once. `lines`: two for each column and path.
void aggregate_columns(const Volume& volume, const float* jump, int down, float* lines) {
  const int width = volume.width, height = volume.height, count = volume.count;
  const size_t stride = static_cast<size_t>(count) + 2, row = stride * width;
  for (int k = 0; k < height; ++k) {
    const int y = down > 0 ? k : height - 1 - k;
#pragma omp parallel for schedule(static) num_threads(volume.threads)
    for (int x = 0; x < width; ++x) {
      const size_t pixel = static_cast<size_t>(y) * width + x;
      const float* const cost = volume.costs + pixel * count;
      float* const total = volume.total + pixel * count;
      for (const int side : {-1, 0, 1}) {
        float* const path = lines + 2 * row * (side + 1);
        float* const here = path + (k & 1) * row + x * stride;
        const int from = x - side;
        if (k == 0 || from < 0 || from >= width) {
          start_path(cost, here, total, count);
          continue;
        }
        const float* const before = path + (~k & 1) * row + from * stride;
        const int difference = std::abs(volume.gray[pixel] - volume.gray[static_cast<size_t>(y - down) * width + from]);
        path_step(cost, before, here, total, count, volume.small_jump, jump[difference]);
      }
    }
  }
}

}  // namespace

GS_EXPORT int32_t gs_patch_costs(const Sweep* sweep, const Patches* patches) {
  return gs::guarded("The multi-view kernel ran out of memory; use fewer pixels at a time.", [&] {
    check(*sweep, *patches);
    const Pattern pattern = padded_pattern(*patches);
    const std::vector<uint32_t> words = packed(*sweep);
    const int64_t chunks = (patches->count + kChunk - 1) / kChunk;
#pragma omp parallel for schedule(dynamic, 1) num_threads(sweep->threads)
    for (int64_t k = 0; k < chunks; ++k)
      cost_range(*sweep, words.data(), pattern, *patches, k * kChunk, std::min(patches->count, (k + 1) * kChunk));
  });
}

GS_EXPORT int32_t gs_plane_costs(const Sweep* sweep, const Planes* planes) {
  return gs::guarded("The plane sweep ran out of memory; use smaller images.", [&] {
    check(*sweep, *planes);
    std::vector<Band> bands(sweep->threads, Band(*sweep, *planes));
#pragma omp parallel for schedule(dynamic, 1) num_threads(sweep->threads)
    for (int y = 0; y < sweep->height; y += kBand)
      plane_range(*sweep, *planes, bands[omp_get_thread_num()], y, std::min(sweep->height, y + kBand));
  });
}

GS_EXPORT int32_t gs_aggregate(const Volume* volume) {
  return gs::guarded("Semi-global matching ran out of memory; use smaller images or fewer depths.", [&] {
    const float small = volume->small_jump, large = volume->large_jump;
    require(volume->width >= 1 && volume->height >= 1 && volume->count >= 1 && volume->threads >= 1,
            "A cost volume of %d x %d x %d cannot be aggregated on %d threads.", volume->height, volume->width,
            volume->count, volume->threads);
    float jump[256];
    for (int k = 0; k < 256; ++k)
      jump[k] = small + (large - small) * std::exp(-static_cast<float>(k) / volume->edge_levels);
    const size_t stride = static_cast<size_t>(volume->count) + 2;
    const int paths = std::max(3 * volume->width, volume->threads);
    std::vector<float> lines(2 * stride * paths, INFINITY);  // borders stay infinite
    std::fill_n(volume->total, static_cast<size_t>(volume->width) * volume->height * volume->count, 0.0f);
    aggregate_rows(*volume, jump, lines.data());
    for (const int down : {1, -1}) aggregate_columns(*volume, jump, down, lines.data());
  });
}
