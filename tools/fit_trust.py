"""Fits the trust model to evidence and errors of scenes with exact truth, by Adam on two proper scores.

The expected error minimises log m + |error| / m (the exponential likelihood, whose best m is the mean error), the
probability the cross entropy. Sources that a label may lack are hidden in a share of the examples (`SCENARIOS`), so
that one network serves every set of sources. calibrate_labels.py gathers the examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from gs_stereo.labels.evidence import CONTEXT, EVIDENCE
from gs_stereo.labels.observations import MATCHED, MULTIBASELINE, PHOTOS, SPLAT, SURFACES
from gs_stereo.labels.trust import SMALLEST_EVIDENCE, InputScale, Layer, TrustModel, input_rows

KINDS = (PHOTOS, MULTIBASELINE, SPLAT, MATCHED, SURFACES)
RIGHT_PX = 1.0
_LARGEST_ERROR_PX = 20.0
_SMALLEST_ERROR_PX = 1e-3
_TAILS = (0.001, 0.999)
_SIGNIFICANT = 4
_START = -3.0
_PHOTOS = ("photos_px", "photos_cost", "photos_few", "colour_levels")
_STACK = ("multibaseline_px", "multibaseline_cost")
_EXPERTS = ("experts_px", "left_right_px")
_SURROUNDINGS = ("views_px", "points_px")
_SURFACES = (
    "surface_px",
    "surface_unsupported",
    "surface_spread_px",
    "blank_px",
    "beside_thin",
    "hole",
)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Sources that are not at hand, and the share of the examples that are shown without their evidence."""

    name: str
    share: float
    hidden: tuple[str, ...]

    def hidden_of(self, kind: str) -> tuple[str, ...]:
        """What is hidden of examples of a kind: never what the kind's own source says."""
        own = {PHOTOS: _PHOTOS, MULTIBASELINE: _STACK, MATCHED: _EXPERTS, SURFACES: _SURFACES}.get(kind, ())
        return tuple(name for name in self.hidden if name not in own)


SCENARIOS = (
    Scenario(name="fused", share=0.4, hidden=_STACK),
    Scenario(name="without surfaces", share=0.1, hidden=(*_STACK, *_SURFACES)),
    Scenario(name="with multibaseline", share=0.1, hidden=()),
    Scenario(name="without photos", share=0.15, hidden=(*_STACK, *_PHOTOS)),
    Scenario(name="without experts", share=0.1, hidden=(*_STACK, *_EXPERTS)),
    Scenario(name="alone", share=0.15, hidden=(*_STACK, *_PHOTOS, *_EXPERTS, *_SURROUNDINGS, *_SURFACES)),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """Disparities of one kind of source: their evidence (NaN = unknown), and how far off they are."""

    kind: str
    evidence: Mapping[str, Float[np.ndarray, "n"]]
    error_px: Float[np.ndarray, "n"]

    def known(self) -> Examples:
        """Those whose error is known."""
        there = np.isfinite(self.error_px)
        evidence = {name: values[there] for name, values in self.evidence.items()}
        return Examples(kind=self.kind, evidence=evidence, error_px=np.abs(self.error_px[there]))


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """evidence: which pieces the model may use. hidden: width of both hidden layers."""

    evidence: tuple[str, ...] = tuple(EVIDENCE)
    hidden: int = 24
    steps: int = 7000
    batch: int = 1024
    rate: float = 0.01
    decay: float = 1e-4
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What is written into the model about where it comes from."""

    version: int
    scenes: tuple[str, ...]
    experts: tuple[str, ...]


def fit_trust(examples: Sequence[Examples], origin: Origin, settings: FitSettings = FitSettings()) -> TrustModel:
    """The model that explains the examples best. The same examples and seed give the same model."""
    parts = [part.known() for part in examples]
    scales = tuple(_scale(name, parts) for name in settings.evidence)
    kinds = tuple(dict.fromkeys(part.kind for part in parts))
    rows = _Rows(
        inputs=torch.from_numpy(np.concatenate([_columns(part, scales) for part in parts])),
        error=torch.from_numpy(np.concatenate([part.error_px for part in parts]).astype(np.float32)),
        kind=torch.tensor([kinds.index(part.kind) for part in parts for _ in part.error_px]),
        hiding=_hiding(kinds, settings.evidence),
    )
    doubts = torch.tensor([row for row, scale in enumerate(scales) if scale.doubt])
    network = _network(2 * len(scales) + len(kinds), doubts, settings)
    _train(network, rows, doubts, settings)
    layers = tuple(_layer(module) for module in _linear(network))
    return TrustModel(
        version=origin.version,
        trained_on=origin.scenes,
        experts=origin.experts,
        kinds=kinds,
        inputs=scales,
        layers=layers,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """All examples: (n, inputs), (n,), (n,); and what each scenario hides from each kind."""

    inputs: torch.Tensor
    error: torch.Tensor
    kind: torch.Tensor
    hiding: torch.Tensor


def _train(network: nn.Sequential, rows: _Rows, doubts: torch.Tensor, settings: FitSettings) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=settings.steps)
    kinds = rows.hiding.shape[1]
    for chosen, scenario in _batches(len(rows.error), settings):
        kind = rows.kind[chosen]
        shown = _shown(rows.inputs[chosen], kind, rows.hiding[scenario, kind], kinds)
        loss = _loss(network(shown), rows.error[chosen])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        _constrain(network, doubts)


def _loss(outputs: torch.Tensor, error: torch.Tensor) -> torch.Tensor:
    """Exponential likelihood of the error, and cross entropy of its being 1 px or more."""
    log_mean, odds = outputs[:, 0], outputs[:, 1]
    clipped = error.clamp(max=_LARGEST_ERROR_PX) + _SMALLEST_ERROR_PX
    wrong = (error >= RIGHT_PX).float()
    mean_score = (log_mean + clipped * torch.exp(-log_mean)).mean()
    return mean_score + nn.functional.binary_cross_entropy_with_logits(odds, wrong)


def _batches(count: int, settings: FitSettings) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Which examples, and which scenario each is shown in."""
    random = torch.Generator().manual_seed(settings.seed)
    shares = torch.tensor([scenario.share for scenario in SCENARIOS])
    for _ in range(settings.steps):
        chosen = torch.randint(0, count, (settings.batch,), generator=random)
        yield chosen, torch.multinomial(shares, settings.batch, replacement=True, generator=random)


def _shown(inputs: torch.Tensor, kind: torch.Tensor, hidden: torch.Tensor, kinds: int) -> torch.Tensor:
    """Inputs of a batch: evidence that is hidden becomes unknown, and the kind is added."""
    count = inputs.shape[1] // 2
    values, unknown = inputs[:, :count], inputs[:, count:]
    one_hot = nn.functional.one_hot(kind, kinds).float()
    return torch.cat([values * ~hidden, torch.maximum(unknown, hidden.float()), one_hot], dim=1)


def _hiding(kinds: Sequence[str], names: Sequence[str]) -> torch.Tensor:
    """True where a scenario hides a piece of evidence from a kind: (scenario, kind, evidence)."""
    return torch.tensor(
        [[[name in scenario.hidden_of(kind) for name in names] for kind in kinds] for scenario in SCENARIOS]
    )


def _scale(name: str, parts: Sequence[Examples]) -> InputScale:
    """The range and spread of what is known of a piece of evidence, over all kinds."""
    values = np.concatenate([part.evidence.get(name, np.full(len(part.error_px), np.nan)) for part in parts])
    logs = np.log(values[np.isfinite(values)] + SMALLEST_EVIDENCE)
    if len(logs) == 0:
        logs = np.zeros(1)
    low, high = np.quantile(logs, _TAILS)
    spread = max(float(logs.std()), SMALLEST_EVIDENCE)
    centre = float(logs.mean())
    low, high, centre, spread = (float(f"{value:.{_SIGNIFICANT}g}") for value in (low, high, centre, spread))
    return InputScale(name=name, doubt=name not in CONTEXT, low=low, high=high, centre=centre, spread=spread)


def _columns(part: Examples, scales: tuple[InputScale, ...]) -> Float[np.ndarray, "n inputs"]:
    unknown = np.full(len(part.error_px), np.nan, np.float32)
    scaled = [scale.apply(part.evidence.get(scale.name, unknown)) for scale in scales]
    return np.ascontiguousarray(input_rows(scaled, len(unknown)).T)


def _network(width: int, doubts: torch.Tensor, settings: FitSettings) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = nn.Sequential(
            nn.Linear(width, settings.hidden),
            nn.Softsign(),
            nn.Linear(settings.hidden, settings.hidden),
            nn.Softsign(),
            nn.Linear(settings.hidden, 2),
        )
        # Folding the random weights keeps their size; cutting the negative ones off would halve it.
        with torch.no_grad():
            first, *others = _linear(network)
            first.weight[:, doubts] = first.weight[:, doubts].abs()
            for module in others:
                module.weight.abs_()
            others[-1].bias.fill_(_START)
    return network


def _constrain(network: nn.Sequential, doubts: torch.Tensor) -> None:
    """No negative weight on the way of a reason for doubt."""
    with torch.no_grad():
        first, *others = _linear(network)
        first.weight[:, doubts] = first.weight[:, doubts].clamp(min=0)
        for module in others:
            module.weight.clamp_(min=0)


def _linear(network: nn.Sequential) -> list[nn.Linear]:
    return [module for module in network if isinstance(module, nn.Linear)]


def _layer(module: nn.Linear) -> Layer:
    return Layer(weights=_rounded(module.weight), bias=_rounded(module.bias))


def _rounded(values: torch.Tensor) -> Float[np.ndarray, "..."]:
    """Four significant digits: enough for a probability, and a short file."""
    array = values.detach().numpy()
    flat = [float(f"{value:.{_SIGNIFICANT}g}") for value in array.ravel()]
    return np.array(flat, np.float32).reshape(array.shape)
