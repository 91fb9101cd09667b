"""Compare the labels of rendered pairs with the exact truth of the scene they were rendered from.

A label is matched to the truth of the photo with the same name (its stem), at the label's own resolution; the truth is
taken at the truth pixel nearest to each label pixel's centre.

Which truth pixel a label pixel shows depends on `PixelMapping`. `photo`: the same place of the photo. That is right
whenever the left view re-renders a photo, also when structure from motion estimated a slightly different focal length:
the fit reproduces the photo pixel by pixel, and depth comes out longer by the same factor as the focal length, so
f_label / z_label equals f_truth / z_truth. `ray`: the same normalised ray; right for views rendered with other
intrinsics at the exact pose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8, UInt16

from gs_stereo.benchmarks.exact import CLASS_NAMES, HIDDEN, OUT_OF_FRAME, ExactScene, ExactTruth, ExactView, Split
from gs_stereo.benchmarks.label_report import BaselineScores, LabelReport, LabelScores, RegionScores
from gs_stereo.errors import InputError
from gs_stereo.geometry.disparity import disparity_from_depth
from gs_stereo.geometry.pixels import pixel_centres, pixel_index
from gs_stereo.metrics.calibration import ReliabilityMetrics, SparsificationMetrics
from gs_stereo.metrics.disparity import DEFAULT_THRESHOLDS_PX, DetectionMetrics, DisparityMetrics, edge_mask
from gs_stereo.types import Camera, LabelFlag

PixelMapping = Literal["photo", "ray"]

_FULL_CONFIDENCE = 255.0
_RIGHT_PX = 1.0
_FOCAL_SHARE = 0.03
_SCALE_PIXELS_PER_VIEW = 20000


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledView:
    """One label: the left view's photo name, its K in pixels of the label, and the baseline in scene units.

    confidence and flags are those of the shard format: round(255 p), and bits of `LabelFlag`.
    """

    view_name: str
    intrinsics: Float[np.ndarray, "3 3"]
    baseline: float
    disparity: Float[np.ndarray, "h w"]
    confidence: UInt8[np.ndarray, "h w"]
    flags: UInt16[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True)
class LabelProtocol:
    """How labels are compared.

    metres_per_unit: scale of the labels' scene; None removes the median ratio of label to truth over all labels.
    edge_radius_px: pixels of the truth within this distance of a depth discontinuity are `edge`.
    """

    split: Split = "train"
    mapping: PixelMapping = "photo"
    metres_per_unit: float | None = 1.0
    thresholds_px: tuple[float, ...] = DEFAULT_THRESHOLDS_PX
    edge_radius_px: int = 3


def evaluate_labels(
    samples: Iterable[LabelledView], scene: ExactScene, protocol: LabelProtocol = LabelProtocol()
) -> LabelReport:
    """Score every label by baseline and region, and all baselines together.

    With an unknown scale the samples are held in memory, for they are looked at twice. Raises InputError if there is no
    sample, a view is not in the scene, or a label's shape or intrinsics do not fit its photo.
    """
    matcher = _Matcher(scene, protocol)
    metres = protocol.metres_per_unit
    if metres is None:
        samples = list(samples)
        metres = _metres_per_unit(samples, matcher)
    tallies: dict[float, _Tally] = {}
    for sample in samples:
        # Baselines are named in whole micrometres, so that rounding in a file does not split one into two.
        key = round(sample.baseline * metres, 6)
        tally = tallies.setdefault(key, _Tally(thresholds_px=protocol.thresholds_px))
        tally.add(sample, matcher.truth_at(sample, metres))
    if not tallies:
        raise InputError("There is no label to evaluate; name a dataset that holds samples.")
    together = _Tally(thresholds_px=protocol.thresholds_px)
    for tally in tallies.values():
        together.merge(tally)
    return LabelReport(
        scene=scene.name,
        split=protocol.split,
        mapping=protocol.mapping,
        metres_per_unit=metres,
        scale_was_estimated=protocol.metres_per_unit is None,
        together=together.scores(),
        baselines=tuple(BaselineScores(baseline_m=key, **vars(tallies[key].scores())) for key in sorted(tallies)),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Truth:
    """The truth at a label's pixels; NaN disparity where the label shows none of the scene."""

    disparity: Float[np.ndarray, "h w"]
    hidden: Bool[np.ndarray, "h w"]
    out_of_frame: Bool[np.ndarray, "h w"]
    edge: Bool[np.ndarray, "h w"]
    cls: UInt8[np.ndarray, "h w"]

    def regions(self) -> Iterator[tuple[str, Bool[np.ndarray, "h w"]]]:
        yield "all", np.ones(self.disparity.shape, bool)
        yield "non_occluded", ~(self.hidden | self.out_of_frame)
        yield "edge", self.edge
        for value, name in enumerate(CLASS_NAMES):
            yield name, self.cls == value


class _Matcher:
    """Finds the truth under a label's pixels. The samples of one view follow each other, so the last truth is kept."""

    def __init__(self, scene: ExactScene, protocol: LabelProtocol) -> None:
        self._scene, self._protocol = scene, protocol
        self._last: tuple[ExactView, ExactTruth, np.ndarray] | None = None

    def disparity_at(self, sample: LabelledView, metres: float) -> Float[np.ndarray, "h w"]:
        """True disparity of a label's pixels in pixels of the label; NaN beside the photo and on drawn objects."""
        view, truth, _ = self._load(sample)
        row, column, inside = _truth_pixels(sample, view.camera, self._protocol.mapping)
        focal = _comparison_focal(sample, view.camera, self._protocol.mapping)
        disparity = disparity_from_depth(truth.z[row, column].astype(np.float64), focal * sample.baseline * metres)
        return np.where(inside & ((sample.flags & LabelFlag.DRAWN_OBJECT) == 0), disparity, np.nan)

    def truth_at(self, sample: LabelledView, metres: float) -> _Truth:
        """Everything the label is compared with."""
        view, truth, edge = self._load(sample)
        row, column, _ = _truth_pixels(sample, view.camera, self._protocol.mapping)
        bits = truth.occlusion_at(sample.baseline * metres, view.camera.focal_px)[row, column]
        return _Truth(
            disparity=self.disparity_at(sample, metres),
            hidden=(bits & HIDDEN) > 0,
            out_of_frame=(bits & OUT_OF_FRAME) > 0,
            edge=edge[row, column],
            cls=truth.cls[row, column],
        )

    def _load(self, sample: LabelledView) -> tuple[ExactView, ExactTruth, np.ndarray]:
        view = self._scene.view(sample.view_name, self._protocol.split)
        _check_shape(sample, view.camera)
        if self._last is None or self._last[0] is not view:
            truth = view.truth()
            self._last = view, truth, edge_mask(truth.z, self._protocol.edge_radius_px)
        return self._last


def _check_shape(sample: LabelledView, camera: Camera) -> None:
    height, width = sample.disparity.shape
    if sample.confidence.shape != (height, width) or sample.flags.shape != (height, width):
        raise InputError(f"The label of {sample.view_name!r} has maps of different sizes; write the dataset again.")
    if abs(width * camera.height - height * camera.width) > max(camera.width, camera.height):
        raise InputError(
            f"The label of {sample.view_name!r} is {width} x {height} and its truth {camera.width} x {camera.height}; "
            "evaluate labels with the photo's aspect."
        )


def _truth_pixels(
    sample: LabelledView, camera: Camera, mapping: PixelMapping
) -> tuple[Int64[np.ndarray, "h w"], Int64[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Row and column of the truth pixel each label pixel shows, clamped, and where it really lies in the truth."""
    height, width = sample.disparity.shape
    place = pixel_centres(width, height)
    stretch = np.array([camera.width / width, camera.height / height])
    if mapping == "photo":
        focal = float(sample.intrinsics[0, 0]) * float(stretch[0])
        if not abs(focal / camera.focal_px - 1) <= _FOCAL_SHARE:
            raise InputError(
                f"The label of {sample.view_name!r} has focal length {focal:.1f} px at the photo's size and the photo "
                f"{camera.focal_px:.1f} px; set mapping=ray if the views have intrinsics of their own."
            )
        image_xy = place * stretch
    else:
        k = sample.intrinsics
        rays = (place - k[:2, 2]) / k[[0, 1], [0, 1]]
        image_xy = rays * camera.intrinsics[[0, 1], [0, 1]] + camera.intrinsics[:2, 2]
    index = pixel_index(image_xy)
    largest = np.array([camera.width - 1, camera.height - 1])
    inside = np.asarray(((index >= 0) & (index <= largest)).all(axis=-1))
    clamped = np.clip(index, 0, largest)
    return clamped[..., 1], clamped[..., 0], inside


def _comparison_focal(sample: LabelledView, camera: Camera, mapping: PixelMapping) -> float:
    """Focal length that turns true depth into the label's disparity (see the file's docstring)."""
    if mapping == "ray":
        return float(sample.intrinsics[0, 0])
    return camera.focal_px * sample.disparity.shape[1] / camera.width


def _metres_per_unit(samples: list[LabelledView], matcher: _Matcher) -> float:
    """The scale m that makes labels and truth agree in the median pixel.

    A label is f b / z with b and z in units; the truth at one metre a unit is f b / (m z). Their ratio is m.
    """
    ratios = []
    for sample in samples:
        ratio = sample.disparity / matcher.disparity_at(sample, 1.0)
        ratio = ratio[np.isfinite(ratio)]
        ratios.append(ratio[:: max(1, len(ratio) // _SCALE_PIXELS_PER_VIEW)])
    values = np.concatenate(ratios) if ratios else np.zeros(0)
    if len(values) == 0 or not float(np.median(values)) > 0:
        raise InputError("The scale of the labels cannot be found because no pixel has a label; name another dataset.")
    return float(np.median(values))


@dataclass(kw_only=True, eq=False)
class _RegionTally:
    disparity: DisparityMetrics
    reliability: ReliabilityMetrics = field(default_factory=ReliabilityMetrics)
    sparsification: SparsificationMetrics = field(default_factory=SparsificationMetrics)

    def merge(self, other: _RegionTally) -> None:
        self.disparity.merge(other.disparity)
        self.reliability.merge(other.reliability)
        self.sparsification.merge(other.sparsification)


@dataclass(kw_only=True, eq=False)
class _Tally:
    """Everything counted for one baseline, or for several."""

    thresholds_px: tuple[float, ...]
    views: int = 0
    regions: dict[str, _RegionTally] = field(default_factory=dict)
    occluded: DetectionMetrics = field(default_factory=DetectionMetrics)
    out_of_frame: DetectionMetrics = field(default_factory=DetectionMetrics)

    def add(self, sample: LabelledView, truth: _Truth) -> None:
        self.views += 1
        known = np.isfinite(truth.disparity)
        error = np.abs(sample.disparity.astype(np.float64) - truth.disparity)
        confidence = sample.confidence / _FULL_CONFIDENCE
        for name, mask in truth.regions():
            tally = self._region(name)
            tally.disparity.update(sample.disparity, truth.disparity, mask)
            labelled = mask & np.isfinite(error)
            tally.reliability.update(confidence[labelled], error[labelled] < _RIGHT_PX)
            tally.sparsification.update(confidence[labelled], error[labelled])
        in_frame = known & ~truth.out_of_frame
        self.occluded.update((sample.flags & LabelFlag.OCCLUDED) > 0, truth.hidden, in_frame)
        self.out_of_frame.update((sample.flags & LabelFlag.OUT_OF_FRAME) > 0, truth.out_of_frame, known)

    def merge(self, other: _Tally) -> None:
        self.views += other.views
        for name, tally in other.regions.items():
            self._region(name).merge(tally)
        self.occluded.merge(other.occluded)
        self.out_of_frame.merge(other.out_of_frame)

    def _region(self, name: str) -> _RegionTally:
        return self.regions.setdefault(name, _RegionTally(disparity=DisparityMetrics(self.thresholds_px)))

    def scores(self) -> LabelScores:
        return LabelScores(
            views=self.views,
            regions=tuple(
                RegionScores(
                    region=name,
                    disparity=tally.disparity.compute(),
                    reliability=tally.reliability.compute(),
                    sparsification=tally.sparsification.compute(),
                )
                for name, tally in self.regions.items()
            ),
            occlusion=self.occluded.compute(),
            out_of_frame=self.out_of_frame.compute(),
        )
