"""The sRGB curve (IEC 61966-2-1): between what a photo stores and the light that it shows."""

import numpy as np
from jaxtyping import Float


def srgb_from_light(light: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """sRGB in [0, 1] of linear light in [0, 1]."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def light_from_srgb(srgb: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Linear light in [0, 1] of sRGB in [0, 1]."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
