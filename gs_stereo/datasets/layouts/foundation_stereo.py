"""FoundationStereo's training data (FSD): `<scene>/dataset/data/left|right/rgb`, `left/disparity` as 3-byte PNG.

Wen et al., FoundationStereo: Zero-Shot Stereo Matching, CVPR 2025, and its published reader, which takes an RGB pixel
as the digits of a number in base 255: 1000 x px = 255^2 R + 255 G + B. So a step is 1/1000 px. Nothing marks a pixel
without a label there; we write 0, which no label has (a label is at least one step).
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.core.atomic import write_bytes
from gs_stereo.datasets.layouts.pair_files import PairFiles, PairSource, sorted_sources
from gs_stereo.datasets.layouts.protocol import ExportJob, Holds
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.errors import StageError
from gs_stereo.imaging.images import read_photo, write_png
from gs_stereo.io.disparity_files import from_steps, to_steps

_BASE = 255
_STEPS_PER_PX = 1000.0
_JPEG_QUALITY = 95


class FoundationStereoExporter:
    """The layout of FoundationStereo's data set."""

    name = "foundationstereo"
    holds = Holds(
        files=(
            ("<scene>/dataset/data/left/rgb/000000.jpg", "left image (JPEG 95, or PNG with `images=png`)"),
            ("<scene>/dataset/data/right/rgb/000000.jpg", "right image"),
            (
                "<scene>/dataset/data/left/disparity/000000.png",
                "disparity of the left image, 1000 x px = 65025 R + 255 G + B",
            ),
        ),
        unknown="0",
        steps_per_px=_STEPS_PER_PX,
        max_steps=255 * _BASE**2 + (_BASE - 1) * _BASE + _BASE - 1,
    )

    def write(self, folder: Path, samples: Iterable[ShardSample], job: ExportJob) -> list[str]:
        place, names = folder / job.scene_folder / "dataset" / "data", []
        for number, sample in enumerate(samples):
            name = f"{number:06d}"
            for eye, image in (("left", sample.left), ("right", sample.right)):
                _write_image(place / eye / "rgb" / f"{name}.{job.config.images}", image)
            write_png(place / "left" / "disparity" / f"{name}.png", encode(sample.disparity))
            names.append(f"{job.scene_folder}/{name}")
        return names


def find_foundation_stereo(root: Path, split: str | None = None) -> list[PairSource]:
    """The pairs of all scenes, or of the scenes whose name begins with `split`."""
    lefts = root.glob(f"{split or ''}*/dataset/data/left/rgb/*.*")
    return sorted_sources(map(_pair, lefts), where=f"{root} has no <scene>/dataset/data/left/rgb/<number>.jpg or .png")


def _pair(left: Path) -> PairSource:
    place = left.parents[2]
    return PairFiles(
        name=f"{place.parents[1].name}/{left.stem}",
        left=left,
        right=place / "right" / "rgb" / left.name,
        disparity=place / "left" / "disparity" / f"{left.stem}.png",
        read_disparity=lambda path: decode(read_photo(path, upright=False)),
    ).source()


def encode(disparity: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Disparity in thousandths of a pixel as three digits in base 255; (0, 0, 0) = no label."""
    steps = to_steps(disparity, _STEPS_PER_PX)
    return np.stack([steps // _BASE**2, steps // _BASE % _BASE, steps % _BASE], axis=-1).astype(np.uint8)


def decode(pixels: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """The inverse of `encode`, to half a thousandth of a pixel."""
    return from_steps(pixels.astype(np.int64) @ np.array([_BASE**2, _BASE, 1]), _STEPS_PER_PX)


def _write_image(path: Path, image: UInt8[np.ndarray, "h w 3"]) -> None:
    import cv2

    if path.suffix == ".png":
        write_png(path, image)
        return
    full_colour = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY, *full_colour])
    if not done:
        raise StageError(f"The image for {path} of shape {image.shape} cannot be encoded; use images=png.")
    write_bytes(path, data.tobytes())
