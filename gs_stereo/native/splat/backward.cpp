// Gradients of the composited images by the splats.
//
// The tile is walked front to back again. For every pixel, `behind` is the gradient-weighted sum of what has not been
// drawn yet, background included: it starts as the sum over the final image and loses each splat's part on the way, so
// no reverse walk and no division by small transmittances is needed. With s the gradient-weighted colour of a splat,
//   dL/dalpha = transmittance * s - behind / (1 - alpha).
// Positions and shapes only need sums over pixels of g = alpha dL/dalpha times 1, dx, dy, dx^2, dx dy, dy^2: dx does
// not change down a column, so three sums a lane do. Every pair stores its own sums and projection adds up those of a
// Gaussian. No atomics, and no dependence on the order in which tiles run.

#include "tile.h"

namespace gss {
namespace {

constexpr int kAhead = 8;  // pairs to prefetch ahead

struct Incoming : Lit {
  F red, green, blue, z1, z2;  // gradients by the images
  F behind;
};

template <int kMoments>
GSS_INLINE void load_incoming(const Images& images, const Images& gradients, const TileShape& tile,
                              Pixels<Incoming>& pixels) {
  const size_t plane = size_t(tile.width) * tile.height;
  for (int k = 0; k < kBlocks; k++) {
    Incoming& in = pixels.blocks[k];
    // Pixels that are not rendered have no gradient.
    const M live = less(splat(0), in.floor);
    const auto at = [&](const float* image) {
      return image ? keep(live, load_block(image, tile, k)) : splat(0);
    };
    in.red = at(gradients.rgb);
    in.green = at(gradients.rgb ? gradients.rgb + plane : nullptr);
    in.blue = at(gradients.rgb ? gradients.rgb + 2 * plane : nullptr);
    in.behind = in.red * at(images.rgb) + in.green * at(images.rgb + plane) + in.blue * at(images.rgb + 2 * plane);
    if (gradients.alpha) in.behind -= at(gradients.alpha) * (1.0f - at(images.alpha));
    if (kMoments > 0) {
      in.z1 = at(gradients.z_sum);
      in.behind += in.z1 * at(images.z_sum);
    }
    if (kMoments > 1) {
      in.z2 = at(gradients.z2_sum);
      in.behind += in.z2 * at(images.z2_sum);
    }
  }
}

// Takes one splat out of what is behind; its weights and alpha dL/dalpha, block by block.
template <int kMoments>
GSS_INLINE void walk_back(const Splat& s, const Footprint& footprint, Pixels<Incoming>& pixels, F* weights, F* by_log) {
  const F r = splat(s.red), g = splat(s.green), b = splat(s.blue), z = splat(s.z), zz = splat(s.z * s.z);
  constexpr int kSide = 2;  // blocks side by side; each statement is a short loop over them
  for (int first = 0; first < footprint.count; first += kSide) {
    F colour[kSide], before[kSide], alpha[kSide], weight[kSide], after[kSide], behind[kSide], by_alpha[kSide];
    M stopping[kSide];
    Incoming* const in = pixels.blocks + footprint.first + first;
    for (int i = 0; i < kSide; i++) {
      colour[i] = in[i].red * r + in[i].green * g + in[i].blue * b;
      if (kMoments > 0) colour[i] += in[i].z1 * z;
      if (kMoments > 1) colour[i] += in[i].z2 * zz;
    }
    for (int i = 0; i < kSide; i++) {
      alpha[i] = min(footprint.alpha[first + i], splat(kAlphaMax));
      before[i] = in[i].transmittance;
      weight[i] = before[i] * alpha[i];
    }
    for (int i = 0; i < kSide; i++) after[i] = before[i] - weight[i];
    for (int i = 0; i < kSide; i++) stopping[i] = less_equal(after[i], in[i].floor);
    if (GSS_UNLIKELY(any(either(stopping[0], stopping[1])))) {
      for (int i = 0; i < kSide; i++) {
        before[i] = select(stopping[i], splat(0), before[i]);
        weight[i] = select(stopping[i], splat(0), weight[i]);
        after[i] = select(stopping[i], splat(0), after[i]);
        in[i].behind = select(stopping[i], splat(0), in[i].behind);
        if (any(stopping[i])) pixels.stop(in[i], stopping[i]);
      }
    }
    for (int i = 0; i < kSide; i++) behind[i] = in[i].behind - weight[i] * colour[i];
    for (int i = 0; i < kSide; i++) by_alpha[i] = before[i] * colour[i] - behind[i] * reciprocal(1.0f - alpha[i]);
    for (int i = 0; i < kSide; i++) {
      in[i].transmittance = after[i];
      in[i].behind = behind[i];
      weights[first + i] = weight[i];
      // A clamped alpha does not move with its Gaussian; one under 1/255 is 0 here.
      by_log[first + i] = keep(less_equal(footprint.alpha[first + i], splat(kAlphaMax)), by_alpha[i] * alpha[i]);
    }
  }
}

template <int kMoments, bool kAbsolute>
void backward_tile(const Frame& frame, const Splat* splats, const bool* mask, const Images& images,
                   const Images& gradients, PairGradient* sums, int64_t index) {
  const TileShape tile(frame, index);
  const Pair* pair = frame.pairs.data() + frame.tile_start[index];
  const Pair* const end = frame.pairs.data() + frame.tile_start[index + 1];
  if (pair == end) return;
  Pixels<Incoming> pixels;
  pixels.start(tile, mask);
  load_incoming<kMoments>(images, gradients, tile, pixels);

  const TileShape next(frame, index + 1);
  int row = 0;  // of the next tile, to prefetch
  for (; pair < end && pixels.live_blocks; pair++) {
    if (row < kTileHeight) {
      prefetch_row<false>(images, next, row);
      prefetch_row<false>(gradients, next, row++);
    }
    if (pair + kAhead < end) {
      __builtin_prefetch(&splats[pair[kAhead].splat]);
      __builtin_prefetch(&sums[pair[kAhead].slot], 1);  // may lie in two cache lines
      __builtin_prefetch(&sums[pair[kAhead].slot].absolute_y, 1);
    }
    const Splat& s = splats[pair->splat];
    const Footprint footprint(s, *pair, tile);
    F weights[kPaddedBlocks], by_log[kPaddedBlocks];  // by_log = alpha dL/dalpha
    walk_back<kMoments>(s, footprint, pixels, weights, by_log);

    F sum_g = splat(0), sum_gy = sum_g, sum_gyy = sum_g, sum_r = sum_g, sum_green = sum_g, sum_b = sum_g, sum_z = sum_g;
    F y = footprint.dy;
    for (int i = 0; i < footprint.count; i++, y += float(kRowsPerVector)) {
      const Incoming& in = pixels.blocks[footprint.first + i];
      sum_r += weights[i] * in.red;
      sum_green += weights[i] * in.green;
      sum_b += weights[i] * in.blue;
      if (kMoments == 1) sum_z += weights[i] * in.z1;
      if (kMoments == 2) sum_z += weights[i] * (in.z1 + 2.0f * s.z * in.z2);
      const F by_log_y = by_log[i] * y;
      sum_g += by_log[i];
      sum_gy += by_log_y;
      sum_gyy += by_log_y * y;
    }
    F sum_abs_x = splat(0), sum_abs_y = splat(0);
    if (kAbsolute) {
      // log2 alpha = a dx^2 + b dx dy + c dy^2 + ...: its slope by the centre is ln 2 times this, up to the sign.
      F dy = footprint.dy;
      for (int i = 0; i < footprint.count; i++, dy += float(kRowsPerVector)) {
        sum_abs_x += absolute(by_log[i] * (2.0f * s.a * footprint.dx + s.b * dy));
        sum_abs_y += absolute(by_log[i] * (2.0f * s.c * dy + s.b * footprint.dx));
      }
    }
    const F sum_gx = sum_g * footprint.dx, sum_gxx = sum_gx * footprint.dx, sum_gxy = sum_gy * footprint.dx;
    float* const slot = &sums[pair->slot].g;
    store_sums_of_8(slot, sum_g, sum_gx, sum_gy, sum_gxx, sum_gxy, sum_gyy, sum_r, sum_green);
    const float ln2 = 1.0f / kLog2E;
    store4(slot + 8, sums_of_4(sum_b, sum_z, sum_abs_x * ln2, sum_abs_y * ln2));
  }
  for (; pair < end; pair++) sums[pair->slot] = PairGradient{};
}

template <int kMoments, bool kAbsolute>
void backward_all(Frame& frame, const Splat* splats, [[maybe_unused]] const Options& options, const bool* mask,
                  const Images& images, const Images& gradients) {
  const int64_t tiles = frame.tiles();
  PairGradient* const sums = frame.pair_gradients.resize(frame.pair_count);
#pragma omp parallel for schedule(dynamic, 4) num_threads(options.threads)
  for (int64_t index = 0; index < tiles; index++)
    backward_tile<kMoments, kAbsolute>(frame, splats, mask, images, gradients, sums, index);
}

}  // namespace

void composite_backward(Frame& frame, const Splat* splats, const Options& options, const bool* mask,
                        const Images& images, const Images& gradients, bool absolute) {
  const auto run = [&](auto kernel) { kernel(frame, splats, options, mask, images, gradients); };
  if (gradients.z2_sum) return run(absolute ? backward_all<2, true> : backward_all<2, false>);
  if (gradients.z_sum) return run(absolute ? backward_all<1, true> : backward_all<1, false>);
  run(absolute ? backward_all<0, true> : backward_all<0, false>);
}

}  // namespace gss
