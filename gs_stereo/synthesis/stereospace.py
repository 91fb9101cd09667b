"""StereoSpace (arXiv 2512.10959): a picture from another baseline, by diffusion that only knows the two cameras.

A reference net looks once at the clean source picture and records what its self-attention layers see. A denoiser of the
same kind makes the target out of noise; its self-attention reads the records beside its own states, and the ray maps
tell both nets where their cameras are. No depth, no warping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import nn
from torch.nn import functional

from gs_stereo.synthesis.codec import LatentCodec
from gs_stereo.synthesis.prompt import Prompter
from gs_stereo.synthesis.ray_unet import RayUnet, Records
from gs_stereo.synthesis.rays import RayCells
from gs_stereo.synthesis.schedule import Schedule

Latents = Float[torch.Tensor, "b c h w"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """steps: of the sampler. guidance: how far the answer is pushed away from that without picture and prompt.

    mean: every step lays fresh noise over the last answer, and the picture is the mean of all answers; otherwise
    deterministic DDIM. A sample is farther from the truth than the mean of what it may be: that is why a model that
    answers clean pictures was better after one step than after four steps of DDIM.
    """

    steps: int = 50
    guidance: float = 1.5
    mean: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class SourcePicture:
    """What the model keeps of a source picture, for any number of targets: all tensors have a batch of one.

    warped: of one target, where the model is given the source moved by depth.
    """

    latent: Latents
    prompt: Float[torch.Tensor, "b n d"]
    records: Records
    intrinsics: Float[np.ndarray, "3 3"]
    size_wh: tuple[int, int]
    warped: Latents | None = None


class Progress(Protocol):
    def __call__(self, step: int, steps: int) -> None: ...


class StereoSpace(nn.Module):
    """The two nets with codec, prompt and schedule.

    concat_source: the denoiser's input holds the source latent too (our small model; the published weights share
    attention only). takes_warped: it holds the source moved by depth, with its holes, and says for
    every pixel how much of that is taken as it is. moment_scale: of the rays'
    moments; the published weights take them as they are. Device and type of the weights decide where and how it
    computes; pictures and noise are made on the CPU, so that a seed gives the same noise anywhere.
    """

    def __init__(
        self,
        reference: RayUnet,
        denoiser: RayUnet,
        codec: LatentCodec,
        prompter: Prompter,
        schedule: Schedule,
        *,
        concat_source: bool = False,
        takes_warped: bool = False,
        moment_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.reference, self.denoiser = reference, denoiser
        self.codec, self.prompter, self.schedule = codec, prompter, schedule
        self.concat_source, self.takes_warped = concat_source, takes_warped
        self.cells = RayCells(factor=codec.factor, moment_scale=moment_scale)

    @torch.inference_mode()
    def read(self, picture: UInt8[np.ndarray, "h w 3"], intrinsics: Float[np.ndarray, "3 3"]) -> SourcePicture:
        """Look at a source picture whose sides are multiples of the codec's factor times 8."""
        height, width = picture.shape[:2]
        latent = self.codec.encode(self._tensor(picture))
        prompt = self.prompter(picture).to(latent)
        rays = self.rays(intrinsics, (width, height), 0.0)
        records = self.reference.record(latent, rays, prompt)
        return SourcePicture(
            latent=latent, prompt=prompt, records=records, intrinsics=intrinsics, size_wh=(width, height)
        )

    @torch.inference_mode()
    def picture_at(
        self,
        source: SourcePicture,
        baseline: float,
        sampling: Sampling,
        seed: int,
        target_intrinsics: Float[np.ndarray, "3 3"] | None = None,
        progress: Progress | None = None,
    ) -> UInt8[np.ndarray, "h w 3"]:
        """What the camera at `baseline` (positive = to the right of the source) sees. The same seed, the same bytes."""
        generator = torch.Generator().manual_seed(seed)
        shape, draws = source.latent.shape, sampling.steps if sampling.mean else 1
        noise = torch.cat([torch.randn(shape, generator=generator) for _ in range(draws)]).to(source.latent)
        target = source.intrinsics if target_intrinsics is None else target_intrinsics
        rays = self.rays(target, source.size_wh, baseline)
        return self.picture_of(self.denoised(noise, source, rays, sampling, progress))

    def picture_of(self, latent: Latents) -> UInt8[np.ndarray, "h w 3"]:
        """The picture of a clean latent."""
        pixels = self.codec.decode(latent)[0].float().clamp(-1, 1).permute(1, 2, 0).cpu().numpy()
        return np.rint((pixels + 1) * 127.5).astype(np.uint8)

    def denoised(
        self,
        noise: Latents,
        source: SourcePicture,
        rays: Float[torch.Tensor, "b 6 h w"],
        sampling: Sampling,
        progress: Progress | None = None,
    ) -> Latents:
        """From noise to a clean latent. noise: one, or one a step if it is the mean that is wanted."""
        schedule = self.schedule
        answers: list[Latents] = []
        latent = noise[:1] if sampling.mean else noise
        for number, time in enumerate(schedule.times(sampling.steps)):
            times = torch.from_numpy(time[None])
            if number and sampling.mean:
                latent = schedule.noised(answers[-1], noise[number : number + 1], times)
            answer = self.guided(latent, source, rays, int(time), sampling.guidance)
            if sampling.mean:
                answers.append(schedule.clean(latent, answer, schedule.alpha_bar_at(times, latent)))
            else:
                latent = schedule.step(latent, answer, int(time), sampling.steps)
            if progress is not None:
                progress(number + 1, sampling.steps)
        return torch.cat(answers).mean(dim=0, keepdim=True) if sampling.mean else latent

    def guided(self, latent: Latents, source: SourcePicture, rays: torch.Tensor, time: int, guidance: float) -> Latents:
        """Classifier-free guidance (Ho and Salimans, 2022): without prompt and records, and pushed away from that."""
        times = torch.full((len(latent),), time, dtype=torch.int64, device=latent.device)
        given = self.answer(latent, rays, times, source.prompt, source.records, source.latent, source.warped)
        if guidance == 1:
            return given
        free = self.answer(latent, rays, times, torch.zeros_like(source.prompt), None, torch.zeros_like(source.latent))
        return free + guidance * (given - free)

    def answer(
        self,
        latent: Latents,
        rays: torch.Tensor,
        times: torch.Tensor,
        prompt: torch.Tensor,
        records: Records | None,
        source_latent: Latents,
        warped: Latents | None = None,
    ) -> Latents:
        """The denoiser's answer; records None, zeros for the source and no warped one = unconditional."""
        entered = [latent, source_latent] if self.concat_source else [latent]
        if not self.takes_warped:
            return self.denoiser.answer(torch.cat(entered, dim=1), rays, times, prompt, records)
        if warped is None:  # a hole everywhere
            warped = torch.cat([torch.zeros_like(latent), torch.ones_like(latent[:, : self.codec.factor**2])], dim=1)
        answer = self.denoiser.answer(torch.cat([*entered, warped], dim=1), rays, times, prompt, records)
        made, blend = answer.split([self.codec.channels, self.codec.factor**2], dim=1)
        colour, hole = warped.split([self.codec.channels, self.codec.factor**2], dim=1)
        share = (blend.sigmoid() * (1 - hole)).repeat(1, 3, 1, 1)  # a pixel's three colours lie p^2 channels apart
        return share * colour + (1 - share) * made

    def warped_latent(self, condition: Float[torch.Tensor, "b 4 h w"]) -> Latents:
        """What `warped_condition` gives, as the denoiser takes it; only of patch codecs."""
        return functional.pixel_unshuffle(condition.to(next(self.denoiser.parameters())), self.codec.factor)

    def rays(self, intrinsics: np.ndarray, size_wh: tuple[int, int], baseline: float) -> torch.Tensor:
        """The ray map of a camera at `baseline`, as the nets take it."""
        weight = next(self.denoiser.parameters())
        return torch.from_numpy(self.cells.map(intrinsics, size_wh, baseline))[None].to(weight)

    def _tensor(self, picture: UInt8[np.ndarray, "h w 3"]) -> Float[torch.Tensor, "1 3 h w"]:
        weight = next(self.denoiser.parameters())
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1
        return pixels.to(weight)
