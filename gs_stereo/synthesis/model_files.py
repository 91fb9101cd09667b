"""Which weights make second eyes, how they are used, and their files. No torch here, so that stages can ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gs_stereo.config import parse_config
from gs_stereo.core.records import JsonObject, OpenRecord, read_record
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.synthesis.train_config import SmallModelConfig

SMALL_FOLDER = Path(__file__).parent / "small"
WEIGHTS_NAME, DESCRIPTION_NAME = "weights.safetensors", "model.json"
CONFIG_FILE, REFERENCE_FILE, DENOISER_FILE = "config.json", "reference_unet.pth", "denoising_unet.pth"
VAE_FOLDER, CLIP_FOLDER = "vae", "CLIP-ViT-H-14-laion2B-s32B-b79K"
PUBLISHED_FILES = (
    CONFIG_FILE,
    REFERENCE_FILE,
    DENOISER_FILE,
    f"{VAE_FOLDER}/config.json",
    f"{VAE_FOLDER}/diffusion_pytorch_model.safetensors",
    f"{CLIP_FOLDER}/config.json",
    f"{CLIP_FOLDER}/model.safetensors",
)


@dataclass(frozen=True, kw_only=True)
class ModelDescription(OpenRecord):
    """What `model.json` says of a model of ours: settings, licence, and how it was trained (JSON values)."""

    format: Literal["gs_stereo.synthesis"] = "gs_stereo.synthesis"
    version: Literal[1] = 1
    settings: JsonObject
    licence: str
    training: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelUse:
    """How a model is used. baseline: where none is wanted. reach: the largest that it is good for. unit: of both.

    needs_depth: it is given the source moved by depth. mean: its pictures are the mean of the sampler's answers.
    rows_px: the most rows of a picture that it works at; None = any.
    """

    side_px: int
    multiple_px: int
    steps: int
    guidance: float
    baseline: float
    reach: float
    unit: Literal["metres", "median_depth"]
    needs_depth: bool = False
    mean: bool = False
    rows_px: int | None = None


_PUBLISHED_USE = ModelUse(side_px=768, multiple_px=64, steps=50, guidance=1.5, baseline=0.15, reach=2.0, unit="metres")


def located(weights: Path | None) -> Path:
    """The folder of the weights: the package's own small model by default."""
    return SMALL_FOLDER if weights is None else weights


def is_own_model(folder: Path) -> bool:
    """Whether a folder of weights is one of ours, not of the published layout."""
    return (folder / DESCRIPTION_NAME).is_file()


def model_files(folder: Path) -> Mapping[str, Path]:
    """Every file that decides what a model makes, by its name; InputError names one that is missing."""
    own = is_own_model(folder)
    names = (WEIGHTS_NAME, DESCRIPTION_NAME) if own else PUBLISHED_FILES
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        whole = "the whole folder of train-synthesis" if own else "the whole folder of prs-eth/stereospace-v1-0"
        raise InputError(f"{folder} has no {missing[0]}; give {whole}.")
    return {name: folder / name for name in names}


def model_use(folder: Path) -> ModelUse:
    """How the model in a folder is used; InputError if its description is broken."""
    if not is_own_model(folder):
        return _PUBLISHED_USE
    config = settings_of(read_description(folder), folder)
    return ModelUse(
        side_px=config.side_px,
        multiple_px=config.patch_px * 2 ** (len(config.widths) - 1),
        steps=config.steps,
        guidance=1.0,
        baseline=0.6 * config.reach,
        reach=config.reach,
        unit=config.baseline_unit,
        needs_depth=config.warped,
        mean=config.sampler == "mean",
        rows_px=config.rows_px,
    )


def read_description(folder: Path) -> ModelDescription:
    """`model.json` of a model of ours."""
    return read_record(ModelDescription, folder / DESCRIPTION_NAME, fix="copy the folder again")


def settings_of(description: ModelDescription, folder: Path) -> SmallModelConfig:
    """The settings in it; InputError if this program has no such model."""
    try:
        return parse_config(SmallModelConfig, dict(description.settings), where=DESCRIPTION_NAME)
    except ConfigError as error:
        raise InputError(f"{folder / DESCRIPTION_NAME} describes no model of this program: {error}") from error
