"""Augmentation of a pair: resize, crop, colour (of both eyes and of one), blur, noise, vertical shift, eraser.

numpy and OpenCV on the reader's side. Every pair has its own generator, so a sample does not depend on which worker
made it, or when. Nothing moves a match along its row except resizing, and that rescales the disparity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gs_stereo.imaging.resampling import resize_disparity
from gs_stereo.imaging.sensor import sensed
from gs_stereo.training.stereo.config import AugmentConfig

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingPair:
    """One pair with its label: images in [0, 1], disparity in px with NaN = no label.

    confidence: weight of a label, 0 to 1. hidden: True where the match is known to be out of sight.
    """

    left: Float[np.ndarray, "h w 3"]
    right: Float[np.ndarray, "h w 3"]
    disparity: Float[np.ndarray, "h w"]
    confidence: Float[np.ndarray, "h w"]
    hidden: Bool[np.ndarray, "h w"]

    def cut(self, window: tuple[slice, ...]) -> TrainingPair:
        """The same part of every array."""
        return TrainingPair(**{name: array[window] for name, array in vars(self).items()})


def augmented(
    pair: TrainingPair, crop: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
) -> TrainingPair:
    """A (height, width) `crop` of the pair, changed as `config` says. The input is not modified."""
    pair = _cropped(_resized(pair, crop, config, rng), crop, rng)
    if rng.random() < config.flip_share:
        pair = pair.cut((slice(None, None, -1),))
    left, right = _coloured(pair.left, pair.right, config, rng)
    if config.sensor is not None:
        levels = [np.rint(image * 255).astype(np.uint8) for image in (left, right)]
        seen = sensed(levels[0], levels[1], config.sensor, int(rng.integers(1 << 62)))
        left, right = (image.astype(np.float32) / 255 for image in (seen.left, seen.right))
        return replace(pair, left=left, right=_erased(right, config, rng))
    left, right = (_blurred(image, config, rng) for image in (left, right))
    right = _erased(_shifted_down(right, rng.uniform(-1, 1) * config.vertical_px), config, rng)
    strength = rng.uniform(0, config.noise)
    left, right = (_noisy(image, strength, rng) for image in (left, right))
    return replace(pair, left=left, right=right)


def _resized(
    pair: TrainingPair, crop: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
) -> TrainingPair:
    """Resized by a random factor, at least to the size of the crop."""
    height, width = pair.disparity.shape
    scale = 2.0 ** rng.uniform(config.min_scale_log2, config.max_scale_log2)
    stretch = 2.0 ** (rng.uniform(-0.5, 0.5) * config.stretch_log2)
    size = max(crop[0], round(height * scale / stretch)), max(crop[1], round(width * scale * stretch))
    if size == (height, width):
        return pair
    shrinks = size[0] < height or size[1] < width
    images = [
        cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        for image in (pair.left, pair.right)
    ]
    confidence, hidden = (
        cv2.resize(each, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        for each in (pair.confidence, pair.hidden.astype(np.uint8))
    )
    return TrainingPair(
        left=images[0],
        right=images[1],
        disparity=resize_disparity(pair.disparity, size),
        confidence=confidence,
        hidden=hidden.astype(bool),
    )


def _cropped(pair: TrainingPair, crop: tuple[int, int], rng: np.random.Generator) -> TrainingPair:
    height, width = pair.disparity.shape
    top, first = int(rng.integers(height - crop[0] + 1)), int(rng.integers(width - crop[1] + 1))
    return pair.cut((slice(top, top + crop[0]), slice(first, first + crop[1])))


def _coloured(
    left: np.ndarray, right: np.ndarray, config: AugmentConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Changes of gain, contrast, saturation and the logarithm of gamma: those of both images, and more of the right."""
    limits = np.array([config.brightness, config.contrast, config.saturation, np.log1p(config.gamma)])
    common = rng.uniform(-1, 1, 4) * limits
    other = common + config.asymmetric * rng.uniform(-1, 1, 4) * limits
    left, right = _recoloured(left, *common.tolist()), _recoloured(right, *other.tolist())
    if rng.random() < config.grey_share:
        left, right = _grey(left), _grey(right)
    return left.astype(np.float32), right.astype(np.float32)


def _recoloured(image: np.ndarray, gain: float, contrast: float, saturation: float, log_gamma: float) -> np.ndarray:
    """Each change is relative to none, 0."""
    grey = (image @ _GREY)[..., None]
    changed = grey + (image - grey) * max(0.0, 1 + saturation)
    mean = grey.mean()
    changed = (mean + (changed - mean) * max(0.1, 1 + contrast)) * max(0.1, 1 + gain)
    return np.clip(changed, 0, 1) ** np.float32(np.exp(log_gamma))


def _grey(image: np.ndarray) -> np.ndarray:
    return np.repeat((image @ _GREY)[..., None], 3, axis=2)


def _blurred(image: np.ndarray, config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    wanted, sigma = rng.random() < config.blur_share, rng.uniform(0, config.blur_px)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma)) if wanted and sigma > 0.1 else image


def _shifted_down(image: np.ndarray, rows: float) -> np.ndarray:
    """The content moved down by a fraction of rows, border repeated."""
    if rows == 0:
        return image
    move = np.array([[1, 0, 0], [0, 1, rows]], np.float32)
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.warpAffine(image, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _erased(image: np.ndarray, config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    """One or two rectangles filled with the mean colour (Yang et al., ECCV 2019): there is no match to be found."""
    if rng.random() >= config.eraser_share:
        return image
    erased, mean = image.copy(), image.mean(axis=(0, 1))
    for _ in range(int(rng.integers(1, 3))):
        row, column = rng.integers(image.shape[0]), rng.integers(image.shape[1])
        height, width = rng.integers(config.eraser_px // 4, config.eraser_px + 1, 2)
        erased[row : row + height, column : column + width] = mean
    return erased


def _noisy(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(strength)
    return np.ascontiguousarray(np.clip(image + noise, 0, 1))
