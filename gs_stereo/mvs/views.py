"""What a multi-view sweep takes and gives.

Inverse depth w = 1 / z is the unknown, because a plane in space is linear in the image in w, and because disparity is
f b w for every baseline b.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import nearest_size
from gs_stereo.imaging.masks import filled_smoothly
from gs_stereo.types import Camera
from gs_stereo.types.photo_source import PhotoSource, mask_of


@dataclass(frozen=True, kw_only=True, eq=False)
class PosedImage:
    """An sRGB image and the pinhole camera that took it; InputError if their sizes differ."""

    camera: Camera
    image: UInt8[np.ndarray, "h w 3"]

    def __post_init__(self) -> None:
        expected = (self.camera.height, self.camera.width, 3)
        if self.image.shape != expected or self.image.dtype != np.uint8:
            raise InputError(
                f"The image of view {self.camera.name} is {self.image.dtype} {self.image.shape}, its camera needs "
                f"uint8 {expected}; resize the image or the camera."
            )

    @property
    def gray(self) -> UInt8[np.ndarray, "h w"]:
        """Luma."""
        return np.ascontiguousarray(cv2.cvtColor(np.ascontiguousarray(self.image), cv2.COLOR_RGB2GRAY))

    def shrunk(self, max_edge_px: int) -> PosedImage:
        """The view with no edge longer than that."""
        size = nearest_size(self.camera.width, self.camera.height, max_edge_px)
        if size == (self.camera.width, self.camera.height):
            return self
        image = cv2.resize(self.image, size, interpolation=cv2.INTER_AREA)
        return PosedImage(camera=self.camera.resized(*size), image=np.asarray(image))


def shown_view(camera: Camera, photos: PhotoSource) -> PosedImage:
    """A photo as it is matched: smooth where it does not show the scene, so that nothing agrees with it there."""
    return PosedImage(camera=camera, image=filled_smoothly(photos(camera.name), mask_of(photos, camera.name)))


@dataclass(frozen=True, kw_only=True, eq=False)
class InverseDepthPrior:
    """A guess, 1 / scene units, with its standard deviation. NaN = no guess at this pixel."""

    inverse_depth: Float[np.ndarray, "h w"]
    sigma: Float[np.ndarray, "h w"]

    @staticmethod
    def from_depth(depth: Float[np.ndarray, "h w"], depth_sigma: Float[np.ndarray, "h w"]) -> InverseDepthPrior:
        """Of a depth with its standard deviation, as a splat renders them; depths that are not positive give NaN."""
        valid = np.isfinite(depth) & (depth > 0) & np.isfinite(depth_sigma)
        safe = np.where(valid, depth, 1.0)
        return InverseDepthPrior(
            inverse_depth=np.where(valid, 1 / safe, np.nan).astype(np.float32),
            sigma=np.where(valid, np.where(valid, depth_sigma, 0.0) / safe**2, np.nan).astype(np.float32),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SweepResult:
    """Inverse depth of every left pixel and what speaks for it.

    inverse_depth: NaN where fewer than two views see the pixel. cost: 1 - correlation of the best views, 0 = perfect.
    supporting_views: views that see the pixel and correlate by more than one half.
    """

    inverse_depth: Float[np.ndarray, "h w"]
    cost: Float[np.ndarray, "h w"]
    supporting_views: UInt8[np.ndarray, "h w"]
