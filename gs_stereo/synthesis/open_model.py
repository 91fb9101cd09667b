"""A folder of weights, published or ours, as a model on a device, with how it is used and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from gs_stereo.errors import ConfigError
from gs_stereo.synthesis.model_files import DENOISER_FILE, SMALL_FOLDER, ModelUse, is_own_model, model_use
from gs_stereo.synthesis.own_model import load_model
from gs_stereo.synthesis.published import LICENCE, load_published
from gs_stereo.synthesis.stereospace import StereoSpace
from gs_stereo.types import Provenance


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenedModel:
    """A model in evaluation mode, how it is used, and where its pictures come from."""

    model: StereoSpace
    use: ModelUse
    provenance: Provenance


def open_model(folder: Path, device: str, precision: str) -> OpenedModel:
    """Read the weights; ConfigError if the device is not there, InputError names a file that is missing or broken.

    device: auto, cpu or cuda. precision: float32, bfloat16 or float16.
    """
    cuda = torch.cuda.is_available()
    if device == "cuda" and not cuda:
        raise ConfigError("The settings ask for CUDA, which is not there; set device=cpu.")
    use = model_use(folder)
    generated = {"pixels": "generated, not observed", "baseline_unit": use.unit}
    if is_own_model(folder):
        own = load_model(folder)
        model, sha256 = own.model, own.sha256
        provenance = Provenance(
            name="stereospace-small" if folder == SMALL_FOLDER else "stereospace-own",
            version=sha256[:12],
            licence=own.description.licence,
            weights_sha256=sha256,
            settings=generated,
        )
    else:
        published = load_published(folder)
        model = published.model
        provenance = Provenance(
            name="stereospace",
            version="v1-0",
            licence=LICENCE,
            weights_sha256=published.sha256[DENOISER_FILE],
            settings={**generated, "weights_sha256": dict(published.sha256)},
        )
    place = "cuda" if cuda and device != "cpu" else "cpu"
    return OpenedModel(model=model.to(place, getattr(torch, precision)), use=use, provenance=provenance)
