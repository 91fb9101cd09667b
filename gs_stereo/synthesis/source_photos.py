"""Photos that get a second eye: files by themselves, or those of a capture with its cameras."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gs_stereo.errors import InputError
from gs_stereo.geometry.projection import project
from gs_stereo.io.reconstruction import image_path, load_sparse_scene
from gs_stereo.synthesis.protocol import Unit
from gs_stereo.types import Camera, SparseScene


@dataclass(frozen=True, kw_only=True, eq=False)
class SourcePhoto:
    """A photo and what is known of its camera.

    camera: of the capture, at the photo's size; None of a photo by itself. unit: length in the capture of a baseline of
    1; None where that is not known, so that the pair stands by itself.
    """

    path: Path
    name: str
    camera: Camera | None = None
    unit: float | None = None


def photos_of_capture(folder: Path, names: tuple[str, ...], unit: Unit) -> list[SourcePhoto]:
    """The undistorted photos of `reconstruct/`, all or those named; InputError for a name that was not registered.

    unit: of the model's baselines. Metres need a scale; the median depth of a photo is that of the points it sees.
    """
    scene = load_sparse_scene(folder)
    cameras = {camera.name: (number, camera) for number, camera in enumerate(scene.cameras)}
    if unknown := [name for name in names if name not in cameras]:
        raise InputError(f"{unknown[0]} is no registered photo of {folder}; leave it out, or set source=photos.")
    metres = scene.metres_per_unit
    return [
        SourcePhoto(
            path=image_path(folder, camera),
            name=camera.name,
            camera=camera,
            unit=_median_depth(scene, number) if unit == "median_depth" else metres and 1 / metres,
        )
        for number, camera in (cameras[name] for name in names or cameras)
    ]


def _median_depth(scene: SparseScene, number: int) -> float:
    camera = scene.cameras[number]
    seen = scene.visible_points[number] if scene.visible_points else ()
    depth = project(camera, scene.points.xyz_in_world[seen])[1] if len(seen) else np.zeros(0)
    if not (depth > 0).any():
        raise InputError(f"{camera.name} sees no point of the capture, so its depth is unknown; set source=photos.")
    return float(np.median(depth[depth > 0]))
