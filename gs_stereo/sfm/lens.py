"""Lens distortion: pixels of a photo to rays and back, and photos without distortion.

Two models cover all supported ones. OpenCV's rational model (k1 k2 p1 p2 k3 k4 k5 k6, from its calibration docs) has
COLMAP's SIMPLE_RADIAL, RADIAL, OPENCV and FULL_OPENCV as special cases; OpenCV's fisheye model (k1 k2 k3 k4; Kannala
and Brandt, PAMI 2006) has all of COLMAP's fisheyes without prisms. Pixel centres are at + 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import PIXEL_CENTRE, intrinsics_to_opencv
from gs_stereo.io.colmap_model import ColmapCamera

_COEFFICIENTS = 8
_LAYOUT: Mapping[
    str, tuple[bool, tuple[int, ...]]
] = {  # model -> (has fy, places of its distortion parameters among the eight coefficients)
    "SIMPLE_PINHOLE": (False, ()),
    "PINHOLE": (True, ()),
    "SIMPLE_RADIAL": (False, (0,)),
    "RADIAL": (False, (0, 1)),
    "OPENCV": (True, (0, 1, 2, 3)),
    "FULL_OPENCV": (True, (0, 1, 2, 3, 4, 5, 6, 7)),
    "SIMPLE_FISHEYE": (False, ()),
    "FISHEYE": (True, ()),
    "SIMPLE_RADIAL_FISHEYE": (False, (0,)),
    "RADIAL_FISHEYE": (False, (0, 1)),
    "OPENCV_FISHEYE": (True, (0, 1, 2, 3)),
}
_BORDER_SAMPLES = 257
_LEAST_RADIUS = 1e-9
MAX_OVERSAMPLING = 4

Undistorter = Callable[[UInt8[np.ndarray, "h w 3"]], UInt8[np.ndarray, "i j 3"]]
"""Turns a photo into the image of a pinhole camera."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Lens:
    """With distortion. coefficients: k1 k2 p1 p2 k3 k4 k5 k6 on the plane z = 1; a fisheye has k1 to k4."""

    width: int
    height: int
    intrinsics: Float[np.ndarray, "3 3"]
    coefficients: Float[np.ndarray, "8"]
    fisheye: bool = False

    @property
    def is_pinhole(self) -> bool:
        return not self.fisheye and not self.coefficients.any()

    def scaled(self, scale: float, width: int, height: int) -> Lens:
        """The lens of the photo resized by one factor; the new size says what was kept of the last row and column."""
        intrinsics = np.diag([scale, scale, 1.0]) @ self.intrinsics
        return replace(self, width=width, height=height, intrinsics=intrinsics)


def lens_from_colmap(camera: ColmapCamera) -> Lens:
    """The lens of a COLMAP camera; InputError for models that no pinhole image can replace."""
    if camera.model not in _LAYOUT:
        known = ", ".join(_LAYOUT)
        raise InputError(
            f"The camera model {camera.model} is not supported; undistort the images first, or use {known}."
        )
    has_fy, places = _LAYOUT[camera.model]
    focal, rest = camera.params[: 1 + has_fy], camera.params[1 + has_fy :]
    coefficients = np.zeros(_COEFFICIENTS)
    coefficients[list(places)] = rest[2:]
    intrinsics = np.array([[focal[0], 0, rest[0]], [0, focal[-1], rest[1]], [0, 0, 1.0]])
    size = {"width": camera.width, "height": camera.height}
    return Lens(**size, intrinsics=intrinsics, coefficients=coefficients, fisheye="FISHEYE" in camera.model)


def colmap_from_lens(lens: Lens) -> ColmapCamera:
    """The lens as a COLMAP camera: PINHOLE, OPENCV(_FISHEYE), or FULL_OPENCV where four coefficients are too few."""
    k = lens.intrinsics
    model = "PINHOLE" if lens.is_pinhole else "FULL_OPENCV" if lens.coefficients[4:].any() else "OPENCV"
    model = "OPENCV_FISHEYE" if lens.fisheye else model
    coefficients = lens.coefficients[: len(_LAYOUT[model][1])]
    params = np.array([k[0, 0], k[1, 1], k[0, 2], k[1, 2], *coefficients])
    return ColmapCamera(model=model, width=lens.width, height=lens.height, params=params)


def distort(lens: Lens, rays: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "... 2"]:
    """Image-plane pixels of rays (x, y, 1)."""
    return _bend(lens, rays) * lens.intrinsics[[0, 1], [0, 1]] + lens.intrinsics[:2, 2]


def _bend(lens: Lens, rays: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "... 2"]:
    ratio, tangential = _radial_and_tangential(lens, rays)
    return rays * ratio[..., None] + tangential


def _radial_and_tangential(
    lens: Lens, rays: Float[np.ndarray, "... 2"]
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "... 2"]]:
    k1, k2, p1, p2, k3, k4, k5, k6 = lens.coefficients
    x, y = rays[..., 0], rays[..., 1]
    r2 = x * x + y * y
    if lens.fisheye:
        r = np.sqrt(np.maximum(r2, _LEAST_RADIUS**2))
        t2 = np.arctan(r) ** 2
        return np.arctan(r) * (1 + t2 * (k1 + t2 * (k2 + t2 * (p1 + t2 * p2)))) / r, np.zeros_like(rays)
    ratio = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    dx = 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    dy = p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return ratio, np.stack([dx, dy], axis=-1)


def undistort(lens: Lens, image_xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Rays of image-plane pixels, by fixed-point iteration; NaN where it does not come back to the pixel."""
    bent = (image_xy - lens.intrinsics[:2, 2]) / lens.intrinsics[[0, 1], [0, 1]]
    rays = bent.copy()
    with np.errstate(all="ignore"):
        for _ in range(100):
            before = rays
            ratio, tangential = _radial_and_tangential(lens, rays)
            rays = (bent - tangential) / ratio[..., None]
            if np.allclose(rays, before, rtol=0, atol=1e-14):
                break
        miss_px = np.abs(distort(lens, rays) - image_xy).max(axis=-1, initial=0.0)
    return np.where((miss_px < 1e-3)[..., None], rays, np.nan)


def pinhole_intrinsics_inside(lens: Lens) -> Float[np.ndarray, "3 3"]:
    """K of the widest pinhole camera, of the lens's size and principal point, that sees nothing beyond the photo.

    The focal length is multiplied by the smallest zoom at which every border pixel centre comes from the photo.
    """
    if lens.is_pinhole:
        return lens.intrinsics
    zooms = np.geomspace(4.0, 0.5, 400)
    inside = [_sees_only_photo(lens, zoom) for zoom in zooms]
    if not inside[0]:
        raise InputError("The lens distortion is too strong for a pinhole image; check the camera parameters.")
    first_outside = inside.index(False) if False in inside else len(zooms) - 1
    low, high = zooms[first_outside], zooms[first_outside - 1]
    for _ in range(40):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _sees_only_photo(lens, middle) else (middle, high)
    return _zoomed(lens, high)


def _zoomed(lens: Lens, zoom: float) -> Float[np.ndarray, "3 3"]:
    intrinsics = lens.intrinsics.copy()
    intrinsics[[0, 1], [0, 1]] *= zoom
    return intrinsics


def _sees_only_photo(lens: Lens, zoom: float) -> bool:
    """True if the border of the zoomed pinhole image maps into the photo and the distortion does not fold there."""
    x = np.linspace(PIXEL_CENTRE, lens.width - PIXEL_CENTRE, _BORDER_SAMPLES)
    y = np.linspace(PIXEL_CENTRE, lens.height - PIXEL_CENTRE, _BORDER_SAMPLES)
    sides = [(x, np.full_like(x, edge)) for edge in (y[0], y[-1])] + [
        (np.full_like(y, edge), y) for edge in (x[0], x[-1])
    ]
    border = np.concatenate([np.stack(side, axis=-1) for side in sides])
    rays = _rays(_zoomed(lens, zoom), border)
    with np.errstate(all="ignore"):
        seen = distort(lens, rays)
        radius, further = (np.linalg.norm(_bend(lens, rays * factor), axis=-1) for factor in (1.0, 1.001))
    tolerance_px = 1e-6
    largest = np.array([x[-1], y[-1]]) + tolerance_px
    within = (seen >= PIXEL_CENTRE - tolerance_px) & (seen <= largest)
    return bool(within.all() and (further > radius).all())


def _rays(intrinsics: Float[np.ndarray, "3 3"], image_xy: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "... 2"]:
    return (image_xy - intrinsics[:2, 2]) / intrinsics[[0, 1], [0, 1]]


def undistorter(lens: Lens, intrinsics: Float[np.ndarray, "3 3"], width: int, height: int) -> Undistorter:
    """Turns photos of `lens` into pinhole images of this K and size.

    The photo may be larger than the result: it is then sampled at several points a pixel edge and averaged, so that
    the result is no blurrier than plain shrinking.
    """
    import cv2

    zoom_out = max(lens.intrinsics[0, 0] / intrinsics[0, 0], lens.intrinsics[1, 1] / intrinsics[1, 1])
    fine = min(max(math.ceil(zoom_out - 1e-9), 1), MAX_OVERSAMPLING)
    seen_by = intrinsics_to_opencv(np.diag([fine, fine, 1.0]) @ intrinsics)
    make = cv2.fisheye.initUndistortRectifyMap if lens.fisheye else cv2.initUndistortRectifyMap
    map_x, map_y = make(
        intrinsics_to_opencv(lens.intrinsics),
        lens.coefficients[:4] if lens.fisheye else lens.coefficients,
        np.eye(3),
        seen_by,
        (width * fine, height * fine),
        cv2.CV_32FC1,
    )

    def resample(photo: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "i j 3"]:
        sampled = cv2.remap(photo, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.resize(sampled, (width, height), interpolation=cv2.INTER_AREA) if fine > 1 else sampled)

    return resample
