"""Cameras as pictures: for every latent cell the ray through it, relative to the source camera (Pluecker coordinates).

Six channels (d, m): d is the unit direction of the ray, m = o x d its moment about the source camera, o the camera's
centre there. Both cameras look the same way, so the source has o = 0 and m = 0, and a target at baseline B along x has
o = (B, 0, 0) and m = (0, -B d_z, B d_y). The paper (arXiv 2512.10959) puts the origin in the middle of the rig; the
published weights were trained with the source as the origin, and nothing would complain about the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import pixel_centres

DEFAULT_VIEW_DEG = 54.0
"""Angle of view over the shorter side where the camera is not known, as the published weights were used."""


def default_intrinsics(width: int, height: int) -> Float[np.ndarray, "3 3"]:
    """K of a camera that nobody calibrated: square pixels, 54 degrees over the shorter side, centred."""
    focal = 0.5 * min(width, height) / math.tan(math.radians(DEFAULT_VIEW_DEG / 2))
    return np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def ray_map(
    intrinsics: Float[np.ndarray, "3 3"], size_wh: tuple[int, int], map_wh: tuple[int, int], baseline: float
) -> Float[np.ndarray, "6 h w"]:
    """The rays of a camera at `baseline` to the right of the source, at the cells of a map of size `map_wh`.

    intrinsics: K in pixels of a picture of `size_wh`. baseline: metres for the published weights; 0 = the source
    itself, negative = to the left. Raises InputError for a focal length or baseline that is no camera's.
    """
    scale = np.array([map_wh[0] / size_wh[0], map_wh[1] / size_wh[1]])
    focal, centre = np.diagonal(intrinsics)[:2] * scale, intrinsics[:2, 2] * scale
    if not (np.isfinite(intrinsics).all() and (focal > 0).all() and math.isfinite(baseline)):
        raise InputError(f"The camera has no positive focal length or the baseline {baseline} is no number; give both.")
    in_plane = (pixel_centres(*map_wh) - centre) / focal
    direction = np.concatenate([in_plane, np.ones_like(in_plane[..., :1])], axis=-1)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    moment = np.cross([baseline, 0.0, 0.0], direction)
    return np.moveaxis(np.concatenate([direction, moment], axis=-1), -1, 0).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class RayCells:
    """How a model sees cameras: pixels of a latent cell's side, and what the moments are multiplied with."""

    factor: int
    moment_scale: float = 1.0

    def map(
        self, intrinsics: Float[np.ndarray, "3 3"], size_wh: tuple[int, int], baseline: float
    ) -> Float[np.ndarray, "6 h w"]:
        """The ray map of a camera for the model."""
        rays = ray_map(intrinsics, size_wh, (size_wh[0] // self.factor, size_wh[1] // self.factor), baseline)
        rays[3:] *= np.float32(self.moment_scale)
        return rays
