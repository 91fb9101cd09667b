"""StereoSpace models behind the synthesizer protocol: the published weights and models of ours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from gs_stereo.errors import ConfigError
from gs_stereo.synthesis.own_model import load_model
from gs_stereo.synthesis.protocol import SourceView, SynthesizedView, SynthesizerSettings, Unit
from gs_stereo.synthesis.published import LICENCE, load_published
from gs_stereo.synthesis.stereospace import Sampling, SourcePicture, StereoSpace
from gs_stereo.types import Provenance


@dataclass(frozen=True, kw_only=True, eq=False)
class Opened:
    """A model and how it is used where nobody says otherwise."""

    model: StereoSpace
    unit: Unit
    sampling: Sampling
    side_px: int
    multiple_px: int
    provenance: Provenance


class DiffusionSynthesizer:
    """A StereoSpace model with its sampler's settings. The last source is kept, for it is asked for many baselines."""

    needs_depth = False
    unit: Unit
    steps: int | None
    side_px: int | None

    def __init__(self, opened: Opened, settings: SynthesizerSettings, title: str) -> None:
        usual = opened.sampling
        self.model, self._known = opened.model, opened.provenance
        self.title, self.unit, self.side_px, self.multiple_px = title, opened.unit, opened.side_px, opened.multiple_px
        self.sampling = Sampling(
            steps=settings.steps or usual.steps,
            guidance=usual.guidance if settings.guidance is None else settings.guidance,
        )
        self.steps = self.sampling.steps
        self._last: tuple[SourceView, SourcePicture] | None = None

    @property
    def provenance(self) -> Provenance:
        return replace(self._known, settings={**self._known.settings, **vars(self.sampling)})

    def read(self, source: SourceView) -> SourcePicture:
        """What the model keeps of a source."""
        if self._last is None or self._last[0] is not source:
            self._last = source, self.model.read(source.image, source.intrinsics)
        return self._last[1]

    def synthesize(self, source: SourceView, baseline: float, seed: int) -> SynthesizedView:
        image = self.model.picture_at(self.read(source), baseline, self.sampling, seed)
        return SynthesizedView(image=image, filled=None, provenance=self.provenance)


def published_synthesizer(settings: SynthesizerSettings) -> DiffusionSynthesizer:
    """The published weights; ConfigError if no folder is given."""
    if settings.weights is None:
        raise ConfigError("stereospace needs its weights; give stereospace=FOLDER of prs-eth/stereospace-v1-0.")
    opened = opened_published(settings.weights, settings.device, settings.precision)
    return DiffusionSynthesizer(opened, settings, "stereospace")


def small_synthesizer(settings: SynthesizerSettings) -> DiffusionSynthesizer:
    """A small model of ours; ConfigError if no folder is given."""
    if settings.weights is None:
        raise ConfigError("stereospace-small needs its weights; give stereospace-small=FOLDER.")
    opened = opened_own(settings.weights, settings.device, settings.precision)
    return DiffusionSynthesizer(opened, settings, f"stereospace-small {settings.weights.name}")


@lru_cache(maxsize=1)
def opened_published(folder: Path, device: str, precision: str) -> Opened:
    """The published weights on a device; the last folder is kept, whatever the sampler."""
    published = load_published(folder)
    provenance = Provenance(
        name="stereospace",
        version="v1-0",
        licence=LICENCE,
        weights_sha256=published.sha256["denoising_unet.pth"],
        settings={"pixels": "generated, not observed"},
    )
    model = published.model.to(_device(device), getattr(torch, precision))
    return Opened(model=model, unit="metres", sampling=Sampling(), side_px=768, multiple_px=64, provenance=provenance)


@lru_cache(maxsize=4)
def opened_own(folder: Path, device: str, precision: str) -> Opened:
    """A model of ours on a device."""
    own = load_model(folder)
    provenance = Provenance(
        name="stereospace-small",
        version=own.sha256[:12],
        licence=own.description.licence,
        weights_sha256=own.sha256,
        settings={"pixels": "generated, not observed"},
    )
    return Opened(
        model=own.model.to(_device(device), getattr(torch, precision)),
        unit=own.config.baseline_unit,
        sampling=Sampling(steps=4, guidance=1.0),
        side_px=160,
        multiple_px=own.config.patch_px * 2 ** (len(own.config.widths) - 1),
        provenance=provenance,
    )


def _device(wanted: str) -> str:
    cuda = torch.cuda.is_available()
    if wanted == "cuda" and not cuda:
        raise ConfigError("The settings ask for CUDA, which is not there; set device=cpu.")
    return "cuda" if cuda and wanted != "cpu" else "cpu"
