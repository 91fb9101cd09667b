"""What an exporter is: it writes a layout, reads it back, and says what the layout can hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, UInt8, UInt16

from gs_stereo.datasets.layouts.config import ExportConfig
from gs_stereo.datasets.schema import DatasetInfo, ShardSample
from gs_stereo.plugins import Registry


@dataclass(frozen=True, kw_only=True)
class Holds:
    """What a layout can hold.

    steps_per_px: how finely disparity is stored; None = float32, as it is. max_steps: the largest number of steps.
    unknown: what marks a pixel without a label. files: (path, meaning) of every file, for the README. lossy_images:
    True if the images may be JPEG.
    """

    files: tuple[tuple[str, str], ...]
    unknown: str
    steps_per_px: float | None = None
    max_steps: int | None = None
    confidence: bool = False
    visibility: bool = False
    flags: bool = False
    camera: bool = False
    lossy_images: bool = False

    def too_large(self, disparity: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
        """Where a known disparity is beyond what the layout can hold."""
        if self.steps_per_px is None or self.max_steps is None:
            return np.zeros(disparity.shape, dtype=bool)
        steps = np.rint(np.nan_to_num(disparity.astype(np.float64)) * self.steps_per_px)
        return steps > self.max_steps

    @property
    def max_px(self) -> float | None:
        """The largest disparity, in pixels; None = any."""
        return None if self.max_steps is None or self.steps_per_px is None else self.max_steps / self.steps_per_px


@dataclass(frozen=True, kw_only=True)
class ExportJob:
    """What is true of all samples of an export."""

    info: DatasetInfo
    config: ExportConfig = field(default=ExportConfig())

    @property
    def metres_per_unit(self) -> float:
        """NaN where the scale is unknown, so that depth computed from it is unknown too."""
        return np.nan if self.info.metres_per_unit is None else self.info.metres_per_unit


@dataclass(frozen=True, kw_only=True, eq=False)
class ExportedSample:
    """One sample as an export's reader finds it; None = the layout does not hold it.

    disparity: px of the left image, NaN = no label. confidence: round(255 * P(error < 1 px)). visible: a labelled
    pixel that both eyes see. intrinsics: pixel centres at + 0.5. baseline_m: metres, NaN = unknown. outer_left: the
    image one baseline to the left of the left eye.
    """

    name: str
    left: UInt8[np.ndarray, "h w 3"]
    right: UInt8[np.ndarray, "h w 3"]
    disparity: Float[np.ndarray, "h w"]
    confidence: UInt8[np.ndarray, "h w"] | None = None
    visible: Bool[np.ndarray, "h w"] | None = None
    flags: UInt16[np.ndarray, "h w"] | None = None
    intrinsics: Float[np.ndarray, "3 3"] | None = None
    baseline_m: float | None = None
    outer_left: UInt8[np.ndarray, "h w 3"] | None = None


class Exporter(Protocol):
    """A layout of files on disk."""

    name: str
    holds: Holds

    def write(self, folder: Path, samples: Iterable[ShardSample], job: ExportJob) -> list[str]:
        """Write every sample into the empty `folder`; returns the name by which `read` calls each, in order.

        One sample is in memory at a time. The same samples give the same bytes. Disparities that the layout cannot
        hold have been taken out before. Raises InputError for samples that the layout cannot take.
        """
        ...

    def read(self, folder: Path) -> Iterator[ExportedSample]:
        """The samples in the order they were written; InputError if a file is missing, broken or hostile."""
        ...


EXPORTERS: Registry[type[Exporter]] = Registry(
    kind="exporter",
    builtin={
        "kitti": "gs_stereo.datasets.layouts.kitti:KittiExporter",
        "middlebury": "gs_stereo.datasets.layouts.middlebury:MiddleburyExporter",
        "sceneflow": "gs_stereo.datasets.layouts.sceneflow:SceneFlowExporter",
        "nerf-stereo": "gs_stereo.datasets.layouts.nerf_stereo:NerfStereoExporter",
        "foundationstereo": "gs_stereo.datasets.layouts.foundation_stereo:FoundationStereoExporter",
        "webdataset": "gs_stereo.datasets.layouts.webdataset:WebDatasetExporter",
    },
)
