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

GS_LIBRARY({"View", sizeof(View)}, {"Sweep", sizeof(Sweep)}, {"Patches", sizeof(Patches)}, {"Planes", sizeof(Planes)},
           {"Volume", sizeof(Volume)})

namespace {

using gs::require;

constexpr int kMaxSamples = 128;
constexpr int kMaxViews = 62;
constexpr int kMaxRadius = 16;
constexpr int64_t kChunk = 2048;
constexpr int kBand = 16;  // rows whose costs of all planes stay in the cache
constexpr float kLeastDepthRatio = 1e-3f;

// By value: references, as std::min returns them, keep loops from being vectorised. 0 for what is no number.
inline float clamped(float value, float top) { return value > 0 ? value < top ? value : top : 0; }

// The gray value at a place inside a view whose rows have `stride` words, bilinear. Callers keep both in variables of
// their own: read from the view for every sample, they cost the patch kernel a tenth of its time.
inline float sampled(const uint32_t* quads, int32_t stride, float x, float y) {
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

// The left window: weights that sum to one, and weight times the deviation from the mean.
struct Window {
  alignas(64) float weight[kMaxSamples];
  alignas(64) float deviation[kMaxSamples];
  float mean, variance;
};

// The sampling pattern, padded by samples of weight zero.
struct Pattern {
  alignas(64) float dx[kMaxSamples], dy[kMaxSamples];
  int32_t padded;
};

Pattern padded_pattern(const Patches& patches) {
  Pattern pattern{};
  for (int s = 0; s < patches.sample_count; ++s) {
    pattern.dx[s] = static_cast<float>(patches.samples[2 * s]);
    pattern.dy[s] = static_cast<float>(patches.samples[2 * s + 1]);
  }
  pattern.padded = std::min(kMaxSamples, (patches.sample_count + 15) / 16 * 16);
  return pattern;
}

inline void fill_window(const Sweep& sweep, const Patches& patches, const Pattern& pattern, int x, int y,
                        Window& window) {
  const int width = sweep.width, height = sweep.height;
  const uint8_t* middle = sweep.rgb + 3 * (static_cast<size_t>(y) * width + x);
  float sum = 0, mean = 0, value[kMaxSamples];
  for (int s = 0; s < patches.sample_count; ++s) {
    const int i = x + patches.samples[2 * s], j = y + patches.samples[2 * s + 1];
    if (i < 0 || j < 0 || i >= width || j >= height) {
      window.weight[s] = value[s] = 0;
      continue;
    }
    const size_t index = static_cast<size_t>(j) * width + i;
    const uint8_t* colour = sweep.rgb + 3 * index;
    const int difference = std::max({std::abs(colour[0] - middle[0]), std::abs(colour[1] - middle[1]),
                                     std::abs(colour[2] - middle[2])});
    window.weight[s] = patches.sample_weights[s] * patches.colour_weights[difference];
    value[s] = sweep.gray[index];
    sum += window.weight[s];
    mean += window.weight[s] * value[s];
  }
  mean /= sum;
  window.mean = mean;
  window.variance = 0;
  for (int s = 0; s < patches.sample_count; ++s) {
    window.weight[s] /= sum;
    const float centred = value[s] - mean;
    window.deviation[s] = window.weight[s] * centred;
    window.variance += window.deviation[s] * centred;
  }
  for (int s = patches.sample_count; s < pattern.padded; ++s) window.weight[s] = window.deviation[s] = 0;
}

// 1 - correlation of the window with its image under the plane; negative if the centre does not fall into the view, NaN
// if no sample is like the centre, so that the window has no weight.
inline float view_cost(const Sweep& sweep, const Pattern& pattern, const View& view, const Window& window,
                       const float centre[2], const float plane[3]) {
  float at[3], along_x[3], along_y[3];
  for (int k = 0; k < 3; ++k) {
    const float* row = view.rotation + 3 * k;
    at[k] = row[0] * centre[0] + row[1] * centre[1] + row[2] + plane[0] * view.shift[k];
    along_x[k] = row[0] + plane[1] * view.shift[k];
    along_y[k] = row[1] + plane[2] * view.shift[k];
  }
  if (!(at[2] > kLeastDepthRatio)) return -1;
  const float scale = 1 / at[2], u = at[0] * scale, v = at[1] * scale;
  const float right = static_cast<float>(view.width - 1), bottom = static_cast<float>(view.height - 1);
  if (!(u >= 0 && v >= 0 && u <= right && v <= bottom)) return -1;
  const float u_x = (along_x[0] - u * along_x[2]) * scale, u_y = (along_y[0] - u * along_y[2]) * scale;
  const float v_x = (along_x[1] - v * along_x[2]) * scale, v_y = (along_y[1] - v * along_y[2]) * scale;
  const uint32_t* const quads = view.quads;
  const int32_t stride = view.width;
  float mean = 0, square = 0, covariance = 0;
#pragma omp simd reduction(+ : mean, square, covariance)
  for (int s = 0; s < pattern.padded; ++s) {
    const float x = clamped(u + pattern.dx[s] * u_x + pattern.dy[s] * u_y, right);
    const float y = clamped(v + pattern.dx[s] * v_x + pattern.dy[s] * v_y, bottom);
    const float value = sampled(quads, stride, x, y) - window.mean;  // near zero, so that the squares keep their digits
    const float weighted = window.weight[s] * value;
    mean += weighted;
    square += weighted * value;
    covariance += window.deviation[s] * value;
  }
  const float variance = std::max(square - mean * mean, 0.0f);
  const float norm = std::sqrt((window.variance + sweep.noise_variance) * (variance + sweep.noise_variance));
  return std::max(1 - covariance / norm, 0.0f);
}

// Mean of the best costs: of half the views that see the pixel, at least two and at most `best`. With one view, or
// none, the missing cost stands in.
inline float best_mean(float* costs, int count, int best, float missing) {
  int half = std::min(best, std::max((count + 1) / 2, 2));
  while (count < half) costs[count++] = missing;
  for (int k = 1; k < count; ++k) {  // insertion sort: the fastest for a handful of numbers
    const float value = costs[k];
    int place = k;
    for (; place > 0 && costs[place - 1] > value; --place) costs[place] = costs[place - 1];
    costs[place] = value;
  }
  float sum = 0;
  for (int k = 0; k < half; ++k) sum += costs[k];
  return sum / static_cast<float>(half);
}

GS_CLONES void cost_range(const Sweep& sweep, const Pattern& pattern, const Patches& patches, int64_t from,
                          int64_t to) {
  Window window;
  float costs[kMaxViews + 2];
  for (int64_t i = from; i < to; ++i) {
    const int x = patches.pixels[i] % sweep.width, y = patches.pixels[i] / sweep.width;
    fill_window(sweep, patches, pattern, x, y, window);
    const float centre[2] = {static_cast<float>(x), static_cast<float>(y)};
    const float plane[3] = {patches.planes[i], patches.planes[patches.count + i], patches.planes[2 * patches.count + i]};
    int seen = 0;
    for (int k = 0; k < sweep.view_count; ++k) {
      const float found = view_cost(sweep, pattern, sweep.views[k], window, centre, plane);
      if (found >= 0) costs[seen++] = found;
      patches.by_view[k * patches.count + i] = found >= 0 ? found : NAN;
    }
    patches.cost[i] = best_mean(costs, seen, patches.best_views, sweep.missing_cost);
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
inline void warp_row(const View& view, float inverse_depth, int y, int width, float* value, float* seen) {
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
  inline void window_means(const std::vector<float>& a, const std::vector<float>& b, int y, std::vector<float>& means) {
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

// The paths that go `down` a row and `side` columns with each step. `lines`: two for each column.
void aggregate_columns(const Volume& volume, const float* jump, int down, int side, float* lines) {
  const int width = volume.width, height = volume.height, count = volume.count;
  const size_t stride = static_cast<size_t>(count) + 2;
  for (int k = 0; k < height; ++k) {
    const int y = down > 0 ? k : height - 1 - k;
    float *const here = lines + (k & 1) * stride * width, *const before = lines + (~k & 1) * stride * width;
#pragma omp parallel for schedule(static) num_threads(volume.threads)
    for (int x = 0; x < width; ++x) {
      const size_t pixel = static_cast<size_t>(y) * width + x;
      const float* const cost = volume.costs + pixel * count;
      float* const total = volume.total + pixel * count;
      const int from = x - side;
      if (k == 0 || from < 0 || from >= width) {
        start_path(cost, here + x * stride, total, count);
        continue;
      }
      const int difference = std::abs(volume.gray[pixel] - volume.gray[static_cast<size_t>(y - down) * width + from]);
      path_step(cost, before + from * stride, here + x * stride, total, count, volume.small_jump, jump[difference]);
    }
  }
}

}  // namespace

GS_EXPORT int32_t gs_patch_costs(const Sweep* sweep, const Patches* patches) {
  return gs::guarded("The multi-view kernel ran out of memory; use fewer pixels at a time.", [&] {
    check(*sweep, *patches);
    const Pattern pattern = padded_pattern(*patches);
    const int64_t chunks = (patches->count + kChunk - 1) / kChunk;
#pragma omp parallel for schedule(dynamic, 1) num_threads(sweep->threads)
    for (int64_t k = 0; k < chunks; ++k)
      cost_range(*sweep, pattern, *patches, k * kChunk, std::min(patches->count, (k + 1) * kChunk));
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
    std::vector<float> lines(2 * stride * std::max(volume->width, volume->threads), INFINITY);  // borders stay infinite
    std::fill_n(volume->total, static_cast<size_t>(volume->width) * volume->height * volume->count, 0.0f);
    aggregate_rows(*volume, jump, lines.data());
    for (const int down : {1, -1})
      for (const int side : {-1, 0, 1}) aggregate_columns(*volume, jump, down, side, lines.data());
  });
}
