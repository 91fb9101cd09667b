"""The folder that `reconstruct` and `import` publish, and how later stages read it.

    images/               undistorted PNG images, all of one scene
    masks/                for images that do not show the scene everywhere: white where they do
    cut_out/              for images of which a part is cut out (transparent in the photo): white where nothing is there
    sparse/               COLMAP binary model, PINHOLE; its image names are the files in images/
    reconstruction.json   what registered, what failed and why, scale, and the photo behind every image file

A camera is named after its photo (relative to the photo folder), not after the image file made of it.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, UInt8
from pydantic import Field

from gs_stereo.core.hashing import sha256_text
from gs_stereo.core.records import Record, read_record, write_record
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import read_photo
from gs_stereo.io.colmap import read_model, sparse_scene_from_model, write_model
from gs_stereo.io.colmap_model import ColmapModel, check_image_name
from gs_stereo.types import Camera, SparseScene

IMAGE_FOLDER, MASK_FOLDER, CUT_OUT_FOLDER = "images", "masks", "cut_out"
MODEL_FOLDER, SUMMARY_FILE = "sparse", "reconstruction.json"
_KEPT_PHOTOS = 8
_MOST_REGISTER = 0.8
NO_MATCH = "It matches no other photo"
UNPLACED = (NO_MATCH, "It matches", "Only")
"""How the reasons begin for which photos are read, but not placed."""


@dataclass(frozen=True, kw_only=True)
class PoseRefinement(Record):
    """What adjusting given poses to matches between the photos would change, and why it was refused, if it was.

    farthest: the photo whose pose would change most.
    error_before_px, error_after_px: distance of held-out matches from where the poses let them be, mean. Shifts are of
    camera centres, as shares of the median depth. focal_ratio: refined by given focal length.
    """

    refused: str | None
    farthest: str
    held_out_matches: int
    error_before_px: float
    error_after_px: float
    median_turn_deg: float
    largest_turn_deg: float
    median_shift: float
    largest_shift: float
    focal_ratio: float = 1.0

    @property
    def accepted(self) -> bool:
        """Whether the published poses are the refined ones."""
        return self.refused is None

    def sentence(self) -> str:
        """One line for a person."""
        if not self.accepted:
            return f"The poses are as given, for with refined ones {self.refused}."
        focal = f", focal length x {self.focal_ratio:.4f}" if self.focal_ratio != 1 else ""
        return (
            f"The poses were refined: matches that were held out are off by {self.error_after_px:.2f} px instead of "
            f"{self.error_before_px:.2f} px; photos turned by up to {self.largest_turn_deg:.2f} degrees and moved by "
            f"up to {self.largest_shift:.1%} of the depth{focal}."
        )


@dataclass(frozen=True, kw_only=True)
class ReconstructionSummary(Record):
    """What happened, in numbers.

    image_files: photo name -> file in images/, for registered photos. failed: photo name -> reason.
    masked_shares: photo name -> share of its pixels that do not show the scene, of photos with a mask.
    models: photos in each model that was found, largest (the one kept) first. scale_source: none, given,
    metres_per_unit, known_distance, camera_positions or gps. Numbers that do not exist are None.
    refinement: of poses that were given, None if it was not tried.
    local_origin: what float32 work, such as the splat, is done around; not 0 where the cameras are far from the origin.
    """

    format: Literal["gs_stereo.reconstruction"] = "gs_stereo.reconstruction"
    version: Literal[1] = 1
    source: str
    metres_per_unit: Annotated[float, Field(gt=0)] | None
    scale_source: str
    notes: tuple[str, ...] = ()
    image_files: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    masked_shares: Mapping[str, float] = field(default_factory=dict)
    models: tuple[int, ...] = ()
    num_points: int = 0
    mean_reprojection_error_px: float | None = None
    mean_track_length: float | None = None
    median_focal_px: float | None = None
    refinement: PoseRefinement | None = None
    local_origin: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        for file in self.image_files.values():
            check_image_name(file)

    @property
    def num_photos(self) -> int:
        return len(self.image_files) + len(self.failed)

    @property
    def advice(self) -> str | None:
        """What to try where many photos of a capture have no place; None where nearly all have one."""
        lost = [reason for reason in self.failed.values() if reason.startswith(UNPLACED)]
        missed, registered = len(lost), len(self.image_files)
        if registered >= _MOST_REGISTER * (registered + missed):
            return None
        unmatched = sum(reason.startswith(NO_MATCH) for reason in lost)
        tries = ["--max-image-size 1600", "--mapper global", "--set single_camera=never"]
        if 2 * unmatched > missed:
            tries = ["--matcher exhaustive", "--max-image-size 1600"]
        return (
            f"{missed} of {missed + registered} photos that can be read have no place. Try {', then '.join(tries)}; "
            "mask what moves; and take photos in between, so that neighbours overlap by two thirds."
        )

    def sentence(self) -> str:
        """One line for a person."""
        error = self.mean_reprojection_error_px
        accuracy = f", reprojection error {error:.2f} px" if error is not None else ""
        return f"{len(self.image_files)} of {self.num_photos} photos registered, {self.num_points} points{accuracy}."


def image_file_names(photo_names: Sequence[str]) -> dict[str, str]:
    """A PNG file name for each photo: its name with the suffix .png, or with .png appended where two would clash.

    Names that differ only in case, which is nothing on some file systems, get a number of their own too.
    """
    names = {name: str(PurePosixPath(name).with_suffix(".png")) for name in photo_names}
    for longer in ("{photo}.png", "{photo}-{digest}.png"):
        times = Counter(file.casefold() for file in names.values())
        names = {
            photo: file if times[file.casefold()] == 1 else longer.format(photo=photo, digest=sha256_text(photo)[:10])
            for photo, file in names.items()
        }
    return names


def write_reconstruction(folder: Path, model: ColmapModel, summary: ReconstructionSummary) -> None:
    """Write sparse/ and, last, reconstruction.json. `model` carries photo names; images/ is already there."""
    images = {
        image_id: replace(image, name=summary.image_files[image.name]) for image_id, image in model.images.items()
    }
    write_model(folder / MODEL_FOLDER, replace(model, images=images))
    write_record(folder / SUMMARY_FILE, summary, sort_keys=True)


def load_summary(folder: Path) -> ReconstructionSummary:
    """Read reconstruction.json; InputError if it is missing or broken."""
    path = folder / SUMMARY_FILE
    try:
        stamp = path.stat()
    except OSError as error:
        raise InputError(f"There is no {path}; run gsstereo reconstruct or gsstereo import first.") from error
    return _load_summary(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=8)
def _load_summary(path: Path, _modified_ns: int, _size: int) -> ReconstructionSummary:
    return read_record(ReconstructionSummary, path, fix="run the reconstruction again")


def load_sparse_scene(folder: Path) -> SparseScene:
    """Cameras named after their photos, points and visibility. Needs no COLMAP library."""
    summary = load_summary(folder)
    photo_of = {file: photo for photo, file in summary.image_files.items()}
    model = read_model(folder / MODEL_FOLDER)
    unknown = [image.name for image in model.images.values() if image.name not in photo_of]
    if unknown:
        raise InputError(f"The image {unknown[0]!r} is not in {folder / SUMMARY_FILE}; run the reconstruction again.")
    images = {image_id: replace(image, name=photo_of[image.name]) for image_id, image in model.images.items()}
    return sparse_scene_from_model(replace(model, images=images), summary.metres_per_unit)


def image_path(folder: Path, camera: Camera) -> Path:
    """The undistorted image of a registered camera."""
    files = load_summary(folder).image_files
    if camera.name not in files:
        raise InputError(f"There is no image of {camera.name!r} in {folder}; it was not registered.")
    return folder / IMAGE_FOLDER / files[camera.name]


class PhotosOfReconstruction:
    """A photo source over `reconstruct/`; the last few photos stay in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = load_summary(folder).image_files
        self._read = lru_cache(maxsize=_KEPT_PHOTOS)(self._load)
        self._white = lru_cache(maxsize=2 * _KEPT_PHOTOS)(self._load_white)

    @property
    def names(self) -> Collection[str]:
        """Names of the cameras that have a photo."""
        return self._files.keys()

    def __call__(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """The photo of the camera called `name`; do not write to it."""
        return self._read(name)

    def _load(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        return read_photo(self._folder / IMAGE_FOLDER / self._files[name])

    def _load_white(self, folder: str, name: str) -> Bool[np.ndarray, "h w"] | None:
        path = self._folder / folder / self._files[name]
        return read_photo(path)[:, :, 0] > 0 if path.is_file() else None

    def mask(self, name: str) -> Bool[np.ndarray, "h w"] | None:
        """True where the photo shows the scene; None if all of it does."""
        return self._white(MASK_FOLDER, name)

    def hidden(self, name: str) -> Bool[np.ndarray, "h w"] | None:
        """True where something stands before the scene; None if nothing does."""
        mask, cut_out = self.mask(name), self._white(CUT_OUT_FOLDER, name)
        if mask is None:
            return None
        hidden = ~mask if cut_out is None else ~mask & ~cut_out
        return hidden if hidden.any() else None
