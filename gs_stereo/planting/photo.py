"""Planted objects in a photo: hidden by what stands before them, in the photo's own exposure, blur, noise and JPEG."""

import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.imaging.light import light_from_srgb, srgb_from_light
from gs_stereo.imaging.noise import without_planes
from gs_stereo.imaging.sharpness import edge_width_px2
from gs_stereo.types import Camera
from gs_stereo.worlds.cameras import camera_rays
from gs_stereo.worlds.raycast import RayHits, Rays
from gs_stereo.worlds.world import World

_PER_SIDE = 3
_BOX_SIGMA_PX2 = 1 / 12
"""Squared sigma of the box of a pixel, which averaging over it has blurred by already."""
_LARGEST_SIGMA_PX2 = 9.0
_JPEG_QUALITY = 92
_BLOCK_PX = 8
_ROWS_AT_ONCE = 64
_TEXTURE_SIGMA_PX = 2.5
_BLANK_LEVELS = 2.0
_NORMAL_FROM_MAD = 1.4826


@dataclass(frozen=True, kw_only=True, eq=False)
class PlantedPhoto:
    """A photo with objects in it, and how much of each pixel they are (0 to 1)."""

    image: UInt8[np.ndarray, "h w 3"]
    share: Float[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """How a photo shows light. gain: of each channel. sigma_px: of its blur. noise: in 8-bit levels."""

    gain: Float[np.ndarray, "3"]
    sigma_px: float
    noise: float
    jpeg: bool

    @classmethod
    def of(cls, photo: UInt8[np.ndarray, "h w 3"], rendered: UInt8[np.ndarray, "h w 3"], *, jpeg: bool) -> "Look":
        """rendered: the scene as it is without this photo's own exposure."""
        here, usual = (light_from_srgb(image / 255).reshape(-1, 3).mean(axis=0) for image in (photo, rendered))
        width = edge_width_px2(photo)
        blur = np.clip(width if np.isfinite(width) else 0.0, 0.0, _LARGEST_SIGMA_PX2) - _BOX_SIGMA_PX2
        return cls(
            gain=here / np.maximum(usual, 1e-4), sigma_px=float(np.sqrt(max(blur, 0.0))), noise=_noise(photo), jpeg=jpeg
        )


def _noise(photo: UInt8[np.ndarray, "h w 3"]) -> float:
    """Sigma of the noise in 8-bit levels, by the median of what no plane explains: edges are the minority."""
    import cv2

    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(_NORMAL_FROM_MAD * np.median(np.abs(without_planes(gray)[1:-1, 1:-1])))


def blank_share(photo: UInt8[np.ndarray, "h w 3"]) -> float:
    """Share of the pixels about which the brightness varies by no more than two levels, or twice the noise."""
    import cv2

    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean, square = (cv2.GaussianBlur(values, (0, 0), _TEXTURE_SIGMA_PX) for values in (gray, gray * gray))
    spread = np.sqrt(np.maximum(square - mean * mean, 0))
    return float((spread < max(_BLANK_LEVELS, 2 * _noise(photo))).mean())


def plant(
    photo: UInt8[np.ndarray, "h w 3"],
    camera: Camera,
    world: World,
    real_depth: Float[np.ndarray, "h w"],
    look: Look,
    rng: np.random.Generator,
) -> PlantedPhoto:
    """Draw the objects that stand before the real surfaces into a photo.

    real_depth: z of the real surfaces, NaN = none that could hide an object.
    """
    import cv2

    light, share = _object_layer(world, camera, real_depth)
    light *= look.gain  # already multiplied by its share
    if look.sigma_px > 0:
        light, share = (cv2.GaussianBlur(layer, (0, 0), look.sigma_px) for layer in (light, share))
    share = np.where(share < 1e-3, 0.0, np.minimum(share, 1.0))
    mixed = (1 - share[..., None]) * light_from_srgb(photo / 255) + light
    levels = 255 * srgb_from_light(np.clip(mixed, 0, 1))
    levels += share[..., None] * rng.normal(0, look.noise, levels.shape)
    image = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    if look.jpeg:
        image = _compressed(image)
    touched = share > 0
    if look.jpeg:  # a JPEG block is changed as a whole
        touched = cv2.dilate(touched.astype(np.uint8), np.ones((2 * _BLOCK_PX + 1,) * 2)) > 0
    return PlantedPhoto(image=np.where(touched[..., None], image, photo), share=share)


def _compressed(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    from PIL import Image

    with io.BytesIO() as file:
        Image.fromarray(image).save(file, "JPEG", quality=_JPEG_QUALITY)
        return np.asarray(Image.open(file))


def _object_layer(
    world: World, camera: Camera, real_depth: Float[np.ndarray, "h w"]
) -> tuple[Float[np.ndarray, "h w 3"], Float[np.ndarray, "h w"]]:
    """Light of the objects times their share of each pixel, and the share."""
    light = np.zeros((camera.height, camera.width, 3), np.float32)
    share = np.zeros((camera.height, camera.width), np.float32)
    centres = pixel_centres(camera.width, camera.height)
    for top in range(0, camera.height, _ROWS_AT_ONCE):
        rows = slice(top, top + _ROWS_AT_ONCE)
        here = centres[rows].reshape(-1, 2)
        rays = camera_rays(camera, here, _PER_SIDE)
        hits = world.caster.cast(rays.rows)
        wall = np.tile(np.where(np.isfinite(real_depth[rows]), real_depth[rows], np.inf).ravel(), _PER_SIDE**2)
        shown = np.flatnonzero(is_object(world, hits) & (hits.t < wall))
        if not len(shown):
            continue
        part = RayHits(t=hits.t[shown], triangle=hits.triangle[shown], uv=hits.uv[shown])
        some = Rays(rows=rays.rows[shown], right=rays.right, down=rays.down, spread=rays.spread)
        pixel = shown % len(here)
        arriving = world.light.shade(world, some, part).light
        weight = 1 / _PER_SIDE**2
        counts = np.bincount(pixel, minlength=len(here)) * weight
        sums = [np.bincount(pixel, weights=channel, minlength=len(here)) * weight for channel in arriving.T]
        shape = light[rows].shape
        share[rows] = counts.reshape(shape[:2])
        light[rows] = np.stack(sums, axis=-1).reshape(shape)
    return light, share


def is_object(world: World, hits: RayHits) -> Bool[np.ndarray, "n"]:
    """True where a ray meets an object, not the dome behind them."""
    return np.asarray(world.mesh.piece[hits.triangle] < len(world.finishes) - 1)
