"""Synthesizers by their names on data, from settings to a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from gs_stereo.datasets.layouts.pair_files import PairSource
from gs_stereo.datasets.samples import DatasetSamples
from gs_stereo.errors import ConfigError
from gs_stereo.imaging.images import write_png
from gs_stereo.log import progress
from gs_stereo.matching.experts import make_matcher
from gs_stereo.synthesis.cached import CachedSynthesizer
from gs_stereo.synthesis.evaluate_pairs import Contestant, PairMade, evaluate_pairs
from gs_stereo.synthesis.evaluate_stacks import StackView, evaluate_stacks, stack_count
from gs_stereo.synthesis.evaluation_config import EvaluateSynthesisConfig
from gs_stereo.synthesis.judges.learned import LearnedJudge
from gs_stereo.synthesis.model_files import is_own_model
from gs_stereo.synthesis.pair_report import PairReport, PairRow
from gs_stereo.synthesis.pictures import comparison_picture
from gs_stereo.synthesis.protocol import SYNTHESIZERS, Synthesizer, SynthesizerSettings
from gs_stereo.synthesis.stack_report import Row, StackReport


def compare_on_stacks(
    samples: DatasetSamples,
    names: Sequence[str],
    config: EvaluateSynthesisConfig,
    seed: int,
    *,
    pictures: Path | None = None,
) -> StackReport:
    """Every synthesizer on every view of the stacks, `copy` first; pictures of the largest baselines to `pictures`."""
    rows = {title: row.synthesizer for title, row in open_rows(names, config).items()}
    with progress("evaluate-synthesis", stack_count(samples, config), "view") as bar:

        def observe(view: StackView, made: Mapping[str, np.ndarray]) -> None:
            if pictures is None or view.range_share < 1:
                return
            left = next(iter(view.baselines.values())) < 0
            picture = comparison_picture(view.truth.source, view.truth.target, made, to_the_left=left)
            write_png(pictures / f"{view.name.replace(' ', '_').replace('>', '_')}.png", picture)

        scores = evaluate_stacks(samples, rows, config, seed, advance=bar.advance, observe=observe)
    return StackReport(
        data=f"{samples.info.scene} {samples.info.split}",
        stacks=min(len(samples), config.limit or len(samples)),
        rows=tuple(
            Row(title=title, provenance=each.provenance, oracle=each.needs_depth, views=scores[title])
            for title, each in rows.items()
        ),
        settings={**config.model_dump(mode="json"), "seed": seed},
    )


def compare_on_pairs(
    benchmark: str,
    pairs: Sequence[PairSource],
    names: Sequence[str],
    config: EvaluateSynthesisConfig,
    seed: int,
    *,
    pictures: Path | None = None,
) -> PairReport:
    """Every synthesizer on rectified pairs, `copy` first; pictures of all pairs to `pictures`."""
    rows, matcher = open_rows(names, config), make_matcher(config.matcher, config.experts)
    chosen = pairs[: config.limit]
    learned = [config_of for config_of in (config.isqoe, config.met3r) if config_of is not None]
    with ExitStack() as stack:
        bar = stack.enter_context(progress(f"evaluate-synthesis on {benchmark}", len(chosen), "pair"))
        judges = {each.title: stack.enter_context(LearnedJudge(each)) for each in learned}

        def observe(shown: PairMade) -> None:
            if pictures is not None:
                picture = comparison_picture(shown.left, shown.right, shown.made, to_the_left=False)
                write_png(pictures / f"{shown.name.replace('/', '_')}.png", picture)

        scores = evaluate_pairs(
            chosen, rows, config, seed, matcher=matcher, judges=judges, advance=bar.advance, observe=observe
        )
    return PairReport(
        benchmark=benchmark,
        matcher=matcher.provenance,
        rows=tuple(
            PairRow(
                title=title,
                provenance=row.synthesizer.provenance,
                oracle=row.synthesizer.needs_depth and config.depth == "exact",
                pairs=scores[title],
            )
            for title, row in rows.items()
        ),
        settings={**config.model_dump(mode="json"), "seed": seed},
        judges={each.title: f"{each.how}; licence: {each.licence}" for each in learned},
    )


def open_rows(names: Sequence[str], config: EvaluateSynthesisConfig) -> dict[str, Contestant]:
    """A synthesizer a row of the table, by the row's title: those with a sampler once for every number of steps."""
    rows: dict[str, Contestant] = {}
    for name in ["copy", *(each for each in names if each != "copy")]:
        first = open_synthesizer(name, config, None)
        wanted: Sequence[int | None] = [None]
        if first.steps is not None:
            wanted = sorted(set(config.steps or (1, first.steps)))
        opened = [first if n in (None, first.steps) else open_synthesizer(name, config, n) for n in wanted]
        for each in {one.steps: one for one in opened}.values():  # some have a least number of steps
            steps, fast = each.steps, each
            if steps is not None and steps > config.search.steps:
                fast = open_synthesizer(name, config, config.search.steps)
            title = each.title if steps is None else f"{each.title}, {steps} step{'s' if steps > 1 else ''}"
            if title in rows:
                raise ConfigError(f"Two synthesizers are called {title!r}; leave one out, or rename its folder.")
            rows[title] = Contestant(synthesizer=each, fast=fast)
    return rows


def open_synthesizer(name: str, config: EvaluateSynthesisConfig, steps: int | None) -> Synthesizer:
    """By its name, `NAME=FOLDER` or the folder of its weights.

    PluginError if there is none of that name, ConfigError if it lacks weights, InputError if those are broken.
    """
    known, _, folder = name.rpartition("=")
    weights = Path(folder).expanduser() if known or Path(name).is_dir() else None
    if not known:
        known = name if weights is None else "stereospace-small" if is_own_model(weights) else "stereospace"
    settings = SynthesizerSettings(
        weights=weights, steps=steps, guidance=config.guidance, device=config.device, precision=config.precision
    )
    opened = SYNTHESIZERS.load(known)(settings)
    if config.cache is None or opened.steps is None:
        return opened
    return CachedSynthesizer(opened, config.cache)
