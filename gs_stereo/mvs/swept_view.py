"""What a plane sweep knows of one photo: confirmed depth, and a guess everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gs_stereo.geometry.pixels import pixel_index
from gs_stereo.types import Camera


@dataclass(frozen=True, kw_only=True, eq=False)
class SweptView:
    """A view at sweep resolution.

    depth: z, NaN where no other view confirms it. guess: z everywhere; there it is spread from confirmed pixels.
    gray: the photo in [0, 1]. inverse_depths: of the planes, evenly spaced.
    """

    camera: Camera
    gray: Float[np.ndarray, "h w"]
    inverse_depths: Float[np.ndarray, "d"]
    depth: Float[np.ndarray, "h w"]
    guess: Float[np.ndarray, "h w"]

    @property
    def step(self) -> float:
        return float(self.inverse_depths[1] - self.inverse_depths[0])

    def depth_at(self, camera: Camera, image_xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
        """Depth of the nearest pixel at points of the image plane of `camera`, the same view at full resolution."""
        return self._at(self.depth, camera, image_xy)

    def guess_at(self, camera: Camera, image_xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
        """The same for `guess`."""
        return self._at(self.guess, camera, image_xy)

    def _at(self, values: np.ndarray, camera: Camera, image_xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
        shrink = [self.camera.width / camera.width, self.camera.height / camera.height]
        column, row = pixel_index(image_xy * shrink).T
        return np.array(values[row, column], dtype=np.float64)
