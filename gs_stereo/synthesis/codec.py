"""Pictures to latents and back: Stable Diffusion's autoencoder, or patches of pixels, which lose nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

Pictures = Float[torch.Tensor, "b 3 h w"]
Latents = Float[torch.Tensor, "b c hl wl"]


class LatentCodec(Protocol):
    """Pictures in [-1, 1]. factor: pixels of a latent cell's side. channels: of a latent."""

    factor: int
    channels: int

    def encode(self, pictures: Pictures) -> Latents: ...

    def decode(self, latents: Latents) -> Pictures: ...


class PatchCodec(nn.Module):
    """A cell holds its pixels: exact, nothing to train, as many numbers as the picture has."""

    def __init__(self, factor: int = 4) -> None:
        super().__init__()
        self.factor, self.channels = factor, 3 * factor**2

    def encode(self, pictures: Pictures) -> Latents:
        return functional.pixel_unshuffle(pictures, self.factor)

    def decode(self, latents: Latents) -> Pictures:
        return functional.pixel_shuffle(latents, self.factor)


class AutoencoderCodec(nn.Module):
    """Stable Diffusion's autoencoder (Rombach et al., CVPR 2022): the posterior's mean, at unit variance."""

    factor = 8

    def __init__(self, folder: Path) -> None:
        from diffusers import AutoencoderKL

        super().__init__()
        self.autoencoder = AutoencoderKL.from_pretrained(folder, local_files_only=True).eval()
        self.channels = int(self.autoencoder.config.latent_channels)
        self.scale = float(self.autoencoder.config.scaling_factor)

    def encode(self, pictures: Pictures) -> Latents:
        return self.autoencoder.encode(pictures).latent_dist.mean * self.scale

    def decode(self, latents: Latents) -> Pictures:
        return self.autoencoder.decode(latents / self.scale).sample
