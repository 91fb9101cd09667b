// The C interface: checks of what leads to an address, and the order of the passes.

#include "engine.h"
#include "spherical_harmonics.h"

namespace {

using namespace gss;
using gs::guarded;
using gs::require;

constexpr int kColours = 3;
constexpr char kExhausted[] = "The CPU engine ran out of memory; use fewer Gaussians or a smaller image.";

void check(const Render& render, const Images& images) {
  const Cloud& cloud = render.cloud;
  require(render.width >= 1 && render.height >= 1 && int64_t(render.width) * render.height <= INT32_MAX,
          "The CPU engine cannot render images of %d x %d pixels.", render.width, render.height);
  require(images.views == render.views && images.height == render.height && images.width == render.width,
          "A render of %d x %d x %d has images of %d x %d x %d.", render.views, render.height, render.width,
          images.views, images.height, images.width);
  for (int v = 0; v < render.views; v++)
    require(render.cameras[v].width == render.width && render.cameras[v].height == render.height,
            "Camera %d and its images differ in size.", v);
  require(render.options.threads >= 1, "A render on %d threads is asked for.", render.options.threads);
  require(cloud.count >= 0 && cloud.count < int64_t(UINT32_MAX), "The CPU engine cannot render %lld Gaussians.",
          static_cast<long long>(cloud.count));
  require(cloud.sh_degree >= 0 && (cloud.sh_degree + 1) * (cloud.sh_degree + 1) <= cloud.sh_count &&
              cloud.sh_count <= kMaxShCount,
          "Spherical harmonics of degree %d need more than %d coefficients.", cloud.sh_degree, cloud.sh_count);
  require(cloud.channels == images.channels && cloud.channels % kColours == 0,
          "%d channels of features cannot be drawn into %d channels, three at a time.", cloud.channels,
          images.channels);
}

void check(const Render& render, const Images& images, const Gradients& gradients) {
  check(render, images);
  require(gradients.count == render.cloud.count && gradients.views == render.views &&
              gradients.sh_count == render.cloud.sh_count && gradients.channels == render.cloud.channels,
          "The gradients are of another cloud.");
  for (int v = 0; v < render.views; v++) {
    const Frame& frame = *render.frames[v];
    require(frame.count == render.cloud.count && frame.width == render.width && frame.height == render.height,
            "Frame %d holds another render.", v);
  }
}

Images view_of(Images images, int view) {
  const size_t area = size_t(images.width) * images.height;
  const auto move = [&](float*& image, size_t planes) {
    if (image) image += planes * area * view;
  };
  move(images.rgb, kColours);
  for (float** const image : {&images.alpha, &images.z_sum, &images.z2_sum, &images.median_depth}) move(*image, 1);
  return images;
}

// Three feature channels of a view in place of the colour.
Images features_of(const Images& images, int view, int first) {
  Images shown = {};
  shown.rgb = images.features + size_t(images.width) * images.height * (size_t(images.channels) * view + first);
  return shown;
}

const bool* mask_of(const Render& render, int view) {
  return render.mask ? render.mask + size_t(render.width) * render.height * view : nullptr;
}

Options without_background(Options options) {
  for (float& channel : options.background) channel = 0;
  return options;
}

// Splats with three feature channels in place of the colour.
const Splat* with_features(Frame& frame, const Render& render, int first) {
  Splat* const splats = frame.feature_splats.resize(frame.count);
  const float* const features = render.cloud.features + first;
  const int64_t stride = render.cloud.channels;
#pragma omp parallel for schedule(static) num_threads(render.options.threads)
  for (int64_t i = 0; i < frame.count; i++) {
    splats[i] = frame.splats[i];
    splats[i].red = features[i * stride];
    splats[i].green = features[i * stride + 1];
    splats[i].blue = features[i * stride + 2];
  }
  return splats;
}

// Moves the sums of a feature pass to the features' gradient and to the Gaussians' moments.
void collect_feature_gradients(Frame& frame, const Render& render, float* by_features) {
  float* const moments = frame.feature_moments.resize(8 * frame.count);
  const bool add = frame.has_feature_moments;
  const int64_t stride = render.cloud.channels;
#pragma omp parallel for schedule(static) num_threads(render.options.threads)
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

void project_and_bin(const Render& render) {
  static const char* const kParameters[] = {"means", "quats_wxyz", "log_scales", "opacity_logits", "sh"};
  const int threads = render.options.threads;
  const int32_t bad = project(render);
  for (int k = 0; k < 5; k++)
    require(!(bad >> k & 1), "%s holds NaN or infinity; remove those Gaussians or lower the learning rate.",
            kParameters[k]);
  Frame* const* const frames = render.frames;
  for (int v = 0; v < render.views; v++) {
    if (v == 0 || !render.same_depths) sort_by_depth(frames + v, render.same_depths ? render.views : 1, threads);
    bin(*frames[v], *frames[render.same_depths ? 0 : v], threads);
    if (frames[v]->pair_count > int64_t(UINT32_MAX))
      throw gs::failure(gs::kStageError,
                        "The Gaussians cover too many tiles; they are too large on screen, lower their scales.");
  }
}

}  // namespace

GS_LIBRARY({"Camera", sizeof(Camera)}, {"Cloud", sizeof(Cloud)}, {"Options", sizeof(Options)},
           {"Render", sizeof(Render)}, {"Images", sizeof(Images)}, {"Gradients", sizeof(Gradients)},
           {"Loss", sizeof(Loss)}, {"Preferences", sizeof(Preferences)}, {"AdamTensor", sizeof(AdamTensor)},
           {"Adam", sizeof(Adam)}, {"Memory", sizeof(Memory)}, {"Work", sizeof(Work)})

GS_EXPORT int32_t gs_frame_new(Memory* memory) {
  return guarded("The CPU engine has no memory for a frame.", [&] { memory->address = new Frame(); });
}

GS_EXPORT int32_t gs_memory_new(Memory* memory) {
  return guarded("The CPU engine has no memory for gradients; use fewer Gaussians.",
                 [&] { memory->address = allocate(size_t(memory->bytes)); });
}

GS_EXPORT int32_t gs_memory_free(Memory* memory) {
  std::free(memory->address);
  return gs::kOk;
}

// Draws all views into `images` and writes their radii.
GS_EXPORT int32_t gs_forward(const Render* render, const Images* images) {
  return guarded(kExhausted, [&] {
    check(*render, *images);
    project_and_bin(*render);
    for (int v = 0; v < render->views; v++) {
      Frame& frame = *render->frames[v];
      const bool* const mask = mask_of(*render, v);
      composite(frame, frame.splats.data(), render->options, mask, view_of(*images, v));
      for (int first = 0; first < images->channels; first += kColours)
        composite(frame, with_features(frame, *render, first), without_background(render->options), mask,
                  features_of(*images, v, first));
    }
  });
}

// `images` as forward drew them, and the gradients by them.
GS_EXPORT int32_t gs_backward(const Render* render, const Images* images, const Images* by_images,
                              const Gradients* gradients) {
  return guarded(kExhausted, [&] {
    check(*render, *images, *gradients);
    check(*render, *by_images);
    const bool absolute = gradients->screen_absolute != nullptr;
    for (int v = 0; v < render->views; v++) {
      Frame& frame = *render->frames[v];
      const bool* const mask = mask_of(*render, v);
      for (int first = 0; by_images->features && first < images->channels; first += kColours) {
        composite_backward(frame, with_features(frame, *render, first), without_background(render->options), mask,
                           features_of(*images, v, first), features_of(*by_images, v, first), absolute);
        collect_feature_gradients(frame, *render, gradients->features + first);
      }
      composite_backward(frame, frame.splats.data(), render->options, mask, view_of(*images, v),
                         view_of(*by_images, v), absolute);
      project_backward(frame, *render, v, *gradients);
      frame.has_feature_moments = false;
    }
  });
}

GS_EXPORT int32_t gs_l1_dssim(Loss* loss) {
  return guarded("The CPU engine ran out of memory in the loss; use smaller images.", [&] {
    require(loss->planes >= 1 && loss->height >= 1 && loss->width >= 1 && loss->threads >= 1,
            "A loss over %d images of %d x %d on %d threads is asked for.", loss->planes, loss->width, loss->height,
            loss->threads);
    l1_dssim(*loss);
  });
}

GS_EXPORT int32_t gs_preferences(Preferences* view) {
  return guarded("The CPU engine ran out of memory in the loss; use smaller images.", [&] {
    require(view->height >= 1 && view->width >= 1 && view->threads >= 1,
            "Preferences over %d x %d pixels on %d threads are asked for.", view->width, view->height, view->threads);
    preferences(*view);
  });
}

GS_EXPORT int32_t gs_adam(const Adam* step) {
  return guarded("", [&] {
    require(step->threads >= 1, "A step on %d threads is asked for.", step->threads);
    for (int k = 0; k < step->count; k++)
      require(!step->visible || step->tensors[k].rows == step->rows, "Tensor %d has other rows than `visible`.", k);
    adam(*step);
  });
}

// Runs multiply-adds on one thread, with enough independent sums to fill the pipelines.
GS_EXPORT int32_t gs_measure(Work* work) {
  work->lanes = kLanes;
  work->evaluations = 0;
  for (int64_t k = 0; work->frame && k < work->frame->pair_count; k++)
    work->evaluations += (work->frame->pairs[k].last - work->frame->pairs[k].first + 1) * kTileWidth;
  constexpr int kSums = 10;
  F sums[kSums];
  for (int k = 0; k < kSums; k++) sums[k] = splat(float(k));
  const F factor = splat(0.999f), term = splat(1e-3f);
  for (int64_t round = 0; round < work->rounds; round++)
    for (int k = 0; k < kSums; k++) sums[k] = sums[k] * factor + term;
  F total = splat(0);
  for (const F& value : sums) total += value;
  volatile float keep = sum(total);
  (void)keep;
  work->multiply_adds = work->rounds * kSums * kLanes;
  return gs::kOk;
}
