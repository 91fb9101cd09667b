"""diffusers' U-Net with rays: six more input channels, ray modulation in every ResNet block, shared self-attention.

The only module that imports diffusers' U-Net. Names of the weights are those of the published checkpoints: diffusers'
own, and `dense_emb_layers.0` in every ResNet block.

A ResNet block multiplies and shifts its normalised input by a 1x1 convolution of the ray map: h (1 + scale) + shift. A
self-attention layer records its input (reference net), or attends to what the reference net recorded beside its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from jaxtyping import Float
from torch import nn
from torch.nn import functional

RAY_CHANNELS = 6
Records = dict[str, Float[torch.Tensor, "b n c"]]


@dataclass(eq=False)
class Conditioning:
    """What the blocks of one net read during a forward pass. records: written if `recording`, else read if there.

    last_record: the layer whose record comes last. rows_only: self-attention within a row.
    """

    last_record: str = ""
    rows_only: bool = False
    rays: torch.Tensor | None = None
    records: Records = field(default_factory=dict)
    recording: bool = False


class _AllRecordedError(Exception):
    """Ends a recording pass: nobody reads what would follow."""


class RayResnetBlock(ResnetBlock2D):
    """A ResNet block that is modulated by the ray map just before its first convolution."""

    conditioning: Conditioning

    def add_rays(self, conditioning: Conditioning) -> None:
        self.conditioning = conditioning
        self.dense_emb_layers = nn.ModuleList([nn.Conv2d(RAY_CHANNELS, 2 * self.in_channels, 1)])

    def forward(self, input_tensor: torch.Tensor, temb: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As diffusers' block with additive time embedding, without resampling."""
        if self.conditioning.rays is None:
            raise RuntimeError("RayUnet is called by `answer` and `record`, which give it the rays.")
        hidden = self.nonlinearity(self.norm1(input_tensor))
        size = hidden.shape[-2:]
        rays = functional.interpolate(self.conditioning.rays, size=size, mode="bilinear", align_corners=True)
        scale, shift = self.dense_emb_layers[0](rays).chunk(2, dim=1)
        hidden = self.conv1(hidden * (1 + scale) + shift)
        hidden = hidden + self.time_emb_proj(self.nonlinearity(temb))[:, :, None, None]
        hidden = self.conv2(self.dropout(self.nonlinearity(self.norm2(hidden))))
        straight = input_tensor if self.conv_shortcut is None else self.conv_shortcut(input_tensor)
        return (straight + hidden) / self.output_scale_factor


class SharedSelfAttention:
    """Processor of a self-attention layer: records its input, or attends to a recorded one beside its own."""

    def __init__(self, name: str, conditioning: Conditioning) -> None:
        self.name = name
        self.conditioning = conditioning

    def __call__(self, attn: Attention, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        seen = hidden_states
        if self.conditioning.recording:
            self.conditioning.records[self.name] = hidden_states
            if self.name == self.conditioning.last_record:
                raise _AllRecordedError
        elif self.name in self.conditioning.records:
            seen = torch.cat([hidden_states, self.conditioning.records[self.name]], dim=1)
        query, key, value = attn.to_q(hidden_states), attn.to_k(seen), attn.to_v(seen)
        if attn.upcast_attention:
            query, key = query.float(), key.float()
        if self.conditioning.rows_only:
            mixed = self._along_rows(attn.heads, query, key, value)
        else:
            query, key, value = (part.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for part in (query, key, value))
            mixed = functional.scaled_dot_product_attention(query, key, value.to(query.dtype)).transpose(1, 2)
        return attn.to_out[1](attn.to_out[0](mixed.flatten(-2).to(hidden_states.dtype)))

    def _along_rows(
        self, heads: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> Float[torch.Tensor, "b n heads c"]:
        """Every token attends to its row of its own picture and of the recorded one: rectified, so epipolar.

        Rotary positions (Su et al., 2021) along the row, so that a head can look a learnt way to the side.
        """
        assert self.conditioning.rays is not None
        height, width = self.conditioning.rays.shape[-2:]
        shrunk = round((height * width / query.shape[1]) ** 0.5)
        rows, columns = height // shrunk, width // shrunk
        turn = _rotary(columns, query.shape[-1] // heads, shrunk, query)

        def by_row(tokens: torch.Tensor) -> torch.Tensor:  # (b, pictures * rows * columns, c) -> (b, rows, heads, n, c)
            parts = tokens.unflatten(1, (-1, rows, columns)).unflatten(-1, (heads, -1))
            return parts.permute(0, 2, 4, 1, 3, 5)

        query, key, value = by_row(query), by_row(key), by_row(value)
        query, key = (_turned(part, turn).flatten(3, 4) for part in (query, key))
        mixed = functional.scaled_dot_product_attention(query, key, value.flatten(3, 4).to(query.dtype))
        return mixed.transpose(2, 3).flatten(1, 2)


def _rotary(columns: int, channels: int, shrunk: int, like: torch.Tensor) -> Float[torch.Tensor, "columns half 2"]:
    """Cosine and sine of each column's phases; wavelengths from 2 to 512 cells of the ray map."""
    octaves = torch.arange(channels // 2, device=like.device) / max(1, channels // 2 - 1)
    place = (torch.arange(columns, device=like.device) + 0.5) * shrunk
    phase = place[:, None] * (torch.pi * 2.0 ** (-8 * octaves))
    return torch.stack([phase.cos(), phase.sin()], dim=-1)


def _turned(tokens: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Halves of the channels as pairs, rotated."""
    one, other = tokens.chunk(2, dim=-1)
    cosine, sine = turn[..., 0].to(tokens.dtype), turn[..., 1].to(tokens.dtype)
    return torch.cat([one * cosine - other * sine, one * sine + other * cosine], dim=-1)


class RayUnet(UNet2DConditionModel):
    """The U-Net of both nets of StereoSpace; made by `make_ray_unet`."""

    conditioning: Conditioning

    @contextmanager
    def conditioned(self, rays: torch.Tensor, records: Records, *, recording: bool = False) -> Iterator[None]:
        """The ray map (B, 6, h, w) and the records during a forward pass."""
        self.conditioning.rays, self.conditioning.records = rays, records
        self.conditioning.recording = recording
        try:
            yield
        finally:
            self.conditioning.rays, self.conditioning.records, self.conditioning.recording = None, {}, False

    def answer(
        self,
        latent: Float[torch.Tensor, "b c h w"],
        rays: Float[torch.Tensor, "b 6 h w"],
        times: torch.Tensor,
        prompt: Float[torch.Tensor, "b n d"],
        records: Records | None = None,
    ) -> Float[torch.Tensor, "b c h w"]:
        """The net's output. records: what the reference net left; None = it attends to itself alone."""
        with self.conditioned(rays, records or {}):
            return self(torch.cat([latent, rays], dim=1), times, prompt, return_dict=False)[0]

    def record(
        self,
        latent: Float[torch.Tensor, "b c h w"],
        rays: Float[torch.Tensor, "b 6 h w"],
        prompt: Float[torch.Tensor, "b n d"],
    ) -> Records:
        """What every self-attention layer gets to see of a clean picture, at time 0; it ends with the last of them."""
        records: Records = {}
        times = torch.zeros(len(latent), dtype=torch.int64, device=latent.device)
        with suppress(_AllRecordedError), self.conditioned(rays, records, recording=True):
            self(torch.cat([latent, rays], dim=1), times, prompt, return_dict=False)
        return records


def make_ray_unet(
    config: Mapping[str, Any], *, with_output: bool = True, rows_only: bool = False, linear_output: bool = False
) -> RayUnet:
    """A U-Net by diffusers' settings, with rays added.

    with_output: the reference net has no output layers. rows_only: self-attention looks along rows. linear_output: no
    norm and non-linearity before the last convolution, so that details of the input reach it unchanged.
    """
    net = RayUnet(**config)
    net.conditioning = Conditioning(rows_only=rows_only)
    for module in net.modules():
        if isinstance(module, ResnetBlock2D):
            module.__class__ = RayResnetBlock
            module.add_rays(net.conditioning)
    attention = [name for name in net.attn_processors if name.endswith("attn1.processor")]
    upwards = [name for name in attention if name.startswith("up_blocks")]
    net.conditioning.last_record = (upwards or attention)[-1].removesuffix(".processor")  # else in the middle block
    net.set_attn_processor(
        {
            name: SharedSelfAttention(name.removesuffix(".processor"), net.conditioning)
            if name in attention
            else processor
            for name, processor in net.attn_processors.items()
        }
    )
    if not with_output:
        net.conv_norm_out, net.conv_act, net.conv_out = None, None, nn.Identity()
    elif linear_output:
        net.conv_norm_out, net.conv_act = None, None
    return net


def unet_settings() -> tuple[str, ...]:
    """Names of the settings that diffusers' U-Net takes; published files may hold others."""
    return tuple(name for name in inspect.signature(UNet2DConditionModel.__init__).parameters if name != "self")
