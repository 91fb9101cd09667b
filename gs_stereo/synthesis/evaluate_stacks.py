"""Synthesizers on rectified stacks with exact depth: every view is made out of every other, and judged by the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from gs_stereo.core.hashing import unit_seed
from gs_stereo.datasets.samples import DatasetSamples
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.errors import InputError
from gs_stereo.synthesis.evaluation_config import EvaluateSynthesisConfig
from gs_stereo.synthesis.framing import whole_framing
from gs_stereo.synthesis.judges.geometric import GeometryScores, TrueView, judge
from gs_stereo.synthesis.protocol import SourceView, Synthesizer, Unit
from gs_stereo.synthesis.stacks import median_depth, views_of

_MUCH_LARGER = 1.25
"""At 128x80, 1.26 times its own side, a small model moved things by 0.8 of what it should."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StackView:
    """One view to be made out of another. baselines: by unit. range_share: |B| as a share of the stack's largest."""

    name: str
    sources: Mapping[Unit, SourceView]
    baselines: Mapping[Unit, float]
    range_share: float
    truth: TrueView


@dataclass(frozen=True, kw_only=True)
class ViewScores:
    """A judged view."""

    view: str
    seed: int
    range_share: float
    baseline: float
    scores: GeometryScores

    @property
    def more(self) -> Mapping[str, float]:
        return {}


Observer = Callable[[StackView, Mapping[str, np.ndarray]], None]


def evaluate_stacks(
    samples: DatasetSamples,
    synthesizers: Mapping[str, Synthesizer],
    config: EvaluateSynthesisConfig,
    seed: int,
    *,
    advance: Callable[[], None] = lambda: None,
    observe: Observer = lambda view, made: None,
) -> Mapping[str, tuple[ViewScores, ...]]:
    """Scores of every synthesizer by its row's name, those of `copy` among them.

    A synthesizer without a sampler is asked once, others once a seed. `observe` sees each view with what the first seed
    made. InputError if the data set has no stacks with depth or no scale where a synthesizer wants metres.
    """
    units = {each.unit for each in synthesizers.values()}
    found: dict[str, list[ViewScores]] = {name: [] for name in synthesizers}
    for number in range(min(len(samples), config.limit or len(samples))):
        for view in stack_views(samples, number, units, config.targets, seed):
            made: dict[str, np.ndarray] = {}
            for name, synthesizer in synthesizers.items():
                unit = synthesizer.unit
                for turn in range(1 if synthesizer.steps is None else config.seeds):
                    own = unit_seed(seed, f"{view.name} {turn}")
                    image = made_at_its_size(synthesizer, view.sources[unit], view.baselines[unit], own)
                    made.setdefault(name, image)
                    found[name].append(
                        ViewScores(
                            view=view.name,
                            seed=turn,
                            range_share=view.range_share,
                            baseline=view.baselines[unit],
                            scores=judge(view.truth, image),
                        )
                    )
            observe(view, made)
            advance()
    return {name: tuple(scores) for name, scores in found.items()}


def made_at_its_size(
    synthesizer: Synthesizer, source: SourceView, baseline: float, seed: int
) -> UInt8[np.ndarray, "h w 3"]:
    """What it makes of a source, at the source's size.

    A much larger one is shown to it at the size it works at, and one whose sides it cannot take is padded. What needs
    depth is shown every source at its own size.
    """
    height, width = source.image.shape[:2]
    own_side = (width * height) ** 0.5
    side, rows = synthesizer.side_px or own_side, synthesizer.rows_px or height
    if synthesizer.needs_depth or max(own_side / side, height / rows) <= _MUCH_LARGER:
        side, rows = own_side, height
    framing = whole_framing((width, height), side, synthesizer.multiple_px, rows)
    if framing.model_wh == (width, height):
        return synthesizer.synthesize(source, baseline, seed).image
    framed = SourceView(
        image=framing.picture(source.image),
        intrinsics=framing.intrinsics(source.intrinsics),
        depth=None if source.depth is None else framing.surface(source.depth),
    )
    return framing.back(synthesizer.synthesize(framed, baseline, seed).image)


def stack_views(
    samples: DatasetSamples, number: int, units: set[Unit], most_targets: int | None, seed: int
) -> Iterator[StackView]:
    """Every view of a stack out of every other, and out of itself: the baseline is 0 and the source is the truth."""
    sample = samples.read(number)
    images = _images(sample, samples)
    views = {unit: views_of(sample, _metres(samples) if unit == "metres" else None) for unit in units}
    for source in range(len(images)):
        offsets = next(iter(views.values())).offsets
        whole, moved = np.ptp(offsets), np.abs(offsets - offsets[source])
        lengths = {unit: 1.0 if unit == "metres" else median_depth(v, source) for unit, v in views.items()}
        sources = {
            unit: SourceView(
                image=np.ascontiguousarray(images[source]),
                intrinsics=v.intrinsics,
                depth=v.depth[source].astype(np.float64) / lengths[unit],
            )
            for unit, v in views.items()
        }
        for target in _targets(moved, source, most_targets, unit_seed(seed, f"{sample.sample_id} {source}")):
            any_views = next(iter(views.values()))
            shift = float(any_views.intrinsics[0, 0] * (offsets[target] - offsets[source]))
            disparity = shift / any_views.depth[source].astype(np.float64)
            yield StackView(
                name=f"{sample.sample_id} {source}>{target}",
                sources=sources,
                baselines={u: float((v.offsets[target] - v.offsets[source]) / lengths[u]) for u, v in views.items()},
                range_share=float(moved[target] / whole),
                truth=TrueView.of(images[source], images[target], disparity),
            )


def stack_count(samples: DatasetSamples, config: EvaluateSynthesisConfig) -> int:
    """How many views will be made of each synthesizer and seed."""
    views = len(_images(samples.read(0), samples))
    targets = views if config.targets is None else min(views, config.targets + 1)
    return min(len(samples), config.limit or len(samples)) * views * targets


def _targets(moved: np.ndarray, source: int, most: int | None, seed: int) -> Sequence[int]:
    """The source itself, the farthest view, and others at random."""
    others = [n for n in range(len(moved)) if n != source]
    farthest = int(np.argmax(moved))
    rest = np.random.default_rng(seed).permutation([n for n in others if n != farthest]).tolist()
    return sorted([source, farthest, *(rest if most is None else rest[: most - 1])])


def _images(sample: ShardSample, samples: DatasetSamples) -> np.ndarray:
    if sample.views is None or sample.view_depth is None:
        raise InputError(
            f"{samples.info.scene} has no stacks with depth; make some with sample-pairs --set pairs.stack_views=7, or "
            "name a benchmark of pairs with --benchmark."
        )
    return sample.views


def _metres(samples: DatasetSamples) -> float:
    metres: float | None = samples.info.metres_per_unit
    if metres is None:
        raise InputError(
            f"The scale of {samples.info.scene} is unknown, and the published weights take baselines in metres; "
            "leave stereospace out, or take a data set in metres."
        )
    return metres
