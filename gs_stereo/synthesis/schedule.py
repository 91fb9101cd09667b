"""The diffusion schedule: how much noise at which time, what a net predicts there, and the steps back from noise.

Scaled linear betas 0.00085 to 0.012 over 1000 times, rescaled to zero terminal signal (Lin et al., WACV 2024), trailing
times, deterministic DDIM (Song et al., ICLR 2021), v-prediction (Salimans and Ho, ICLR 2022) or the clean latent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int

TIMES = 1000
_FIRST_BETA, _LAST_BETA = 0.00085, 0.012
Latent = Float[torch.Tensor, "b c h w"]
Prediction = Literal["velocity", "clean"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """prediction: what the net answers with."""

    prediction: Prediction = "velocity"

    @cached_property
    def alpha_bar(self) -> Float[np.ndarray, "1000"]:
        """Share of signal power at each time, 0 at the last."""
        alphas = 1 - np.linspace(_FIRST_BETA**0.5, _LAST_BETA**0.5, TIMES) ** 2
        root = np.sqrt(np.cumprod(alphas))
        root = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
        return np.asarray(root**2)

    def times(self, steps: int) -> Int[np.ndarray, "steps"]:
        """Times of a sampling, from pure noise down."""
        return np.round(np.arange(TIMES, 0, -TIMES / steps)).astype(np.int64) - 1

    def clean(self, noisy: Latent, answer: Latent, alpha_bar: Float[torch.Tensor, "b 1 1 1"]) -> Latent:
        """The clean latent by the net's answer."""
        if self.prediction == "clean":
            return answer
        return alpha_bar.sqrt() * noisy - (1 - alpha_bar).sqrt() * answer

    def step(self, noisy: Latent, answer: Latent, time: int, steps: int) -> Latent:
        """One deterministic step from `time` to `time - 1000 // steps`, which need not be the next listed time."""
        before = torch.as_tensor(self.alpha_bar[time], dtype=noisy.dtype, device=noisy.device).reshape(1, 1, 1, 1)
        earlier = time - TIMES // steps
        after = 1.0 if earlier < 0 else float(self.alpha_bar[earlier])
        clean = self.clean(noisy, answer, before)
        noise = self.noise_in(noisy, clean, before)
        return after**0.5 * clean + (1 - after) ** 0.5 * noise

    def noise_in(self, noisy: Latent, clean: Latent, alpha_bar: Float[torch.Tensor, "b 1 1 1"]) -> Latent:
        """What is noise in a noisy latent if this is the clean one."""
        return (noisy - alpha_bar.sqrt() * clean) / (1 - alpha_bar).sqrt()

    def noised(self, clean: Latent, noise: Latent, times: Int[torch.Tensor, "b"]) -> Latent:
        """The latent at these times."""
        alpha_bar = self.alpha_bar_at(times, clean)
        return alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * noise

    def target(self, clean: Latent, noise: Latent, times: Int[torch.Tensor, "b"]) -> Latent:
        """What the net should answer."""
        if self.prediction == "clean":
            return clean
        alpha_bar = self.alpha_bar_at(times, clean)
        return alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * clean

    def alpha_bar_at(self, times: Int[torch.Tensor, "b"], like: torch.Tensor) -> Float[torch.Tensor, "b 1 1 1"]:
        """The share of signal power at these times, in the type and on the device of `like`."""
        values = torch.as_tensor(self.alpha_bar[times.cpu().numpy()], dtype=like.dtype, device=like.device)
        return values.reshape(-1, 1, 1, 1)

    def min_snr_weight(self, alpha_bar: Float[torch.Tensor, "*b"], gamma: float) -> Float[torch.Tensor, "*b"]:
        """Weight of a squared error (min-SNR, Hang et al., ICCV 2023): of velocity, or of the clean latent."""
        snr = alpha_bar / (1 - alpha_bar).clamp_min(1e-8)
        if self.prediction == "clean":
            return snr.clamp(max=gamma)
        return (snr + 1).clamp(max=gamma) / (snr + 1)
