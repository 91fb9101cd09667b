"""What a training of a model that makes second eyes starts from: nothing, our weights, the published ones, or SD 2.

A folder says by its files what it is. Every model knows how it is written when it has been trained.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from gs_stereo.core.atomic import write_bytes, write_text
from gs_stereo.core.hashing import sha256_file
from gs_stereo.core.records import JsonObject, json_text, read_object
from gs_stereo.errors import InputError
from gs_stereo.synthesis import published
from gs_stereo.synthesis.codec import AutoencoderCodec
from gs_stereo.synthesis.model_files import (
    CLIP_FOLDER,
    CONFIG_FILE,
    DENOISER_FILE,
    PUBLISHED_FILES,
    REFERENCE_FILE,
    VAE_FOLDER,
    WEIGHTS_NAME,
    ModelDescription,
    is_own_model,
    model_files,
)
from gs_stereo.synthesis.own_model import load_model, make_model, save_model
from gs_stereo.synthesis.prompt import ClipPrompt
from gs_stereo.synthesis.ray_unet import RAY_CHANNELS, RayUnet, make_ray_unet, unet_settings
from gs_stereo.synthesis.schedule import Schedule
from gs_stereo.synthesis.stereospace import StereoSpace
from gs_stereo.synthesis.train_config import SmallModelConfig
from gs_stereo.training.card import OWN_LICENCE

_SD2_CONFIG, _SD2_WEIGHTS = "unet/config.json", "unet/diffusion_pytorch_model.safetensors"
_SD2_LICENCE = "Stable Diffusion 2: CreativeML Open RAIL++-M, use restrictions; CLIP ViT-H/14 laion2B: MIT"
_COMPANIONS = tuple(name for name in PUBLISHED_FILES if "/" in name)  # autoencoder and CLIP, which are not trained


@dataclass(frozen=True, kw_only=True, eq=False)
class StartingModel:
    """The model to train, on the CPU, with what is not trained frozen.

    own: its settings if it is one of ours. folder: of the autoencoder and CLIP otherwise. unet: settings of its U-Nets.
    sha256: of the weights it starts from, by name.
    """

    model: StereoSpace
    in_metres: bool
    licence: str
    sha256: Mapping[str, str] = field(default_factory=dict)
    own: SmallModelConfig | None = None
    folder: Path | None = None
    unet: JsonObject = field(default_factory=dict)

    def save(self, folder: Path, trained: StereoSpace, licence: str, training: JsonObject) -> None:
        """Write trained weights so that `gsstereo synthesize --weights` and another training take them."""
        if self.own is not None:
            settings = self.own.model_dump(mode="json")
            save_model(folder, trained, ModelDescription(settings=settings, licence=licence, training=training))
            return
        assert self.folder is not None
        write_text(folder / CONFIG_FILE, json_text(dict(self.unet), indent=1) + "\n")
        for net, name in ((trained.reference, REFERENCE_FILE), (trained.denoiser, DENOISER_FILE)):
            content = io.BytesIO()
            torch.save({key: tensor.detach().cpu() for key, tensor in net.state_dict().items()}, content)
            write_bytes(folder / name, content.getvalue())
        for name in _COMPANIONS:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / name, folder / name)


def start_files(folder: Path | None) -> dict[str, Path]:
    """The files that decide where a training starts, by a stable name; InputError if the folder holds no start."""
    if folder is None:
        return {}
    if not is_own_model(folder) and (folder / _SD2_CONFIG).is_file():
        missing = [name for name in (_SD2_WEIGHTS, *_COMPANIONS) if not (folder / name).is_file()]
        if missing:
            raise InputError(
                f"{folder} has no {missing[0]}; it needs unet/ and vae/ of Stable Diffusion 2 as safetensors, and "
                f"{CLIP_FOLDER}/ beside them."
            )
        return {name: folder / name for name in (_SD2_CONFIG, _SD2_WEIGHTS, *_COMPANIONS)}
    return dict(model_files(folder))


def starting_model(folder: Path | None, config: SmallModelConfig, seed: int) -> StartingModel:
    """Fresh weights of a model of ours by `config`, or what the folder holds; InputError if that does not fit."""
    files = start_files(folder)
    if folder is None:
        return StartingModel(
            model=make_model(config, seed),
            in_metres=config.baseline_unit == "metres",
            licence=OWN_LICENCE,
            own=config,
        )
    if is_own_model(folder):
        own = load_model(folder)
        return StartingModel(
            model=own.model,
            in_metres=own.config.baseline_unit == "metres",
            licence=own.description.licence,
            sha256={WEIGHTS_NAME: own.sha256},
            own=own.config,
        )
    if _SD2_CONFIG in files:
        return _stable_diffusion(folder)
    read = published.load_published(folder)
    return StartingModel(
        model=frozen(read.model),
        in_metres=True,
        licence=published.LICENCE,
        sha256=read.sha256,
        folder=folder,
        unet=read_object(folder / CONFIG_FILE, fix="copy the file again"),
    )


def frozen(model: StereoSpace) -> StereoSpace:
    """Autoencoder, CLIP and the reference net's last block do not learn (the paper's choice)."""
    for part in (model.codec, model.prompter, model.reference.up_blocks[3]):
        assert isinstance(part, nn.Module)
        part.requires_grad_(False)
    return model


def _stable_diffusion(folder: Path) -> StartingModel:
    """Both nets from one text-to-image U-Net: the new input channels and the rays' modulation start at zero."""
    values = read_object(folder / _SD2_CONFIG, fix="copy the file again")
    config = {key: values[key] for key in unet_settings() if key in values}
    latent = int(config.get("in_channels", 4))
    config["in_channels"] = latent + RAY_CHANNELS
    try:
        tensors = load_file(str(folder / _SD2_WEIGHTS))
        codec, prompter = AutoencoderCodec(folder / VAE_FOLDER), ClipPrompt(folder / CLIP_FOLDER)
        nets = [make_ray_unet(config, with_output=with_output) for with_output in (False, True)]
    except (OSError, SafetensorError, ValueError, RuntimeError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"The weights in {folder} cannot be read ({reason}); copy the folder again.") from error
    for net in nets:
        _fill_from_sd2(net, tensors, latent, folder / _SD2_WEIGHTS)
    return StartingModel(
        model=frozen(StereoSpace(nets[0], nets[1], codec, prompter, Schedule())),
        in_metres=True,
        licence=_SD2_LICENCE,
        sha256={_SD2_WEIGHTS: sha256_file(folder / _SD2_WEIGHTS)},
        folder=folder,
        unet=config,
    )


def _fill_from_sd2(net: RayUnet, tensors: Mapping[str, torch.Tensor], latent: int, path: Path) -> None:
    expected = net.state_dict()
    grown = dict(tensors)
    if "conv_in.weight" in tensors and tensors["conv_in.weight"].shape[1] == latent:
        wide = torch.zeros_like(expected["conv_in.weight"])
        wide[:, :latent] = tensors["conv_in.weight"]
        grown["conv_in.weight"] = wide
    grown |= {name: torch.zeros_like(value) for name, value in expected.items() if "dense_emb_layers" in name}
    published.fill(net, {name: value for name, value in grown.items() if name in expected}, path)
