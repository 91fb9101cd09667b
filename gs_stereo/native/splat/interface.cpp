// The C interface that native/raster.py loads: no C++ type and no exception crosses it.

#include "engine.h"

namespace {

using namespace gss;

template <class Work>
int32_t guarded(Work work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return kOutOfMemory;
  }
}

// Splats with three feature channels in place of the colour.
const Splat* with_features(Frame& frame, const float* features, int stride, [[maybe_unused]] int threads) {
  Splat* const splats = frame.feature_splats.resize(frame.count);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < frame.count; i++) {
    splats[i] = frame.splats[i];
    splats[i].red = features[i * stride];
    splats[i].green = features[i * stride + 1];
    splats[i].blue = features[i * stride + 2];
  }
  return splats;
}

// Moves the sums of a feature pass to the features' gradient and to the Gaussians' moments.
void collect_feature_gradients(Frame& frame, float* by_features, int stride,
                               [[maybe_unused]] int threads) {
  float* const moments = frame.feature_moments.resize(8 * frame.count);
  const bool add = frame.has_feature_moments;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < frame.count; i++) {
    PairGradient total = {};
    if (frame.splats[i].extent_x > 0)
      for (uint32_t k = 0; k < frame.pairs_of[i]; k++) {
        const float* const from = &frame.pair_gradients[frame.first_slot[i] + k].g;
        for (int entry = 0; entry < kPairFloats; entry++) (&total.g)[entry] += from[entry];
      }
    by_features[i * stride] += total.red;
    by_features[i * stride + 1] += total.green;
    by_features[i * stride + 2] += total.blue;
    const float parts[8] = {total.g, total.gx, total.gy, total.gxx, total.gxy, total.gyy, total.absolute_x, total.absolute_y};
    for (int k = 0; k < 8; k++) moments[8 * i + k] = add ? moments[8 * i + k] + parts[k] : parts[k];
  }
  frame.has_feature_moments = true;
}

}  // namespace

#define GSS_EXPORT extern "C" __attribute__((visibility("default")))

GSS_EXPORT int32_t gss_lanes() { return kLanes; }

GSS_EXPORT Frame* gss_frame_new() { return new (std::nothrow) Frame(); }
GSS_EXPORT void gss_frame_free(Frame* frame) { delete frame; }

// Memory that outlives a frame, for gradients; null if there is none.
GSS_EXPORT void* gss_memory_new(int64_t bytes) {
  try {
    return allocate(size_t(bytes));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
GSS_EXPORT void gss_memory_free(void* memory) { std::free(memory); }

GSS_EXPORT int64_t gss_frame_pairs(const Frame* frame) { return frame->pair_count; }

// How many (Gaussian, pixel) alphas a frame evaluates, before any pixel stops: for benchmarks.
GSS_EXPORT int64_t gss_frame_evaluations(const Frame* frame) {
  int64_t rows = 0;
  for (int64_t k = 0; k < frame->pair_count; k++) rows += frame->pairs[k].last - frame->pairs[k].first + 1;
  return rows * kTileWidth;
}

// Runs multiply-adds on one thread and returns how many, with enough independent sums to fill the pipelines: for benchmarks.
GSS_EXPORT int64_t gss_multiply_adds(int64_t rounds) {
  constexpr int kSums = 10;
  F sums[kSums];
  for (int k = 0; k < kSums; k++) sums[k] = splat(float(k));
  const F factor = splat(0.999f), term = splat(1e-3f);
  for (int64_t round = 0; round < rounds; round++)
    for (int k = 0; k < kSums; k++) sums[k] = sums[k] * factor + term;
  F total = splat(0);
  for (const F& value : sums) total += value;
  volatile float keep = sum(total);
  (void)keep;
  return rounds * kSums * kLanes;
}

// Projects a cloud into `views` cameras. same_depths: the cameras differ only by a move in their image plane (the eyes
// of a rig), so one depth order serves all. Returns a Status; positive = bits of the tensors that are not finite.
GSS_EXPORT int32_t gss_project(Frame* const* frames, const Camera* cameras, int32_t views, const Cloud* cloud,
                               const Options* options, float* const* radii, int32_t same_depths) {
  return guarded([&]() -> int32_t {
    const int32_t bad = project(frames, cameras, views, *cloud, *options, radii);
    if (bad != kOk) return bad;
    for (int v = 0; v < views; v++) {
      if (v == 0 || !same_depths) sort_by_depth(frames + v, same_depths ? views : 1, options->threads);
      bin(*frames[v], *frames[same_depths ? 0 : v], options->threads);
      if (frames[v]->pair_count > int64_t(UINT32_MAX)) return kTooManyPairs;
    }
    return kOk;
  });
}

GSS_EXPORT void gss_composite(const Frame* frame, const Options* options, const uint8_t* mask, const Images* images) {
  composite(*frame, frame->splats.data(), *options, mask, *images);
}

GSS_EXPORT int32_t gss_composite_features(Frame* frame, const Options* options, const uint8_t* mask,
                                          const Images* images, const float* features, int32_t stride) {
  return guarded([&] {
    composite(*frame, with_features(*frame, features, stride, options->threads), *options, mask, *images);
    return kOk;
  });
}

GSS_EXPORT int32_t gss_backward_features(Frame* frame, const Options* options, const uint8_t* mask,
                                         const Images* images, const Images* gradients, const float* features,
                                         float* by_features, int32_t stride, int32_t absolute) {
  return guarded([&] {
    const Splat* const splats = with_features(*frame, features, stride, options->threads);
    composite_backward(*frame, splats, *options, mask, *images, *gradients, absolute != 0);
    collect_feature_gradients(*frame, by_features, stride, options->threads);
    return kOk;
  });
}

GSS_EXPORT int32_t gss_backward(Frame* frame, const Camera* camera, const Cloud* cloud, const Options* options,
                                const uint8_t* mask, const Images* images, const Images* gradients,
                                const Gradients* out) {
  return guarded([&] {
    composite_backward(*frame, frame->splats.data(), *options, mask, *images, *gradients,
                       out->screen_absolute != nullptr);
    project_backward(*frame, *camera, *cloud, *options, *out);
    frame->has_feature_moments = false;
    return kOk;
  });
}

GSS_EXPORT int32_t gss_l1_dssim(const float* rendered, const float* photo, int32_t planes, int32_t height,
                                int32_t width, float weight, float* gradient, double* value, int32_t threads) {
  return guarded([&] {
    *value = l1_dssim(rendered, photo, planes, height, width, weight, gradient, threads);
    return kOk;
  });
}

GSS_EXPORT void gss_adam(const AdamTensor* tensors, int32_t count, const AdamOptions* options) {
  adam(tensors, count, *options);
}

// The splats of a frame, 16 floats each (see Splat), for tests.
GSS_EXPORT void gss_read_splats(const Frame* frame, float* to) {
  std::memcpy(to, frame->splats.data(), sizeof(Splat) * size_t(frame->count));
}
