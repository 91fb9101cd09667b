"""Captures with exact truth for the study of audits: samples, rooms of others made smaller, and the same spoiled.

A capture is named by what it is, and what was done to it: `plain5`, `hard4`, `wild1` are `gsstereo sample` with that
seed, 16 photos of 320x240; a FOLDER is one in the layout of `gsstereo sample` (FOLDER=TRUTH: another has its truth).
What may follow: `+half` (half as wide), `+every3` (each third photo), `+few8` (a sample with 8 photos), and one of

- `+turned`: each pose turned by 0.3 degrees about a random axis, `+focal`: a focal length that is 2 % too large,
- `+short`: a fit of 200 steps, `+shuffled`: photos that have each other's poses.

Cameras are those of the truth, less what spoils them; points are found in the photos.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from gs_stereo.benchmarks.exact import ExactView, load_exact_scene
from gs_stereo.core.atomic import atomic_folder
from gs_stereo.core.hashing import unit_seed
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import read_photo, write_png
from gs_stereo.imaging.light import light_from_srgb, srgb_from_light
from gs_stereo.io.colmap import model_from_sparse_scene, write_model
from gs_stereo.types import Camera, SparsePoints, SparseScene
from gs_stereo.worlds.rooms.config import SampleConfig
from gs_stereo.worlds.rooms.files import npz_bytes
from gs_stereo.worlds.rooms.write import write_sample

SPOILS = ("turned", "focal", "short", "shuffled")
_SAMPLE = re.compile(r"(plain|hard|wild)(\d+)")
_TURN_DEG = 0.3
_FOCAL = 1.02
_PHOTOS = 16
Spoil = Literal["turned", "focal", "short", "shuffled"]


@dataclass(frozen=True, kw_only=True)
class Capture:
    """What is audited. source: a sample's name or a folder. truth: the folder with its truth."""

    name: str
    source: str
    truth: str
    half: bool = False
    every: int = 1
    photos: int = _PHOTOS
    spoil: Spoil | None = None

    @classmethod
    def of(cls, words: str) -> Capture:
        """By its name on the command line; InputError if it means nothing."""
        first, *rest = words.split("+")
        source, _, truth = first.partition("=")
        found = cls(name="+".join([Path(source).name, *rest]), source=source, truth=truth or source)
        for word in rest:
            number = int(re.sub(r"\D", "", word) or 0)
            if word == "half":
                found = replace(found, half=True)
            elif re.fullmatch(r"every[1-9]\d*", word):
                found = replace(found, every=number)
            elif re.fullmatch(r"few[1-9]\d*", word):
                found = replace(found, photos=number)
            elif word in SPOILS:
                found = replace(found, spoil=word)  # type: ignore[arg-type]
            else:
                raise InputError(f"{word!r} of {words!r} is unknown; write half, everyN, fewN, {', '.join(SPOILS)}.")
        return found

    @property
    def whole(self) -> str:
        """The name of the same capture unspoiled."""
        return "+".join(word for word in self.name.split("+") if word not in SPOILS)


def write_capture(folder: Path, capture: Capture) -> None:
    """Photos in `images/`, truth in `poses.json` and `gt/`, cameras in `sparse/0`. Nothing if it is there."""
    if folder.exists():
        return
    match = _SAMPLE.fullmatch(capture.source)
    with atomic_folder(folder) as work:
        if match:
            kind, seed = match[1], int(match[2])
            values = {"views": capture.photos, "width": 320, "height": 240, "test_views": 0}
            values |= {"hard": kind == "hard", "wild": kind == "wild"}
            write_sample(work / "sample", SampleConfig.model_validate(values), seed)
        photos, truth = (work / "sample",) * 2 if match else (Path(capture.source), Path(capture.truth))
        views = load_exact_scene(truth).train[:: capture.every]
        files = [_photo_of(photos / "images", view) for view in views]
        names = [f"{file.stem}.png" if capture.half else file.name for file in files]
        (work / "images").mkdir(parents=True)
        for name, file in zip(names, _shuffled(files, capture), strict=True):
            if capture.half:
                write_png(work / "images" / name, _halved(read_photo(file)))
            else:
                shutil.copyfile(file, work / "images" / name)
        _write_truth(work, views, names, half=capture.half)
        cameras = _spoiled([_camera(view.camera, half=capture.half) for view in views], capture)
        named = tuple(replace(camera, name=name) for camera, name in zip(cameras, names, strict=True))
        write_model(work / "sparse/0", model_from_sparse_scene(SparseScene(cameras=named, points=SparsePoints.none())))
        shutil.rmtree(work / "sample", ignore_errors=True)


def _photo_of(folder: Path, view: ExactView) -> Path:
    """The photo of a view, whatever its suffix."""
    return next(folder.glob(f"{Path(view.name).stem}.*"))


def _write_truth(folder: Path, views: Sequence[ExactView], names: Sequence[str], *, half: bool) -> None:
    (folder / "gt/train").mkdir(parents=True)
    for view in views:
        truth = view.truth()
        arrays = {"z": truth.z, "cls": truth.cls}
        arrays |= {f"occ_b{round(1000 * baseline):03d}": bits for baseline, bits in truth.occlusion.items()}
        kept = {name: values[1::2, 1::2] if half else values for name, values in arrays.items()}
        (folder / "gt/train" / f"{Path(view.name).stem}.npz").write_bytes(npz_bytes(kept))
    camera = _camera(views[0].camera, half=half)
    k = camera.intrinsics
    items = [
        {
            "name": name,
            "image": f"images/{name}",
            "gt": f"gt/train/{Path(name).stem}.npz",
            "cam_from_world": view.camera.cam_from_world.tolist(),
        }
        for view, name in zip(views, names, strict=True)
    ]
    lens = {"fx": k[0, 0], "fy": k[1, 1], "cx": k[0, 2], "cy": k[1, 2]}
    values = {"scene": folder.name, "width": camera.width, "height": camera.height, **lens, "train": items, "test": []}
    (folder / "poses.json").write_text(json.dumps(values, indent=1) + "\n")


def _camera(camera: Camera, *, half: bool) -> Camera:
    """Halved: pixel j has its centre where pixel 2 j + 1 had it, so that the truth there stays exact."""
    if not half:
        return camera
    intrinsics = camera.intrinsics.copy()
    intrinsics[:2, 2] -= 0.5
    intrinsics[:2] /= 2
    return replace(camera, width=camera.width // 2, height=camera.height // 2, intrinsics=intrinsics)


def _halved(photo: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h/2 w/2 3"]:
    """Every second pixel of the light blurred by 1 2 1, which is about the box of the larger pixel."""
    import cv2

    weights = np.array([0.25, 0.5, 0.25])
    light = cv2.sepFilter2D(light_from_srgb(photo / 255), -1, weights, weights)[1::2, 1::2]
    return np.rint(255 * srgb_from_light(np.clip(light, 0, 1))).astype(np.uint8)


def _spoiled(cameras: Sequence[Camera], capture: Capture) -> list[Camera]:
    rng = np.random.default_rng(unit_seed(0, capture.name))
    found = []
    for camera in cameras:
        pose, intrinsics = camera.cam_from_world.copy(), camera.intrinsics.copy()
        if capture.spoil == "turned":
            pose[:3] = _small_turn(rng) @ pose[:3]
        if capture.spoil == "focal":
            intrinsics[[0, 1], [0, 1]] *= _FOCAL
        found.append(replace(camera, cam_from_world=pose, intrinsics=intrinsics))
    return found


def _small_turn(rng: np.random.Generator) -> np.ndarray:
    import cv2

    axis = rng.normal(size=3)
    return np.asarray(cv2.Rodrigues(np.deg2rad(_TURN_DEG) * axis / np.linalg.norm(axis))[0])


def _shuffled(files: Sequence[Path], capture: Capture) -> list[Path]:
    if capture.spoil != "shuffled":
        return list(files)
    order = np.random.default_rng(unit_seed(0, capture.name)).permutation(len(files))
    return [files[number] for number in order]
