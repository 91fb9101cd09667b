// Gaussians in space -> splats on screen (the geometry is in projection.h), colour = max(0, SH + 1/2) included.
// Parameters are checked for NaN and infinity on the way.

#include "projection.h"

namespace gss {
namespace {

// True if all `count` floats are finite.
GSS_INLINE bool finite(const float* values, int64_t count) {
  F largest = splat(0);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) largest = max_magnitude(largest, load(values + i));
  bool rest = true;
  for (; i < count; i++) rest &= std::isfinite(values[i]);
  return all(finite_lanes(largest)) && rest;
}

GSS_INLINE int32_t check(const Cloud& cloud, int64_t first, int64_t count) {
  int32_t bad = 0;
  if (!finite(cloud.means + 3 * first, 3 * count)) bad |= kBadMeans;
  if (!finite(cloud.quats_wxyz + 4 * first, 4 * count)) bad |= kBadQuats;
  if (!finite(cloud.log_scales + 3 * first, 3 * count)) bad |= kBadLogScales;
  if (!finite(cloud.opacity_logits + first, count)) bad |= kBadOpacities;
  if (!finite(cloud.sh + 3 * cloud.sh_count * first, 3 * cloud.sh_count * count)) bad |= kBadSh;
  return bad;
}

// Writes the splats of one block for one camera, without colour. Returns the visible lanes.
GSS_INLINE M write_splats(const Camera& camera, const Options& options, const Shape& shape, const Posed& posed,
                          Rows rows, Splat* splats, float* radii) {
  const Screen s = to_screen(camera, posed, options.eps2d);
  const F x = s.jx * posed.mean.x + camera.cx, y = s.jy * posed.mean.y + camera.cy;
  const F opacity = options.antialiased ? shape.opacity * compensation(s) : shape.opacity;
  M visible = both(both(posed.in_front, in_range(rows)), less_equal(splat(kAlphaMin), opacity));
  visible = both(visible, both(less(splat(0), s.det), finite_lanes(s.det)));  // positive, finite
  const F log2_opacity = log2(max(opacity, splat(kAlphaMin)));
  // alpha >= 1/255 where the Mahalanobis distance squared is under `reach`.
  const F reach = max((log2_opacity - kLog2AlphaMin) * (2.0f / kLog2E), splat(0));
  const F extent_x = sqrt(reach * s.xx), extent_y = sqrt(reach * s.yy);
  visible = both(visible, both(less(splat(0), x + extent_x), less(x - extent_x, splat(float(camera.width)))));
  visible = both(visible, both(less(splat(0), y + extent_y), less(y - extent_y, splat(float(camera.height)))));

  const F inverse_det = 1.0f / s.det;
  const F scale = -0.5f * kLog2E * inverse_det;  // exponents are in powers of two
  F columns[16] = {x, y, scale * s.yy, -2.0f * scale * s.xy, scale * s.xx, log2_opacity, splat(0), splat(0), splat(0),
                   posed.mean.z, keep(visible, extent_x), keep(visible, extent_y),
                   0.25f * kLog2E * kLog2E * inverse_det, splat(0), splat(0), splat(0)};
  store_columns(&splats[0].x, 16, 16, rows, columns, false);
  F radius = keep(visible, max(extent_x, extent_y));
  store_columns(radii, 1, 1, rows, &radius, false);
  return visible;
}

GSS_INLINE void write_colours(const Camera& camera, const Cloud& cloud, const Shape& shape, const F* sh, Rows rows,
                              Splat* splats) {
  F inverse_length, basis[kMaxShCount];
  const V3 d = view_direction(camera, shape, inverse_length);
  sh_basis(cloud.sh_degree, d.x, d.y, d.z, basis);
  const int used = (cloud.sh_degree + 1) * (cloud.sh_degree + 1);
  F colour[3] = {splat(0.5f), splat(0.5f), splat(0.5f)};
  for (int k = 0; k < used; k++)
    for (int channel = 0; channel < 3; channel++) colour[channel] += basis[k] * sh[3 * k + channel];
  for (F& channel : colour) channel = max(channel, splat(0));
  store_columns(&splats[0].red, 16, 3, rows, colour, false);
}

int32_t project_chunk(const Render& render, int64_t begin, int64_t end) {
  const Cloud& cloud = render.cloud;
  const int width = 3 * (cloud.sh_degree + 1) * (cloud.sh_degree + 1);
  for (int64_t first = begin; first < end; first += kLanes) {
    const Rows rows{first, cloud.count};
    prefetch_rows(cloud.sh, 3 * cloud.sh_count, Rows{first + kAhead, cloud.count});
    const Shape shape = load_shape(cloud, rows);
    F sh[3 * kMaxShCount];
    bool loaded = false;
    for (int v = 0; v < render.views; v++) {
      const Camera& camera = render.cameras[v];
      Splat* const splats = render.frames[v]->splats.data();
      const Posed posed = pose(camera, shape, render.options.near);
      const M visible = write_splats(camera, render.options, shape, posed, rows, splats, render.radii + v * cloud.count);
      if (!any(visible)) continue;
      if (!loaded) load_columns(cloud.sh, 3 * cloud.sh_count, width, rows, sh);
      loaded = true;
      write_colours(camera, cloud, shape, sh, rows, splats);
    }
  }
  return check(cloud, begin, end - begin);
}

}  // namespace

int32_t project(const Render& render) {
  const int64_t count = render.cloud.count;
  for (int v = 0; v < render.views; v++) {
    Frame& frame = *render.frames[v];
    frame.count = count;
    frame.width = render.cameras[v].width;
    frame.height = render.cameras[v].height;
    frame.tiles_x = (frame.width + kTileWidth - 1) / kTileWidth;
    frame.tiles_y = (frame.height + kTileHeight - 1) / kTileHeight;
    frame.splats.resize(count);
    frame.has_feature_moments = false;
  }
  const int64_t chunks = (count + kChunk - 1) / kChunk;
  int32_t bad = 0;
#pragma omp parallel for schedule(static) num_threads(render.options.threads) reduction(| : bad)
  for (int64_t chunk = 0; chunk < chunks; chunk++)
    bad |= project_chunk(render, chunk * kChunk, std::min((chunk + 1) * kChunk, count));
  return bad;
}

}  // namespace gss
