"""What a real pair of cameras does to a pair of images: each eye has its own exposure, colour, blur, noise, JPEG."""

import numpy as np
from jaxtyping import Float32, UInt8

from gs_stereo.imaging.light import srgb_from_light

_BRIGHT_PERCENTILE = 92.0
_TABLE = (1 << 16) - 1


def develop(
    left: Float32[np.ndarray, "h w 3"], right: Float32[np.ndarray, "h w 3"], rng: np.random.Generator, *, faults: bool
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"]]:
    """Linear light as two sRGB images, exposed for the left one. Without faults both eyes are alike and noise-free."""
    bright = max(float(np.percentile(left.mean(axis=2), _BRIGHT_PERCENTILE)), 1e-4)
    exposure = float(np.exp(rng.uniform(np.log(0.25), np.log(1.1)))) / bright
    if not faults:
        return _bytes(_srgb(left * exposure)), _bytes(_srgb(right * exposure))
    shared = _Faults(rng)
    one, other = (shared.of_one_eye(image * np.float32(exposure), rng) for image in (left, right))
    return one, other


def _srgb(light: np.ndarray, gamma: float = 1.0) -> Float32[np.ndarray, "h w 3"]:
    """sRGB, clipped to [0, 1], then raised to `gamma`; by a table with steps under 1/16 grey level."""
    table = (srgb_from_light(np.arange(_TABLE + 1) / _TABLE) ** gamma).astype(np.float32)
    return table[(np.clip(light, 0, 1) * np.float32(_TABLE)).astype(np.uint16)]


def _bytes(image: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


class _Faults:
    """How bad this pair of cameras is; what an eye gets is drawn anew within that."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._unlike = float(rng.choice([0.0, 0.02, 0.08, 0.2]))
        self._blur_px = float(rng.choice([0.0, 0.4, 0.8]))
        self._noise = float(rng.choice([0.0, 0.004, 0.012, 0.03]))
        self._vignette = float(rng.choice([0.0, 0.15, 0.4]))
        self._jpeg = int(rng.choice([0, 0, 90, 65]))
        self._gray = bool(rng.random() < 0.08)

    def of_one_eye(self, light: np.ndarray, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
        """Vignetting, gain and colour on light; blur, gamma and noise on the image; JPEG last."""
        import cv2

        gain = np.exp(rng.normal(0, self._unlike) + rng.normal(0, self._unlike / 4, 3)).astype(np.float32)
        y, x = (np.linspace(-1, 1, size, dtype=np.float32) for size in light.shape[:2])
        loss = np.float32(self._vignette * rng.uniform(0.7, 1.0) / 2) * (y[:, None] ** 2 + x[None, :] ** 2)
        image = light * gain * (1 - loss)[..., None]
        blur = self._blur_px * rng.uniform(0.6, 1.2)
        if blur > 0.25:
            image = cv2.GaussianBlur(np.minimum(image, 1.5), (0, 0), blur)
        image = _srgb(image, float(np.exp(rng.normal(0, self._unlike / 2))))
        if self._noise:
            image += np.float32(self._noise) * rng.standard_normal(image.shape, np.float32)
        if self._gray:
            image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
        final = _bytes(image)
        if self._jpeg:
            _, data = cv2.imencode(".jpg", final[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self._jpeg])
            final = np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])
        return final
