"""Rendering rectified stereo pairs of a fitted scene, with depth of both eyes, and refusing unsupported views.

Rectified by construction: the right camera is the left one moved along its own x axis, so a world point lies in the
same row of both images and its disparity is f b / z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8

from gs_stereo.errors import StageError
from gs_stereo.geometry.disparity import disparity_from_depth
from gs_stereo.geometry.local_frame import NO_ORIGIN
from gs_stereo.splat.cut_out import cut_out_of, without
from gs_stereo.splat.guards import Capture, EyeMeasures, ViewMeasures, measure_eye, refusal
from gs_stereo.splat.pair_planner import PairPlan, TargetDisparity
from gs_stereo.splat.pairs_config import PairsConfig
from gs_stereo.splat.raster.protocol import Rasterizer, RenderOutput, RenderSettings
from gs_stereo.types import Camera, DepthMaps, StereoPair, StereoRig
from gs_stereo.types.gaussians import Gaussians

_HIGH_PERCENTILE = 95.0


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedView:
    """One rendered eye as numpy arrays: sRGB image and depth maps (float32), and what the photos cut out of it."""

    image: UInt8[np.ndarray, "h w 3"]
    depth: DepthMaps
    cut_out: Bool[np.ndarray, "h w"] | None = None

    def within(self, camera: Camera, capture: Capture) -> RenderedView:
        """The view without depth where the photos cut its surface out."""
        cut_out = cut_out_of(camera, self.depth, capture)
        return replace(self, depth=without(self.depth, cut_out), cut_out=cut_out)


@dataclass(frozen=True, kw_only=True, eq=False)
class SplatRenderer:
    """A fitted scene and the way to render it; `settings` must be those the scene was fitted with.

    origin: place in the world that the means of the Gaussians are relative to. Cameras are given in the world.
    """

    rasterizer: Rasterizer
    gaussians: Gaussians
    settings: RenderSettings
    origin: tuple[float, float, float] = NO_ORIGIN

    def render(self, cameras: Sequence[Camera]) -> list[RenderedView]:
        """Render cameras of one size, forward only."""
        cameras = [self._near(camera) for camera in cameras]
        with torch.no_grad():
            return _rendered_views(self.rasterizer.render(self.gaussians, cameras, self.settings))

    def render_stereo(self, rig: StereoRig) -> tuple[RenderedView, RenderedView]:
        """Render the left and the right eye, with what both need done once."""
        rig = replace(rig, left=self._near(rig.left))
        with torch.no_grad():
            left, right = self.rasterizer.render_stereo(self.gaussians, rig, self.settings)
            return _rendered_views(left)[0], _rendered_views(right)[0]

    def _near(self, camera: Camera) -> Camera:
        return camera if self.origin == NO_ORIGIN else camera.around(self.origin)


@dataclass(frozen=True, kw_only=True, eq=False)
class PairOutcome:
    """What became of a planned pair: the pair, or the reason of its refusal; and the measures in both cases."""

    pair: StereoPair | None
    measures: ViewMeasures
    refusal: str | None


def render_stereo_pair(
    renderer: SplatRenderer,
    rig: StereoRig,
    *,
    sample_id: str,
    view_id: str,
    extra_offsets: tuple[float, ...] = (),
) -> StereoPair:
    """Render both eyes of a rig, and views at `extra_offsets` (scene units along the left camera's x axis)."""
    pair = _pair(rig, renderer.render_stereo(rig), (sample_id, view_id))
    return replace(pair, extra_views=_extra_views(renderer, rig, extra_offsets), extra_offsets=extra_offsets)


def render_planned_pair(plan: PairPlan, renderer: SplatRenderer, capture: Capture, config: PairsConfig) -> PairOutcome:
    """Render one planned pair unless a guard refuses it. A baseline that is to be chosen waits for the left eye."""
    right, guards = None, config.own_guards
    if isinstance(plan.baseline, TargetDisparity):
        left = renderer.render([plan.left])[0]
    else:
        left, right = renderer.render_stereo(StereoRig(left=plan.left, baseline=plan.baseline))
    left = left.within(plan.left, capture)
    left_measures = measure_eye(plan.left, left.image, left.depth, capture, guards)
    reason = refusal(ViewMeasures(left=left_measures), guards)
    if reason is None and not _usable(left.depth).any():
        reason = "no_depth"
    if reason is not None:
        return PairOutcome(pair=None, measures=ViewMeasures(left=left_measures), refusal=reason)

    rig = StereoRig(left=plan.left, baseline=_baseline(plan, left.depth, config))
    right = (right or renderer.render([rig.right])[0]).within(rig.right, capture)
    right_measures = measure_eye(rig.right, right.image, right.depth, capture, guards)
    measures = _view_measures(rig, left.depth, left_measures, right_measures)
    reason = refusal(measures, guards)
    if reason is not None:
        return PairOutcome(pair=None, measures=measures, refusal=reason)
    offsets = tuple(multiple * rig.baseline for multiple in plan.extra_offsets)
    pair = replace(_pair(rig, (left, right), (plan.sample_id, plan.view_id)), extra_offsets=offsets)
    if not config.stack_views:
        pair = replace(pair, extra_views=_extra_views(renderer, rig, offsets))
        return PairOutcome(pair=pair, measures=measures, refusal=None)
    known = {0.0: left, rig.baseline: right}
    views = [
        known.get(offset) or renderer.render([camera])[0].within(camera, capture)
        for offset, camera in ((offset, rig.left.shifted(offset)) for offset in offsets)
    ]
    end = measure_eye(rig.left.shifted(offsets[0]), views[0].image, views[0].depth, capture, guards)
    reason = refusal(replace(measures, right=end), guards)
    if reason is not None:
        return PairOutcome(pair=None, measures=measures, refusal=reason)
    pair = replace(
        pair,
        extra_views=tuple(view.image for view in views),
        extra_depth=tuple(_sure_depth(view.depth, config) for view in views),
    )
    return PairOutcome(pair=pair, measures=measures, refusal=None)


def choose_baseline(
    camera: Camera, depth: DepthMaps, *, target_disparity_px: float, max_disparity_px: float = float("inf")
) -> float:
    """The baseline (scene units) that makes the median disparity of the view `target_disparity_px`.

    It is reduced where the 95th percentile of the disparity would exceed `max_disparity_px`. Raises StageError if
    the view has no depth at all.
    """
    usable = _usable(depth)
    if not usable.any():
        raise StageError(f"The view {camera.name!r} shows no surface to choose a baseline from; leave it out.")
    inverse_depth = 1.0 / depth.median[usable].astype(np.float64)
    by_median = target_disparity_px / (camera.focal_px * np.median(inverse_depth))
    by_nearest = max_disparity_px / (camera.focal_px * np.percentile(inverse_depth, _HIGH_PERCENTILE))
    return float(min(by_median, by_nearest))


def _baseline(plan: PairPlan, depth: DepthMaps, config: PairsConfig) -> float:
    if not isinstance(plan.baseline, TargetDisparity):
        return plan.baseline
    return choose_baseline(
        plan.left,
        depth,
        target_disparity_px=plan.baseline.median_px,
        # A stack reaches to both sides of its middle view.
        max_disparity_px=config.max_disparity_share * plan.left.width / (2 if config.stack_views else 1),
    )


def _usable(depth: DepthMaps) -> Bool[np.ndarray, "h w"]:
    return np.asarray(np.isfinite(depth.median) & (depth.median > 0))


def _sure_depth(depth: DepthMaps, config: PairsConfig) -> Float32[np.ndarray, "h w"]:
    """The median depth where the view is covered and it is not ambiguous, else NaN."""
    covered = _usable(depth) & (depth.alpha >= config.guards.covered_alpha)
    sure = covered & (np.abs(depth.expected - depth.median) <= config.guards.ambiguous_shift * depth.median)
    return np.where(sure, depth.median, np.float32(np.nan))


def _extra_views(
    renderer: SplatRenderer, rig: StereoRig, offsets: tuple[float, ...]
) -> tuple[UInt8[np.ndarray, "h w 3"], ...]:
    """Images of the left camera moved by `offsets` scene units along its x axis."""
    if not offsets:
        return ()
    return tuple(view.image for view in renderer.render([rig.left.shifted(offset) for offset in offsets]))


def _pair(rig: StereoRig, eyes: tuple[RenderedView, RenderedView], ids: tuple[str, str]) -> StereoPair:
    """Put a pair together. eyes: left, right. ids: sample_id, view_id."""
    left, right = eyes
    return StereoPair(
        sample_id=ids[0],
        view_id=ids[1],
        rig=rig,
        left=left.image,
        right=right.image,
        left_depth=left.depth,
        right_depth=right.depth,
        left_cut_out=left.cut_out,
    )


def _view_measures(rig: StereoRig, depth: DepthMaps, left: EyeMeasures, right: EyeMeasures) -> ViewMeasures:
    disparity = disparity_from_depth(depth.median, rig.focal_times_baseline)
    known = disparity[np.isfinite(disparity)]
    median, high = np.percentile(known, [50.0, _HIGH_PERCENTILE]) if len(known) else (np.nan, np.nan)
    return ViewMeasures(
        left=left, right=right, baseline=rig.baseline, median_disparity_px=float(median), high_disparity_px=float(high)
    )


def _rendered_views(output: RenderOutput) -> list[RenderedView]:
    images = (output.rgb.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    maps = [output.expected_depth, output.median_depth, output.depth_variance, output.alpha]
    expected, median, variance, alpha = (values.to(torch.float32).contiguous().cpu().numpy() for values in maps)
    return [
        RenderedView(
            image=images[view],
            depth=DepthMaps(expected=expected[view], median=median[view], variance=variance[view], alpha=alpha[view]),
        )
        for view in range(len(images))
    ]
