"""StereoSpace models behind the synthesizer protocol: the published weights and models of ours."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from gs_stereo.errors import ConfigError
from gs_stereo.synthesis.model_files import located
from gs_stereo.synthesis.open_model import OpenedModel, open_model
from gs_stereo.synthesis.protocol import SourceView, SynthesizedView, SynthesizerSettings, Unit
from gs_stereo.synthesis.stereospace import Sampling, SourcePicture
from gs_stereo.synthesis.warp import required_depth, warped_condition
from gs_stereo.types import Provenance


class DiffusionSynthesizer:
    """A StereoSpace model with its sampler's settings. The last source is kept, for it is asked for many baselines."""

    needs_depth = False
    unit: Unit
    steps: int | None
    side_px: int | None
    rows_px: int | None

    def __init__(self, opened: OpenedModel, settings: SynthesizerSettings, title: str) -> None:
        use = opened.use
        self.model, self._known = opened.model, opened.provenance
        self.title, self.unit, self.side_px, self.multiple_px = title, use.unit, use.side_px, use.multiple_px
        self.rows_px = use.rows_px
        self.needs_depth = self.needs_depth or use.needs_depth
        self.sampling = Sampling(
            steps=settings.steps or use.steps,
            guidance=use.guidance if settings.guidance is None else settings.guidance,
            mean=use.mean,
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
        read = self.read(source)
        if self.model.takes_warped:
            shift_px = np.array([source.intrinsics[0, 0] * baseline])
            condition = warped_condition(source.image, required_depth(source, self.title), shift_px)
            read = replace(read, warped=self.model.warped_latent(torch.from_numpy(condition)))
        image = self.model.picture_at(read, baseline, self.sampling, seed)
        return SynthesizedView(image=image, filled=None, provenance=self.provenance)


def published_synthesizer(settings: SynthesizerSettings) -> DiffusionSynthesizer:
    """The published weights; ConfigError if no folder is given."""
    if settings.weights is None:
        raise ConfigError("stereospace needs its weights; give stereospace=FOLDER of prs-eth/stereospace-v1-0.")
    return DiffusionSynthesizer(
        kept_model(settings.weights, settings.device, settings.precision), settings, "stereospace"
    )


def small_synthesizer(settings: SynthesizerSettings) -> DiffusionSynthesizer:
    """A small model of ours, by default the one that comes with the package."""
    folder = located(settings.weights)
    title = "stereospace-small" if settings.weights is None else f"stereospace-small {folder.name}"
    return DiffusionSynthesizer(kept_model(folder, settings.device, settings.precision), settings, title)


@lru_cache(maxsize=4)
def kept_model(folder: Path, device: str, precision: str) -> OpenedModel:
    """The last models are kept, whatever the sampler."""
    return open_model(folder, device, precision)
