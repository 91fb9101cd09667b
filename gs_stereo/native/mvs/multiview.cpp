// Kernels of the multi-view sweep behind a plain C interface (multiview/native.py mirrors the structs).
//
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

#if defined(_OPENMP)
#include <omp.h>
#endif

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define GS_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define GS_CLONES
#endif
#if defined(_WIN32)
#define GS_EXPORT __declspec(dllexport)
#else
#define GS_EXPORT __attribute__((visibility("default")))
#endif

namespace {

constexpr int kMaxSamples = 128;
constexpr int kMaxViews = 64;
constexpr int64_t kChunk = 2048;
constexpr float kLeastDepthRatio = 1e-3f;

}  // namespace

extern "C" {

// quads: a pixel, its right, lower and lower right neighbour in the bytes of one word, lowest byte first.
// The array coordinates of a left pixel (x, y) at inverse depth w are those of rotation * (x, y, 1) + w * shift.
struct GsView {
  const uint32_t* quads;
  int32_t width, height;
  float rotation[9], shift[3];
};

// rgb: interleaved left image, for the weights. gray: what is compared. samples: window offsets (dx, dy).
struct GsSweep {
  const uint8_t *rgb, *gray;
  int32_t width, height;
  const GsView* views;
  int32_t view_count, best_views;
  const int32_t* samples;
  const float* sample_weights;
  const float* colour_weights;  // by the largest channel difference, 256 entries
  int32_t sample_count;
  float noise_variance, missing_cost;
  int32_t threads;
};

}  // extern "C"

namespace {

// By value: references, as std::min returns them, keep loops from being vectorised.
inline float clamped(float value, float top) { return value < 0 ? 0 : value > top ? top : value; }

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

Pattern padded_pattern(const GsSweep& sweep) {
  Pattern pattern{};
  for (int s = 0; s < sweep.sample_count; ++s) {
    pattern.dx[s] = static_cast<float>(sweep.samples[2 * s]);
    pattern.dy[s] = static_cast<float>(sweep.samples[2 * s + 1]);
  }
  pattern.padded = std::min(kMaxSamples, (sweep.sample_count + 15) / 16 * 16);
  return pattern;
}

inline void fill_window(const GsSweep& sweep, const Pattern& pattern, int x, int y, Window& window) {
  const int width = sweep.width, height = sweep.height;
  const uint8_t* middle = sweep.rgb + 3 * (static_cast<size_t>(y) * width + x);
  float sum = 0, mean = 0, value[kMaxSamples];
  for (int s = 0; s < sweep.sample_count; ++s) {
    const int i = x + sweep.samples[2 * s], j = y + sweep.samples[2 * s + 1];
    if (i < 0 || j < 0 || i >= width || j >= height) {
      window.weight[s] = value[s] = 0;
      continue;
    }
    const size_t index = static_cast<size_t>(j) * width + i;
    const uint8_t* colour = sweep.rgb + 3 * index;
    const int difference = std::max({std::abs(colour[0] - middle[0]), std::abs(colour[1] - middle[1]),
                                     std::abs(colour[2] - middle[2])});
    window.weight[s] = sweep.sample_weights[s] * sweep.colour_weights[difference];
    value[s] = sweep.gray[index];
    sum += window.weight[s];
    mean += window.weight[s] * value[s];
  }
  mean /= sum;
  window.mean = mean;
  window.variance = 0;
  for (int s = 0; s < sweep.sample_count; ++s) {
    window.weight[s] /= sum;
    const float centred = value[s] - mean;
    window.deviation[s] = window.weight[s] * centred;
    window.variance += window.deviation[s] * centred;
  }
  for (int s = sweep.sample_count; s < pattern.padded; ++s) window.weight[s] = window.deviation[s] = 0;
}

// 1 - correlation of the window with its image under the plane; negative if the centre does not fall into the view.
inline float view_cost(const GsSweep& sweep, const Pattern& pattern, const GsView& view, const Window& window,
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
    const int32_t column = static_cast<int32_t>(x), line = static_cast<int32_t>(y);
    const float fx = x - static_cast<float>(column), fy = y - static_cast<float>(line);
    const uint32_t quad = quads[line * stride + column];
    const float a = static_cast<float>(static_cast<int32_t>(quad & 255));
    const float b = static_cast<float>(static_cast<int32_t>(quad >> 8 & 255));
    const float c = static_cast<float>(static_cast<int32_t>(quad >> 16 & 255));
    const float d = static_cast<float>(static_cast<int32_t>(quad >> 24));
    const float top = a + fx * (b - a), low = c + fx * (d - c);
    const float value = top + fy * (low - top) - window.mean;  // near zero, so that the squares keep their digits
    const float weighted = window.weight[s] * value;
    mean += weighted;
    square += weighted * value;
    covariance += window.deviation[s] * value;
  }
  const float variance = std::max(square - mean * mean, 0.0f);
  const float norm = std::sqrt((window.variance + sweep.noise_variance) * (variance + sweep.noise_variance));
  return std::max(0.0f, 1 - covariance / norm);
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

// What one call of gs_patch_costs works on.
struct Batch {
  const int32_t* pixels;
  const float* planes;
  float *cost, *view_costs;
  int64_t count;
};

GS_CLONES void cost_range(const GsSweep& sweep, const Pattern& pattern, const Batch& batch, int64_t from, int64_t to) {
  Window window;
  float costs[kMaxViews];
  for (int64_t i = from; i < to; ++i) {
    const int x = batch.pixels[i] % sweep.width, y = batch.pixels[i] / sweep.width;
    fill_window(sweep, pattern, x, y, window);
    const float centre[2] = {static_cast<float>(x), static_cast<float>(y)};
    const float plane[3] = {batch.planes[i], batch.planes[batch.count + i], batch.planes[2 * batch.count + i]};
    int seen = 0;
    for (int k = 0; k < sweep.view_count; ++k) {
      const float found = view_cost(sweep, pattern, sweep.views[k], window, centre, plane);
      if (found >= 0) costs[seen++] = found;
      if (batch.view_costs != nullptr) batch.view_costs[k * batch.count + i] = found < 0 ? NAN : found;
    }
    batch.cost[i] = best_mean(costs, seen, sweep.best_views, sweep.missing_cost);
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

}  // namespace

extern "C" {

// pixels: indices row * width + column. planes: 3 x count (w, w_x, w_y). cost: count. view_costs: views x count, NaN
// where a view does not see the pixel; may be null. Returns 0, or 1 for bad sizes.
GS_EXPORT int32_t gs_patch_costs(const GsSweep* sweep, const int32_t* pixels, const float* planes, int64_t count,
                                 float* cost, float* view_costs) {
  if (sweep->sample_count < 1 || sweep->sample_count > kMaxSamples || sweep->view_count < 1 ||
      sweep->view_count + 2 > kMaxViews || sweep->best_views < 2)
    return 1;
  const Pattern pattern = padded_pattern(*sweep);
  const Batch batch = {pixels, planes, cost, view_costs, count};
  const int64_t chunks = (count + kChunk - 1) / kChunk;
#pragma omp parallel for schedule(dynamic, 1) num_threads(sweep->threads)
  for (int64_t k = 0; k < chunks; ++k)
    cost_range(*sweep, pattern, batch, k * kChunk, std::min(count, (k + 1) * kChunk));
  return 0;
}

// volume, total: h x w x count. gray: h x w guide. The penalty of a jump is p2 where the guide is flat and falls to p1
// at edges: p1 + (p2 - p1) * exp(-|difference| / edge_levels).
GS_EXPORT int32_t gs_aggregate(const float* volume, const uint8_t* gray, int32_t width, int32_t height, int32_t count,
                               const float* penalties, [[maybe_unused]] int32_t threads, float* total) {
  const float p1 = penalties[0], p2 = penalties[1], edge_levels = penalties[2];
  float jump[256];
  for (int k = 0; k < 256; ++k) jump[k] = p1 + (p2 - p1) * std::exp(-static_cast<float>(k) / edge_levels);
  const size_t stride = static_cast<size_t>(count) + 2;
  std::vector<float> lines(2 * stride * width, INFINITY);  // borders stay infinite
  std::fill(total, total + static_cast<size_t>(width) * height * count, 0.0f);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int y = 0; y < height; ++y) {
    std::vector<float> pair(2 * stride, INFINITY);
    for (const int step : {1, -1}) {
      for (int k = 0; k < width; ++k) {
        const size_t x = step > 0 ? k : width - 1 - k, pixel = static_cast<size_t>(y) * width + x;
        float *here = &pair[(k & 1) * stride], *before = &pair[(~k & 1) * stride];
        if (k == 0) {
          start_path(volume + pixel * count, here, total + pixel * count, count);
          continue;
        }
        const int difference = std::abs(gray[pixel] - gray[pixel - step]);
        path_step(volume + pixel * count, before, here, total + pixel * count, count, p1, jump[difference]);
      }
    }
  }
  for (const int down : {1, -1}) {
    for (const int side : {-1, 0, 1}) {
      for (int k = 0; k < height; ++k) {
        const int y = down > 0 ? k : height - 1 - k;
        float *here = &lines[(k & 1) * stride * width], *before = &lines[(~k & 1) * stride * width];
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int x = 0; x < width; ++x) {
          const size_t pixel = static_cast<size_t>(y) * width + x;
          const int from = x - side;
          if (k == 0 || from < 0 || from >= width) {
            start_path(volume + pixel * count, here + x * stride, total + pixel * count, count);
            continue;
          }
          const size_t origin = static_cast<size_t>(y - down) * width + from;
          const int difference = std::abs(gray[pixel] - gray[origin]);
          path_step(volume + pixel * count, before + from * stride, here + x * stride, total + pixel * count, count,
                    p1, jump[difference]);
        }
      }
    }
  }
  return 0;
}

}  // extern "C"
