"""The benchmark `exact`: rendered scenes with exact poses, depth, occlusion and surface classes.

Layout: poses.json (intrinsics, `train` and `test` lists of name, image, gt, cam_from_world, right_bXXX), images, and
one npz a view with z, cls and occ_bXXX (bit 0 hidden, bit 1 out of frame; XXX = baseline in mm). Units are metres.
"""

import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32, UInt8

from gs_stereo.core.records import read_object
from gs_stereo.errors import InputError
from gs_stereo.geometry.disparity import disparity_from_depth
from gs_stereo.geometry.occlusion import hidden_by_warping
from gs_stereo.types import Camera

HIDDEN = 1
OUT_OF_FRAME = 2
CLASS_NAMES = ("plain", "thin", "glossy", "textureless", "sky")
Split = Literal["train", "test"]

_SPLITS: tuple[Split, ...] = ("train", "test")
_LARGEST_EDGE_PX = 1 << 15
_SAME_BASELINE_M = 1e-6
_NEARER_SHARE = 0.02
# Everything numpy and zipfile are known to raise on a damaged or foreign file.
_BROKEN_NPZ = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    AttributeError,
    TypeError,
    MemoryError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ExactTruth:
    """The maps of one view. occlusion: exact bits HIDDEN and OUT_OF_FRAME by baseline in metres."""

    z: Float32[np.ndarray, "h w"]
    cls: UInt8[np.ndarray, "h w"]
    occlusion: Mapping[float, UInt8[np.ndarray, "h w"]]

    def disparity(self, focal_times_baseline: float) -> Float[np.ndarray, "h w"]:
        """Exact disparity in pixels for any baseline, float64."""
        return disparity_from_depth(self.z.astype(np.float64), focal_times_baseline)

    def occlusion_at(self, baseline_m: float, focal_px: float) -> UInt8[np.ndarray, "h w"]:
        """Bits HIDDEN and OUT_OF_FRAME: exact for a stored baseline, else by `occlusion_from_depth`."""
        for known, bits in self.occlusion.items():
            if abs(known - baseline_m) < _SAME_BASELINE_M:
                return bits
        return occlusion_from_depth(self.z, focal_px * baseline_m)


@dataclass(frozen=True, kw_only=True, eq=False)
class ExactView:
    """One view: its camera, photo, truth file, and the true right images by baseline in metres (test views)."""

    camera: Camera
    split: Split
    image_path: Path
    truth_path: Path
    right_image_paths: Mapping[float, Path]

    @property
    def name(self) -> str:
        return self.camera.name

    def truth(self) -> ExactTruth:
        """Read the npz; InputError if it is missing, broken, or of another size."""
        return _read_truth(self.truth_path, (self.camera.height, self.camera.width))


@dataclass(frozen=True, kw_only=True, eq=False)
class ExactScene:
    """A scene: its name, and views in file order."""

    name: str
    folder: Path
    train: tuple[ExactView, ...]
    test: tuple[ExactView, ...]

    def views(self, split: Split) -> tuple[ExactView, ...]:
        return self.train if split == "train" else self.test

    @cached_property
    def _by_stem(self) -> dict[tuple[Split, str], ExactView]:
        return {(split, _stem(view.name)): view for split in _SPLITS for view in self.views(split)}

    def view(self, name: str, split: Split = "train") -> ExactView:
        """The view with this name; the folder and the suffix of the name do not matter. InputError if there is none."""
        found = self._by_stem.get((split, _stem(name)))
        if found is None:
            raise InputError(
                f"The exact scene {self.folder} has no {split} view called {name!r}; "
                "evaluate labels of pairs that were rendered with `--views train`."
            )
        return found


def load_exact_scene(folder: Path) -> ExactScene:
    """Read poses.json and check that what it names is there; truth maps are read on demand. InputError if not."""
    path = folder / "poses.json"
    values = read_object(path, fix="name the folder of an exact scene")
    try:
        size = int(values["width"]), int(values["height"])
        k = np.array([[values["fx"], 0, values["cx"]], [0, values["fy"], values["cy"]], [0, 0, 1]], np.float64)
        if not (min(size) > 0 and max(size) <= _LARGEST_EDGE_PX and np.isfinite(k).all() and min(k[0, 0], k[1, 1]) > 0):
            raise ValueError("width, height, fx or fy is out of range")
        views = {split: tuple(_view(folder, item, split, size, k) for item in values[split]) for split in _SPLITS}
        name = str(values["scene"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path} does not describe an exact scene ({reason}); write it again.") from error
    return ExactScene(name=name, folder=folder, train=views["train"], test=views["test"])


def _view(
    folder: Path, item: Mapping[str, Any], split: Split, size: tuple[int, int], intrinsics: np.ndarray
) -> ExactView:
    pose = np.array(item["cam_from_world"], np.float64)
    if pose.shape != (4, 4) or not np.isfinite(pose).all() or not _is_rotation(pose[:3, :3]):
        raise ValueError(f"cam_from_world of {item['name']!r} is not a rigid 4x4 pose")
    rights = {
        int(match[1]) / 1000: _inside(folder, value)
        for key, value in item.items()
        if (match := re.fullmatch(r"right_b(\d{1,5})", key))
    }
    return ExactView(
        camera=Camera(
            name=str(item["name"]), width=size[0], height=size[1], intrinsics=intrinsics, cam_from_world=pose
        ),
        split=split,
        image_path=_inside(folder, item["image"]),
        truth_path=_inside(folder, item["gt"]),
        right_image_paths=rights,
    )


def _is_rotation(matrix: np.ndarray) -> bool:
    return bool(np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6) and np.linalg.det(matrix) > 0)


def _inside(folder: Path, name: str) -> Path:
    """A file below `folder`; ValueError if the name leaves it or there is no such file."""
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise ValueError(f"the path {name!r} leaves the scene's folder")
    path = folder / relative
    if not path.is_file():
        raise ValueError(f"the file {name!r} is missing")
    return path


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _read_truth(path: Path, shape: tuple[int, int]) -> ExactTruth:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            tags = {name: int(name[5:]) / 1000 for name in archive.files if re.fullmatch(r"occ_b\d{1,5}", name)}
            arrays = {name: _checked(archive[name], name, shape) for name in ("z", "cls", *tags)}
    except _BROKEN_NPZ as error:
        reason = " ".join(str(error).split())
        raise InputError(f"The truth file {path} is broken ({reason}); copy or write it again.") from error
    return ExactTruth(
        z=arrays["z"].astype(np.float32),
        cls=arrays["cls"].astype(np.uint8),
        occlusion={baseline: arrays[name].astype(np.uint8) for name, baseline in tags.items()},
    )


def _checked(array: np.ndarray, name: str, shape: tuple[int, int]) -> np.ndarray:
    if array.shape != shape or array.dtype.kind not in ("f" if name == "z" else "u"):
        raise ValueError(f"{name} is {array.dtype} {array.shape}, not an image of {shape[1]} x {shape[0]}")
    if name == "z" and not (array > 0).all():
        raise ValueError("z is not positive everywhere")
    return array


def occlusion_from_depth(z: Float[np.ndarray, "h w"], focal_times_baseline: float) -> UInt8[np.ndarray, "h w"]:
    """Occlusion bits by `hidden_by_warping`: approximate, for it knows only what the left view sees."""
    disparity = focal_times_baseline / z.astype(np.float64)
    x_right = np.arange(z.shape[1]) + 0.5 - disparity
    outside = (x_right < 0) | (x_right > z.shape[1])
    hidden = hidden_by_warping(disparity, _NEARER_SHARE * disparity) & ~outside
    return (HIDDEN * hidden + OUT_OF_FRAME * outside).astype(np.uint8)
