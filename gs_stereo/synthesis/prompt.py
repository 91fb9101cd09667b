"""The prompt of a picture: its CLIP image embedding, or nothing. The only module that imports transformers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import nn

from gs_stereo.core.records import read_object

_SIDE_PX = 224
_MEAN = (0.48145466, 0.4578275, 0.40821073)  # OpenAI's CLIP
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
Prompts = Float[torch.Tensor, "b 1 d"]


class Prompter(Protocol):
    """Gives one token of `channels` values a picture."""

    channels: int

    def __call__(self, picture: UInt8[np.ndarray, "h w 3"]) -> Prompts: ...


class NoPrompt(nn.Module):
    """A token of zeros: the small model reads the picture by its reference net alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def __call__(self, picture: UInt8[np.ndarray, "h w 3"]) -> Prompts:
        return torch.zeros(1, 1, self.channels)


class ClipPrompt(nn.Module):
    """The projected image embedding of CLIP (Radford et al., ICML 2021), not scaled to unit length."""

    def __init__(self, folder: Path) -> None:
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        super().__init__()
        values = read_object(folder / "config.json", fix="copy the file again")
        # A full CLIP config has the projection's size at its top level; its vision part may say another one.
        vision = dict(values.get("vision_config", values))
        vision["projection_dim"] = values.get("projection_dim", vision.get("projection_dim"))
        with _quiet():  # the text half is left out on purpose, which transformers reports at length
            net = CLIPVisionModelWithProjection.from_pretrained(
                folder, config=CLIPVisionConfig(**vision), local_files_only=True
            )
        self.net = net.eval()
        self.channels = int(vision["projection_dim"])

    def __call__(self, picture: UInt8[np.ndarray, "h w 3"]) -> Prompts:
        pixels = (clip_input(picture).astype(np.float32) / 255 - np.array(_MEAN, np.float32)) / np.array(
            _DEVIATION, np.float32
        )
        weight = next(self.net.parameters())
        tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].to(weight)
        return self.net(tensor).image_embeds[:, None]


@contextmanager
def _quiet() -> Iterator[None]:
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def clip_input(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "224 224 3"]:
    """The shorter side to 224 pixels, bicubic, and the middle square."""
    height, width = picture.shape[:2]
    scale = _SIDE_PX / min(height, width)
    size = max(_SIDE_PX, int(width * scale)), max(_SIDE_PX, int(height * scale))
    left, top = (size[0] - _SIDE_PX) // 2, (size[1] - _SIDE_PX) // 2
    resized = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + _SIDE_PX, top + _SIDE_PX)))
