"""Self-attention along rows against a loop over tokens, and what a recording pass leaves out."""

from __future__ import annotations

import numpy as np
import torch
from diffusers.models.attention_processor import Attention

from gs_stereo.config import parse_config
from gs_stereo.synthesis.own_model import make_model
from gs_stereo.synthesis.ray_unet import Conditioning, SharedSelfAttention
from gs_stereo.synthesis.train_config import SmallModelConfig

ROWS, COLUMNS, HEADS, CHANNELS = 3, 4, 2, 8


def turned(vector: np.ndarray, place: float) -> np.ndarray:
    """The rotation of rotary positions, a pair of channels at a time."""
    half = len(vector) // 2
    result = vector.copy()
    for pair in range(half):
        angle = place * np.pi * 2.0 ** (-8 * pair / max(1, half - 1))
        one, other = vector[pair], vector[half + pair]
        result[pair] = one * np.cos(angle) - other * np.sin(angle)
        result[half + pair] = one * np.sin(angle) + other * np.cos(angle)
    return result


def test_row_attention_equals_a_loop_over_tokens() -> None:
    torch.manual_seed(0)
    layer = Attention(query_dim=HEADS * CHANNELS, heads=HEADS, dim_head=CHANNELS)
    shrunk = 2  # of the ray map, on this level
    rays = torch.zeros(1, 6, ROWS * shrunk, COLUMNS * shrunk)
    own, recorded = torch.randn(2, 1, ROWS * COLUMNS, HEADS * CHANNELS)
    conditioning = Conditioning(rays=rays, rows_only=True, records={"layer": recorded})
    with torch.inference_mode():
        found = SharedSelfAttention("layer", conditioning)(layer, own)
        both = torch.cat([own, recorded], dim=1)
        parts = layer.to_q(own), layer.to_k(both), layer.to_v(both)
        query, key, value = (part.numpy()[0].astype(np.float64) for part in parts)
        mixed = np.zeros((ROWS * COLUMNS, HEADS * CHANNELS))
        for token in range(ROWS * COLUMNS):
            row, column = divmod(token, COLUMNS)
            for head in range(HEADS):
                part = np.s_[head * CHANNELS : (head + 1) * CHANNELS]
                asks = turned(query[token, part], (column + 0.5) * shrunk)
                seen = [picture * ROWS * COLUMNS + row * COLUMNS + n for picture in (0, 1) for n in range(COLUMNS)]
                places = [(n + 0.5) * shrunk for _ in (0, 1) for n in range(COLUMNS)]
                scores = [asks @ turned(key[n, part], x) / CHANNELS**0.5 for n, x in zip(seen, places, strict=True)]
                weights = np.exp(scores) / np.exp(scores).sum()
                mixed[token, part] = weights @ value[seen, part]
        expected = layer.to_out[0](torch.from_numpy(mixed).float())
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=1e-5)


def test_a_recording_pass_ends_with_the_last_record_and_keeps_all() -> None:
    config = parse_config(SmallModelConfig, {"widths": (16, 24), "attention": (False, True), "heads": 2}, where="test")
    reference = make_model(config, 0).reference
    latent, rays, prompt = torch.randn(1, 48, 8, 8), torch.randn(1, 6, 8, 8), torch.zeros(1, 1, 8)
    ran = []
    reference.up_blocks[-1].register_forward_hook(lambda *_: ran.append(True))
    with torch.inference_mode():
        records = reference.record(latent, rays, prompt)
    layers = {name.removesuffix(".processor") for name in reference.attn_processors if "attn1" in name}
    assert set(records) == layers
    assert not ran  # the last block has no attention, so nobody reads it
