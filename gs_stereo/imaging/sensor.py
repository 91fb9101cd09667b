"""What a real camera does to a clean rectified pair: blur, exposure, noise, JPEG, and what rectification left over.

The residue of rectification moves the right image only, and never a label: a label is the disparity of an ideal
rectification, which is what a net should learn to give. Noise is that of the stored 8-bit levels, after the camera's
own processing: variance = read^2 + shot^2 * level.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.imaging.sensor_config import SensorConfig
from gs_stereo.imaging.sharpness import edge_width_px2, extra_blur_px

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_GAMMA = 2.2
_LEAST_BLUR_PX = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class SensedPair:
    """A pair as the camera stores it. drawn: what was drawn for this pair, JSON values with units in their names."""

    left: UInt8[np.ndarray, "h w 3"]
    right: UInt8[np.ndarray, "h w 3"]
    drawn: dict[str, Any]


def sensed(
    left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"], sensor: SensorConfig, seed: int
) -> SensedPair:
    """The clean rectified sRGB images as this camera would store them. The same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    offset, turn, radial, gain = rng.uniform(-1, 1, 4) * (
        sensor.row_offset_px,
        sensor.rotation_deg,
        sensor.radial,
        sensor.exposure_range,
    )
    blur_px = sensor.blur_px
    if sensor.edge_px2 is not None:
        found = [extra_blur_px(sensor.edge_px2, edge_width_px2(image)) for image in (left, right)]
        blur_px = float(np.nanmean(found)) if np.isfinite(found).any() else 0.0
    moved = left_over(right, row_offset_px=offset, rotation_deg=turn, radial=radial)
    images = [
        _stored(_exposed(_blurred(image, blur_px), sensor.exposure * more), sensor, rng)
        for image, more in ((left, 1.0), (moved, 1.0 + gain))
    ]
    drawn = {
        "row_offset_px": offset,
        "rotation_deg": turn,
        "radial": radial,
        "right_gain": 1 + gain,
        "blur_px": blur_px,
    }
    return SensedPair(left=images[0], right=images[1], drawn={name: float(value) for name, value in drawn.items()})


def left_over(
    image: UInt8[np.ndarray, "h w 3"], *, row_offset_px: float = 0.0, rotation_deg: float = 0.0, radial: float = 0.0
) -> UInt8[np.ndarray, "h w 3"]:
    """The image moved down, turned clockwise about its centre and stretched at its corners; the border is repeated."""
    import cv2

    if not (row_offset_px or rotation_deg or radial):
        return image
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    x, y = columns - (width - 1) / 2, rows - (height - 1) / 2 - row_offset_px
    angle, reach = np.deg2rad(rotation_deg), np.hypot(width, height) / 2
    x, y = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    shrunk = 1 - radial * (x * x + y * y) / reach**2
    from_x, from_y = ((v * shrunk + (size - 1) / 2).astype(np.float32) for v, size in ((x, width), (y, height)))
    return np.asarray(cv2.remap(image, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))


def _blurred(image: UInt8[np.ndarray, "h w 3"], sigma_px: float) -> Float[np.ndarray, "h w 3"]:
    import cv2

    values = image.astype(np.float32)
    return values if sigma_px < _LEAST_BLUR_PX else np.asarray(cv2.GaussianBlur(values, (0, 0), sigma_px))


def _exposed(levels: Float[np.ndarray, "h w 3"], gain: float) -> Float[np.ndarray, "h w 3"]:
    """A gain of linear light is a power of it on stored levels."""
    return levels if gain == 1.0 else np.clip(levels * np.float32(gain ** (1 / _GAMMA)), 0, 255)


def _stored(
    levels: Float[np.ndarray, "h w 3"], sensor: SensorConfig, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """Grey, noise, rounding, JPEG."""
    import cv2

    if sensor.grey:
        levels = (levels @ _GREY)[..., None]
    spread = np.sqrt(sensor.read_noise**2 + sensor.shot_noise**2 * levels)
    noisy = levels + spread * rng.standard_normal(levels.shape, dtype=np.float32)
    image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    image = np.repeat(image, 3, axis=2) if sensor.grey else image
    if sensor.jpeg_quality is None:
        return np.ascontiguousarray(image)
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, sensor.jpeg_quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[:, :, ::-1])
