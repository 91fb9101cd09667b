"""What a phone does to a casual capture: exposure and white balance a photo, a vignette and a response curve for all,
motion blur, noise, JPEG. What was done is told in `gt/wild.json`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float32

from gs_stereo.core.hashing import unit_seed
from gs_stereo.imaging.light import srgb_from_light

_BRIGHTEST = 4.0  # what a sensor still collects while the hand moves
_BARELY = 0.02  # of the time that a shutter is open
_SEEN = 0.004  # linear light: less than a grey level at the response's steepest


@dataclass(frozen=True, kw_only=True)
class PhoneCamera:
    """The same for all photos of a capture.

    vignette: share of light lost in the corners, half of it by radius^2, half by radius^4. gamma, contrast: the
    response is sRGB^gamma, bent by so much of an S. noise: variance of light at 1 (shot), and at 0 (read).
    """

    vignette: float
    gamma: float
    contrast: float
    shot_noise: float
    read_noise: float


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One photo. gains: on linear light at the scene's exposure, exposure and white balance together."""

    name: str
    exposure_ev: float
    white_balance: tuple[float, float, float]
    blur_px: float
    blur_deg: float
    jpeg_quality: int

    @property
    def gains(self) -> tuple[float, ...]:
        """Of red, green and blue."""
        return tuple(2**self.exposure_ev * balance for balance in self.white_balance)


def draw_phone(seed: int) -> PhoneCamera:
    """The camera of a capture."""
    rng = np.random.default_rng(unit_seed(seed, "wild camera"))
    return PhoneCamera(
        vignette=round(rng.uniform(0.15, 0.4), 3),
        gamma=round(rng.uniform(0.9, 1.1), 3),
        contrast=round(rng.uniform(0.0, 0.3), 3),
        shot_noise=round(10 ** rng.uniform(-4.0, -3.2), 6),
        read_noise=round(10 ** rng.uniform(-6.0, -5.0), 8),
    )


def draw_shot(name: str, width_px: int, seed: int) -> Shot:
    """A photo's own troubles; a sixth of the photos are shaken, by up to 9 of 640 pixels."""
    rng = np.random.default_rng(unit_seed(seed, f"wild/{name}"))
    red, blue = rng.uniform(0.88, 1.12, 2)
    shaken = rng.random() < 1 / 6
    return Shot(
        name=name,
        exposure_ev=round(rng.uniform(-0.8, 0.6), 3),
        white_balance=(round(red, 4), 1.0, round(blue, 4)),
        blur_px=round((rng.uniform(3.0, 9.0) if shaken else rng.uniform(0.0, 0.8)) * width_px / 640, 2),
        blur_deg=round(rng.uniform(0.0, 180.0), 1),
        jpeg_quality=int(rng.integers(85, 95)),
    )


def jpeg_bytes(light: Float32[np.ndarray, "h w 3"], camera: PhoneCamera, shot: Shot, seed: int) -> bytes:
    """A photo of linear light that is exposed as the scene's others."""
    import cv2

    rng = np.random.default_rng(unit_seed(seed, f"wild noise/{shot.name}"))
    light = light * np.asarray(shot.gains, np.float32) * _vignette(light.shape[:2], camera.vignette)
    light = np.clip(_shaken(np.minimum(light, np.float32(_BRIGHTEST)), shot), 0, None)
    spread = np.sqrt(camera.shot_noise * light + camera.read_noise)
    light = np.clip(light + spread * rng.standard_normal(light.shape, np.float32), 0, 1)
    tone = srgb_from_light(light) ** camera.gamma
    tone = (1 - camera.contrast) * tone + camera.contrast * (3 - 2 * tone) * tone**2
    bgr = np.rint(255 * tone).astype(np.uint8)[..., ::-1]
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(bgr), [cv2.IMWRITE_JPEG_QUALITY, shot.jpeg_quality])
    return bytes(data)


def _vignette(shape: tuple[int, int], corner_loss: float) -> Float32[np.ndarray, "h w 1"]:
    down, across = (np.linspace(-1, 1, size, dtype=np.float32) * size for size in shape)
    square = (down[:, None] ** 2 + across**2) / (shape[0] ** 2 + shape[1] ** 2)
    return (1 - np.float32(0.5 * corner_loss) * (square + square**2))[..., None]


def _shaken(light: Float32[np.ndarray, "h w c"], shot: Shot) -> Float32[np.ndarray, "h w c"]:
    """The mean along the way that the picture moves while the shutter is open, centred on it."""
    import cv2

    steps = max(2, int(np.ceil(2 * shot.blur_px)))
    total = np.zeros_like(light)
    turn = np.deg2rad(shot.blur_deg)
    for share in np.linspace(-0.5, 0.5, steps):
        x, y = share * shot.blur_px * np.cos(turn), share * shot.blur_px * np.sin(turn)
        move = np.array([[1, 0, x], [0, 1, y]], np.float64)
        size = light.shape[1::-1]
        moved = cv2.warpAffine(light, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        total += moved.reshape(light.shape)
    return total / np.float32(steps)


def uncovered(
    empty: Float32[np.ndarray, "h w 3"], visited: Float32[np.ndarray, "h w 3"], shot: Shot
) -> Bool[np.ndarray, "h w"]:
    """Where a photo shows the room, not somebody or somebody's reflection. The light of both is exposed."""
    covered = np.abs(visited - empty).max(axis=-1) > _SEEN
    shaken = _shaken(covered[..., None].astype(np.float32), shot)[..., 0]
    return np.asarray(shaken < _BARELY)


def wild_text(phone: PhoneCamera, covered_shares: Mapping[str, float], width_px: int, seed: int) -> str:
    """gt/wild.json: the camera, and what was done to each photo."""
    photos = []
    for name, share in covered_shares.items():
        shot = draw_shot(name, width_px, seed)
        photos.append({**asdict(shot), "gains": shot.gains, "covered_share": round(share, 4)})
    return json.dumps({"camera": asdict(phone), "photos": photos}, indent=1) + "\n"
