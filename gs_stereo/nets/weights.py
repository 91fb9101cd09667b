"""Weights at rest: a folder with `weights.safetensors` and `net.json`, or an official RAFT-Stereo `.pth`.

Neither can run code: safetensors holds tensors only, `.pth` is read with `weights_only=True`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from gs_stereo.config import Config
from gs_stereo.core.atomic import write_bytes
from gs_stereo.core.records import JsonObject, OpenRecord, read_record, write_record
from gs_stereo.errors import GsStereoError, InputError
from gs_stereo.nets.protocol import StereoNet, make_net, resolve_net
from gs_stereo.nets.shipped import located

WEIGHTS_NAME = "weights.safetensors"
DESCRIPTION_NAME = "net.json"


@dataclass(frozen=True, kw_only=True)
class NetDescription(OpenRecord):
    """What `net.json` says: which net, with which settings, under which licence, trained on what.

    licence: of the weights; what the labels and the start weights ask for is carried on. training: JSON values.
    """

    format: Literal["gs_stereo.net"] = "gs_stereo.net"
    version: Literal[1] = 1
    net: str
    settings: JsonObject
    licence: str
    training: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedNet:
    """A net with its weights, and where they come from. file: what a checksum of the weights is taken of."""

    net: StereoNet
    description: NetDescription
    file: Path


def save_net(folder: Path, net: StereoNet, description: NetDescription) -> None:
    """Write both files; the same weights give the same bytes."""
    from safetensors.torch import save

    # a copy each: the file format refuses tensors that share memory, as the doubly named norms of RAFT-Stereo do
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in net.state_dict().items()}
    write_bytes(folder / WEIGHTS_NAME, save(tensors))
    write_record(folder / DESCRIPTION_NAME, description)


def load_net(path: Path) -> TrainedNet:
    """A folder of ours (or its `.safetensors`), an official RAFT-Stereo `.pth`, or the name of a shipped net.

    The net is in evaluation mode. InputError names the file and what is wrong with it.
    """
    path = located(path)
    if path.is_dir():
        return _load_folder(path)
    if not path.is_file():
        raise InputError(f"There are no weights at {path}; check the path.")
    if path.suffix == ".safetensors":
        return _load_folder(path.parent, path.name)
    return _load_official(path)


def _load_folder(folder: Path, name: str = WEIGHTS_NAME) -> TrainedNet:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    description = read_record(NetDescription, folder / DESCRIPTION_NAME, fix="copy the folder again")
    try:
        tensors = load_file(str(folder / name))
    except (OSError, SafetensorError) as error:
        raise InputError(f"The weights {folder / name} cannot be read ({error}); copy the folder again.") from error
    try:
        config = resolve_net(description.net, None, description.settings)
    except GsStereoError as error:
        raise InputError(f"{folder / DESCRIPTION_NAME} describes no net of this program: {error}") from error
    net = filled(description.net, config, tensors, folder / name)
    return TrainedNet(net=net, description=description, file=folder / name)


def _load_official(path: Path) -> TrainedNet:
    from gs_stereo.nets.raft_stereo.official import OFFICIAL_LICENCE, config_of, read_official

    tensors = read_official(path)
    config = config_of(tensors, path)
    description = NetDescription(
        net="raft_stereo",
        settings=config.model_dump(mode="json"),
        licence=OFFICIAL_LICENCE,
        training={"official": path.name},
    )
    return TrainedNet(net=filled("raft_stereo", config, tensors, path), description=description, file=path)


def filled(name: str, config: Config, tensors: Mapping[str, torch.Tensor], path: Path) -> StereoNet:
    """A net in evaluation mode with these weights; InputError says which tensor does not fit."""
    net = make_net(name, config)
    if misfit := first_misfit(net, tensors):
        raise InputError(
            f"The weights {path} do not fit the net {name}: {misfit}; choose the settings they were trained with."
        )
    net.load_state_dict(dict(tensors))
    return net.eval()


def first_misfit(net: nn.Module, tensors: Mapping[str, torch.Tensor]) -> str | None:
    """The first tensor, by name, that a net lacks, has too many, or has in another shape; None if all fit."""
    expected = {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            return f"{key} is {found.get(key, 'missing')}, must be {expected.get(key, 'absent')}"
    return None
