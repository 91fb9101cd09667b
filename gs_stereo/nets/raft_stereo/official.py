"""Checkpoints of the authors' release: reading them safely and finding out which variant they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from gs_stereo.config import parse_config
from gs_stereo.errors import InputError
from gs_stereo.nets.config import VARIANTS, RaftStereoConfig

OFFICIAL_LICENCE = "MIT"
_PREFIX = "module."
_RADIUS = 4


def read_official(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a `.pth` state dict, without the `module.` that data-parallel training puts before each name.

    InputError if it is damaged, holds anything but tensors, or is not of RAFT-Stereo.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises nearly anything on a foreign file
        raise InputError(
            f"The weights {path} cannot be read, or hold more than tensors; give a RAFT-Stereo state dict (.pth) or a "
            "folder with net.json."
        ) from error
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise InputError(f"The weights {path} are no state dict of tensors; give a RAFT-Stereo .pth.")
    tensors = {str(name).removeprefix(_PREFIX): value for name, value in content.items()}
    if "update_block.gru08.convz.weight" not in tensors:
        raise InputError(f"The weights {path} are not of RAFT-Stereo; only its official checkpoints load from a .pth.")
    return tensors


def config_of(tensors: Mapping[str, torch.Tensor], path: Path) -> RaftStereoConfig:
    """The settings that fit the shapes. Slow-fast leaves no trace in them: the shared backbone is taken as the sign."""
    try:
        mask_channels = tensors["update_block.mask.2.weight"].shape[0]
        correlation = tensors["update_block.encoder.convc1.weight"].shape[1]
        hidden = tensors["update_block.gru08.convz.weight"].shape[0]
    except (KeyError, IndexError) as error:
        raise InputError(f"The weights {path} are not of RAFT-Stereo ({error} is missing or misshapen).") from error
    shared = "conv2.1.weight" in tensors
    values = {
        **(VARIANTS["raft_stereo"]["realtime"] if shared else {}),
        "hidden_channels": hidden,
        "downsample": 3 if mask_channels == 9 * 64 else 2,
        "gru_levels": sum(name.startswith("context_zqr_convs.") and name.endswith(".weight") for name in tensors),
        "corr_levels": correlation // (2 * _RADIUS + 1),
        "context_norm": "batch" if "cnet.norm1.running_mean" in tensors else "instance",
    }
    return parse_config(RaftStereoConfig, values, where=f"the shapes of {path}")
