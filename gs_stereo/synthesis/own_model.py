"""Models that were trained here: made from settings, written and read as a folder of safetensors and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gs_stereo.core.atomic import write_bytes
from gs_stereo.core.hashing import sha256_file
from gs_stereo.core.records import write_record
from gs_stereo.errors import InputError
from gs_stereo.nets.weights import first_misfit
from gs_stereo.synthesis.codec import PatchCodec
from gs_stereo.synthesis.model_files import (
    DESCRIPTION_NAME,
    WEIGHTS_NAME,
    ModelDescription,
    read_description,
    settings_of,
)
from gs_stereo.synthesis.prompt import NoPrompt
from gs_stereo.synthesis.ray_unet import RAY_CHANNELS, make_ray_unet
from gs_stereo.synthesis.schedule import Schedule
from gs_stereo.synthesis.stereospace import StereoSpace
from gs_stereo.synthesis.train_config import SmallModelConfig

_PROMPT_CHANNELS = 8  # of a prompt that is always zero


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnModel:
    """A model of ours in evaluation mode, in float32 on the CPU. file: its weights."""

    model: StereoSpace
    config: SmallModelConfig
    description: ModelDescription
    file: Path

    @property
    def sha256(self) -> str:
        return sha256_file(self.file)


def make_model(config: SmallModelConfig, seed: int) -> StereoSpace:
    """Fresh weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        codec = PatchCodec(config.patch_px)
        entering = codec.channels * (2 if config.concat_source else 1) + 4 * config.patch_px**2 * config.warped
        reference = make_ray_unet(_unet(config, codec.channels), with_output=False, rows_only=config.rows_only)
        denoiser = make_ray_unet(
            _unet(config, entering), rows_only=config.rows_only, linear_output=config.linear_output
        )
        return StereoSpace(
            reference,
            denoiser,
            codec,
            NoPrompt(_PROMPT_CHANNELS),
            Schedule(prediction=config.prediction),
            concat_source=config.concat_source,
            takes_warped=config.warped,
            moment_scale=config.baseline_scale,
        )


def _unet(config: SmallModelConfig, entering: int) -> dict[str, Any]:
    """diffusers' settings. entering: latent channels that go in, besides the rays."""
    down = tuple("CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in config.attention)
    up = tuple("CrossAttnUpBlock2D" if attends else "UpBlock2D" for attends in reversed(config.attention))
    return {
        "in_channels": entering + RAY_CHANNELS,
        "out_channels": (4 if config.warped else 3) * config.patch_px**2,
        "block_out_channels": config.widths,
        "down_block_types": down,
        "up_block_types": up,
        "layers_per_block": config.layers,
        "attention_head_dim": config.heads,
        "norm_num_groups": config.norm_groups,
        "cross_attention_dim": _PROMPT_CHANNELS,
        "use_linear_projection": True,
    }


def save_model(folder: Path, model: StereoSpace, description: ModelDescription) -> None:
    """Write both files, weights in float16; the same weights give the same bytes."""
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().half().contiguous() for name, tensor in model.state_dict().items()}
    write_bytes(folder / WEIGHTS_NAME, save(tensors))
    write_record(folder / DESCRIPTION_NAME, description)


def load_model(folder: Path) -> OwnModel:
    """Read a folder that `save_model` wrote; InputError names the file and what is wrong with it."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    description = read_description(folder)
    config = settings_of(description, folder)
    file = folder / WEIGHTS_NAME
    try:
        tensors = load_file(str(file))
    except (OSError, SafetensorError) as error:
        raise InputError(f"The weights {file} cannot be read ({error}); copy the folder again.") from error
    model = make_model(config, 0)
    if misfit := first_misfit(model, tensors):
        raise InputError(f"The weights {file} do not fit {DESCRIPTION_NAME}: {misfit}; copy the folder again.")
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return OwnModel(model=model.eval(), config=config, description=description, file=file)
