"""Latent warp with a small model: the source's latents, moved by depth, are imposed while the second eye is denoised.

The way of StereoDiffusion (Wang et al., CVPR 2024) at our size: whole latent cells move by their disparity, near over
far, what nothing lands on stays noise, and this is imposed after a fifth of the steps and again after every further
fifth. Attention reads the source's states as it does in the model anyway. No inversion is needed, for the codec loses
nothing. It has little in common with the published program but the idea, so the two are never compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float

from gs_stereo.synthesis.diffusion import DiffusionSynthesizer, kept_model
from gs_stereo.synthesis.model_files import located
from gs_stereo.synthesis.protocol import SourceView, SynthesizedView, SynthesizerSettings
from gs_stereo.synthesis.warp import dense_nearness, required_depth

_IMPOSED_EVERY = 0.2
_LEAST_STEPS = 5
_USUAL_STEPS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class MovedLatent:
    """A latent moved by whole cells. landed: cells that something moved to; the others are zero."""

    latent: Float[torch.Tensor, "1 c h w"]
    landed: Bool[torch.Tensor, "h w"]


def moved_latent(latent: Float[torch.Tensor, "1 c h w"], disparity: Float[np.ndarray, "h w"]) -> MovedLatent:
    """Every cell moves left by its disparity in cells, rounded; the larger absolute disparity is nearer and wins."""
    height, width = disparity.shape
    cells = np.rint(disparity).astype(np.int64).ravel()
    target = np.arange(height * width) % width - cells
    order = np.argsort(np.abs(disparity).ravel(), kind="stable")  # the last one written stays
    order = order[(target[order] >= 0) & (target[order] < width)]
    chosen = np.full(height * width, -1)
    chosen[order - cells[order]] = order
    landed = torch.from_numpy(chosen >= 0).to(latent.device)
    taken = torch.from_numpy(np.maximum(chosen, 0)).to(latent.device)
    moved = latent.flatten(2)[:, :, taken] * landed.to(latent)
    return MovedLatent(latent=moved.reshape(latent.shape), landed=landed.reshape(height, width))


class LatentWarpSynthesizer(DiffusionSynthesizer):
    """See the module."""

    needs_depth = True

    def synthesize(self, source: SourceView, baseline: float, seed: int) -> SynthesizedView:
        with torch.inference_mode():
            image = self._made(source, baseline, seed)
        return SynthesizedView(image=image, filled=None, provenance=self.provenance)

    def _made(self, source: SourceView, baseline: float, seed: int) -> np.ndarray:
        model, read, steps = self.model, self.read(source), self.sampling.steps
        nearness = dense_nearness(required_depth(source, self.title))
        height, width = (side // model.codec.factor for side in nearness.shape)
        cells = nearness.reshape(height, model.codec.factor, width, -1).mean(axis=(1, 3))
        shift = float(source.intrinsics[0, 0]) * baseline / model.codec.factor
        moved = moved_latent(read.latent, shift * cells)
        noise = torch.randn(read.latent.shape, generator=torch.Generator().manual_seed(seed)).to(read.latent)
        rays, latent = model.rays(read.intrinsics, read.size_wh, baseline), noise
        every = math.ceil(_IMPOSED_EVERY * steps)
        for number, time in enumerate(model.schedule.times(steps).tolist()):
            if number and number % every == 0:
                times = torch.tensor([time])
                latent = torch.where(moved.landed, model.schedule.noised(moved.latent, noise, times), latent)
            answer = model.guided(latent, read, rays, time, self.sampling.guidance)
            latent = model.schedule.step(latent, answer, time, steps)
        return model.picture_of(latent)


def latent_warp_synthesizer(settings: SynthesizerSettings) -> LatentWarpSynthesizer:
    """With a small model of ours; fewer than 5 steps are 5, so that there is something to impose on."""
    opened = kept_model(located(settings.weights), settings.device, settings.precision)
    steps = max(settings.steps or _USUAL_STEPS, _LEAST_STEPS)
    titled = replace(opened, provenance=replace(opened.provenance, name="latent warp (small)"))
    return LatentWarpSynthesizer(titled, settings.model_copy(update={"steps": steps}), "latent warp (small)")
