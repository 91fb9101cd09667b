"""What an exporter is: it writes a layout, and says what the layout can hold.

Where the files of a layout are somebody's truth, its module has a finder too, which the benchmarks use.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.datasets.schema import DatasetInfo, ShardSample
from gs_stereo.plugins import Registry

# Loaders find the other files of a sample by replacing these words anywhere in a path.
_REPLACED_WORDS = ("left", "right", "center", "disparity", "rgb", "frames", "im0", "im1", "image_", "png", "jpg")


class ExportConfig(Config):
    """Which labels go out, and what the formats leave open."""

    min_confidence: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Labels below this confidence are left out: the only way to use it where a format has no place "
        "for confidence.",
    )
    photo_licence: str | None = Field(
        default=None, description="Licence of the photos; by default what the data set knows about it."
    )
    images: Literal["jpg", "png"] = Field(
        default="jpg",
        description="foundationstereo: image files. Its loaders look for .jpg, which costs a little quality; png is "
        "lossless. All other formats are PNG.",
    )
    max_shard_megabytes: float = Field(
        default=500.0, gt=0, description="webdataset: a tar file is closed before it grows beyond this."
    )


@dataclass(frozen=True, kw_only=True)
class Holds:
    """What a layout can hold.

    steps_per_px: how finely disparity is stored; None = float32, as it is. max_steps: the largest number of steps.
    unknown: what marks a pixel without a label. files: (path, meaning) of every file, for the README.
    """

    files: tuple[tuple[str, str], ...]
    unknown: str
    steps_per_px: float | None = None
    max_steps: int | None = None
    confidence: bool = False
    flags: bool = False
    camera: bool = False

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

    @property
    def scene_folder(self) -> str:
        """The scene's name as a folder name that is safe on every file system and for loaders that replace words."""
        scene = self.info.scene
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", scene).strip("-")[:64]
        if not name or any(word in name.lower() for word in _REPLACED_WORDS):
            return f"scene-{hashlib.sha256(scene.encode('utf-8', 'replace')).hexdigest()[:8]}"
        return name


class Exporter(Protocol):
    """A layout of files on disk."""

    name: str
    holds: Holds

    def write(self, folder: Path, samples: Iterable[ShardSample], job: ExportJob) -> list[str]:
        """Write every sample into the empty `folder`; returns the name of each in this layout, in order.

        One sample is in memory at a time. The same samples give the same bytes. Disparities that the layout cannot
        hold have been taken out before. Raises InputError for samples that the layout cannot take.
        """
        ...


EXPORTERS: Registry[type[Exporter]] = Registry(
    kind="exporter",
    builtin={
        "kitti": "gs_stereo.datasets.layouts.kitti:KittiExporter",
        "middlebury": "gs_stereo.datasets.layouts.middlebury:MiddleburyExporter",
        "sceneflow": "gs_stereo.datasets.layouts.sceneflow:SceneFlowExporter",
        "nerf-stereo": "gs_stereo.datasets.layouts.nerf_stereo:NerfStereoExporter",
        "foundationstereo": "gs_stereo.datasets.layouts.foundation_stereo:FoundationStereoExporter",
        "openstereo": "gs_stereo.datasets.layouts.openstereo:OpenStereoExporter",
        "webdataset": "gs_stereo.datasets.layouts.webdataset:WebDatasetExporter",
    },
)
