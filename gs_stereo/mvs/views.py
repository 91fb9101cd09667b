"""What a multi-view sweep takes and gives.

Inverse depth w = 1 / z is the unknown, because a plane in space is linear in the image in w, and because disparity is
f b w for every baseline b.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.errors import InputError
from gs_stereo.types import Camera


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


@dataclass(frozen=True, kw_only=True, eq=False)
class RectifiedStack:
    """A left view and images of the same camera moved along its x axis.

    offsets: scene units, one for each image of `views`; positive = to the right, as the right eye of a rig.
    """

    left: PosedImage
    views: tuple[UInt8[np.ndarray, "h w 3"], ...]
    offsets: tuple[float, ...]

    def posed_views(self) -> list[PosedImage]:
        """The moved cameras with their images; InputError if the stack is empty, uneven or has a zero offset."""
        if not self.views or len(self.views) != len(self.offsets):
            raise InputError(
                f"A rectified stack needs as many offsets as views, at least one, not {len(self.offsets)} and "
                f"{len(self.views)}."
            )
        if not all(np.isfinite(offset) and offset != 0 for offset in self.offsets):
            raise InputError(f"The offsets of a rectified stack must be finite and not zero, not {self.offsets}.")
        return [
            PosedImage(camera=self.left.camera.shifted(offset), image=image)
            for image, offset in zip(self.views, self.offsets, strict=True)
        ]


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


@dataclass(frozen=True, kw_only=True)
class DepthRange:
    """Where surfaces may be, in scene units along the optical axis; InputError unless 0 < near < far."""

    near: float
    far: float

    def __post_init__(self) -> None:
        if not 0 < self.near < self.far < float("inf"):
            raise InputError(f"A depth range needs 0 < near < far, not {self.near} and {self.far}.")


@dataclass(frozen=True, kw_only=True, eq=False)
class SweepResult:
    """Inverse depth of every left pixel and what speaks for it.

    inverse_depth: NaN where fewer than two views see the pixel at any plane tried. cost: 1 - correlation of the best
    views, 0 = perfect. supporting_views: views that see the pixel and correlate by more than one half.
    sharpness: second derivative of the cost by reference pixels, 0 where the cost is flat. texture: standard deviation
    of the left window in 8-bit levels. ambiguity: lowest coarse cost away from the answer divided by the lowest one
    (1 = another depth is as good), NaN where only the surroundings of a prior were searched. spread_px: reference
    pixels between the answer and the median of its surroundings. reference_px: pixels a unit of inverse depth moves a
    point in the median view. side_gap: difference between the best cost among views to the left and among views to
    the right, NaN where one side does not see the pixel.
    """

    inverse_depth: Float[np.ndarray, "h w"]
    cost: Float[np.ndarray, "h w"]
    supporting_views: UInt8[np.ndarray, "h w"]
    sharpness: Float[np.ndarray, "h w"]
    texture: Float[np.ndarray, "h w"]
    ambiguity: Float[np.ndarray, "h w"]
    spread_px: Float[np.ndarray, "h w"]
    side_gap: Float[np.ndarray, "h w"]
    reference_px: float
