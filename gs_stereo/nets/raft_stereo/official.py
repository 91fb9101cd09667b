"""Checkpoints of the authors' release: reading them safely and finding out which variant they are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gs_stereo.config import parse_config
from gs_stereo.core.foreign import what_it_is_instead
from gs_stereo.errors import InputError
from gs_stereo.nets.config import VARIANTS, RaftStereoConfig

OFFICIAL_LICENCE = "MIT"
_MARK = "update_block.gru08.convz.weight"
"""A tensor that every RAFT-Stereo has."""
_DEEPEST_WRAPPER = 4
_RADIUS = 4


def read_official(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a state dict, whatever the suffix, out of what trainers put around and before them.

    That is dictionaries that hold it under any name, and one prefix of all its names (data-parallel training,
    torch.compile, Lightning). InputError if it is damaged, holds anything but tensors, or is not of RAFT-Stereo.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises nearly anything on a foreign file
        instead = what_it_is_instead(path) or "it is damaged or holds more than tensors"
        raise InputError(
            f"The weights {path} cannot be read ({instead}); give a RAFT-Stereo state dict or a folder with net.json."
        ) from error
    tensors = _unwrapped(content)
    if tensors is None:
        raise InputError(f"The weights {path} are not of RAFT-Stereo; only its official checkpoints load from a .pth.")
    if not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise InputError(f"The weights {path} are no state dict of tensors; give a RAFT-Stereo .pth.")
    return tensors


def _unwrapped(content: Any, depth: int = 0) -> dict[str, Any] | None:
    """The state dict of a RAFT-Stereo in a checkpoint; None if there is none."""
    if not isinstance(content, Mapping) or depth > _DEEPEST_WRAPPER:
        return None
    named = {name: value for name, value in content.items() if isinstance(name, str)}
    if marked := min((name for name in named if name.endswith(_MARK)), key=len, default=None):
        prefix = marked.removesuffix(_MARK)
        return {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}
    return next((found for value in content.values() if (found := _unwrapped(value, depth + 1))), None)


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
