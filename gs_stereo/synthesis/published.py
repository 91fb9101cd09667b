"""The published weights (prs-eth/stereospace-v1-0) from a local folder: every file, key and shape is demanded.

Nothing is downloaded and nothing unpickled: `.pth` files are read with `weights_only=True`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gs_stereo.core.hashing import sha256_file
from gs_stereo.core.records import read_object
from gs_stereo.errors import InputError
from gs_stereo.log import logger
from gs_stereo.synthesis.codec import AutoencoderCodec
from gs_stereo.synthesis.model_files import (
    CLIP_FOLDER,
    CONFIG_FILE,
    DENOISER_FILE,
    PUBLISHED_FILES,
    REFERENCE_FILE,
    VAE_FOLDER,
    model_files,
)
from gs_stereo.synthesis.prompt import ClipPrompt
from gs_stereo.synthesis.ray_unet import RAY_CHANNELS, make_ray_unet, unet_settings
from gs_stereo.synthesis.schedule import Schedule
from gs_stereo.synthesis.stereospace import StereoSpace

LICENCE = (
    "weights: MIT (model card); derived from Stable Diffusion 2 (CreativeML Open RAIL++-M, use restrictions); "
    "CLIP ViT-H/14 laion2B: MIT"
)
_MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedModel:
    """The model in evaluation mode on the CPU in float32, and the sha256 of its weight files by name."""

    model: StereoSpace
    sha256: Mapping[str, str]


def load_published(folder: Path) -> PublishedModel:
    """Read the folder; InputError names a file that is missing or broken, and every key that differs."""
    model_files(folder)
    config = _unet_config(folder / CONFIG_FILE)
    reference = make_ray_unet(config, with_output=False)
    denoiser = make_ray_unet(config)
    for net, name in ((reference, REFERENCE_FILE), (denoiser, DENOISER_FILE)):
        fill(net, _tensors(folder / name), folder / name)
    try:
        codec, prompter = AutoencoderCodec(folder / VAE_FOLDER), ClipPrompt(folder / CLIP_FOLDER)
    except Exception as error:  # of diffusers, transformers, safetensors or json, whatever the file's fault is
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"The autoencoder or CLIP in {folder} cannot be read ({reason}); copy it again.") from error
    model = StereoSpace(reference.eval(), denoiser.eval(), codec, prompter, Schedule())
    weights = [name for name in PUBLISHED_FILES if not name.endswith(".json")]
    return PublishedModel(model=model, sha256={name: sha256_file(folder / name) for name in weights})


def fill(net: nn.Module, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Put the weights into a net; InputError if one is missing or has another shape, a warning for those left over."""
    expected = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    wrong = [
        f"{key} is {found.get(key, 'missing')}, must be {shape}"
        for key, shape in expected.items()
        if found.get(key) != shape
    ]
    if wrong:
        more = f", and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        raise InputError(
            f"The weights {path} do not fit their config.json: {'; '.join(wrong[:_MOST_NAMED])}{more}; "
            "copy the folder of prs-eth/stereospace-v1-0 again."
        )
    left_over = sorted(found.keys() - expected.keys())
    if left_over:
        logger.warning("%s holds %d tensors that no layer takes, %s first.", path, len(left_over), left_over[0])
    net.load_state_dict({key: tensors[key] for key in expected})


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds on broken files
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"The weights {path} cannot be read ({reason}); copy the file again.") from error
    if not isinstance(values, dict) or not all(isinstance(value, torch.Tensor) for value in values.values()):
        raise InputError(f"{path} is no state dict of tensors; copy the file again.")
    return values


def _unet_config(path: Path) -> dict[str, Any]:
    """The settings that diffusers' U-Net knows; InputError if it takes no rays."""
    values = read_object(path, fix="copy the file again")
    try:
        known = {key: values[key] for key in unet_settings() if key in values}
        channels = int(known["in_channels"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} describes no U-Net ({error}); copy the file again.") from error
    if channels != int(known.get("out_channels", 4)) + RAY_CHANNELS:
        raise InputError(f"{path} describes a U-Net of {channels} input channels, which has no rays; copy it again.")
    return known
