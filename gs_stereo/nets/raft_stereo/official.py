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
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.")  # of data-parallel training, torch.compile and Lightning
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights")
_RADIUS = 4


def read_official(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a state dict, whatever the suffix, out of the wrappers that trainers put around them.

    A wrapper is a dictionary with the state dict under a usual name, or a prefix before each name. InputError if it is
    damaged, holds anything but tensors, or is not of RAFT-Stereo.
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
        raise InputError(f"The weights {path} are no state dict of tensors; give a RAFT-Stereo .pth.")
    if "update_block.gru08.convz.weight" not in tensors:
        raise InputError(f"The weights {path} are not of RAFT-Stereo; only its official checkpoints load from a .pth.")
    return tensors


def _unwrapped(content: Any) -> dict[str, torch.Tensor] | None:
    """The state dict inside a checkpoint; None if there is none."""
    if not isinstance(content, Mapping):
        return None
    for name in _WRAPPERS:
        if isinstance(content.get(name), Mapping):
            return _unwrapped(content[name])
    if not content or not all(isinstance(value, torch.Tensor) for value in content.values()):
        return None
    tensors = {str(name): value for name, value in content.items()}
    while any(prefix := [each for each in _PREFIXES if all(name.startswith(each) for name in tensors)]):
        tensors = {name.removeprefix(prefix[0]): value for name, value in tensors.items()}
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
