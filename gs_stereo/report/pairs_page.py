"""A set of pairs without labels -> a page to look at: both eyes, flicker, anaglyph, their parallax, the truth."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gs_stereo.core.markup import Markup, el
from gs_stereo.datasets.schema import ShardSample, sample_of
from gs_stereo.geometry.disparity import disparity_from_depth
from gs_stereo.io.pair_index import PairEntry, read_pair_index
from gs_stereo.io.pairs import read_pair
from gs_stereo.io.reconstruction import load_summary
from gs_stereo.log import progress
from gs_stereo.pipeline.manifest import PublishedFolder, read_manifest
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.report.collect import true_eyes
from gs_stereo.report.config import ReportConfig
from gs_stereo.report.facts import ShownSample
from gs_stereo.report.gather import lineage, shown_sample, with_truth
from gs_stereo.report.generated import GeneratedEyes
from gs_stereo.report.markup import section
from gs_stereo.report.origin_section import cost_section
from gs_stereo.report.page import html_page
from gs_stereo.report.samples_section import viewer
from gs_stereo.stages import reconstruct
from gs_stereo.stages.render_pairs import pairs_folder
from gs_stereo.synthesis.parallax import parallax
from gs_stereo.types import StereoImages, StereoLabel, StereoPair

_MOST_SHOWN = 24
_MOST_MATCHED_PX = 768


def pairs_page(paths: ScenePaths, config: ReportConfig, name: str) -> str:
    """The page of the set of pairs `name`; InputError if it is not there or broken."""
    folder = paths.published(pairs_folder(name))
    entries = read_pair_index(folder)
    stages = lineage(paths, pairs_folder(name))
    generated = GeneratedEyes.of(
        next((e.measures["generated"] for e in entries if "generated" in e.measures), None), stages
    )
    current = read_manifest(paths.published(reconstruct.FOLDER))
    capture = current and PublishedFolder(path=paths.published(reconstruct.FOLDER), fingerprint=current.fingerprint)
    own_frame = generated is not None and not generated.in_capture
    metres = load_summary(capture.path).metres_per_unit if capture and not own_frame else None
    truth_of = true_eyes(paths, config, generated, capture or None)
    side_px = int((generated.maker.get("settings", {}) if generated else {}).get("side_px") or _MOST_MATCHED_PX)
    shown, rendered = [], True
    with progress("report", len(chosen := _spread(entries)), "pair") as bar:
        for entry in chosen:
            pair = read_pair(folder / entry.sample_id)
            rendered &= isinstance(pair, StereoPair)
            sample = sample_of(pair, _disparity(pair, side_px))
            picture = replace(shown_sample(sample, "", _notes(sample, entry), metres or 1.0), confidence=None)
            shown.append(picture if generated is None else with_truth(picture, sample, generated, truth_of(sample)))
            bar.advance()
    intro = [
        generated.text if generated else "",
        f"{len(shown)} of {len(entries)} pairs.",
        "Flicker alternates left and right: everything should move sideways only, near things most.",
        "Their disparity is that of the rendered depth."
        if rendered
        else "Their disparity is what SGBM matches in both directions.",
    ]
    return html_page(
        paths.name,
        f"{paths.name}: pairs {name}",
        (f"Rectified stereo pairs {name}, to look at; gsstereo label --pairs {name} labels them.",),
        (
            ("Pairs", "pairs", _section(shown, intro, "m" if metres else "units")),
            ("Cost", "cost", cost_section(stages)),
        ),
    )


def _section(shown: Sequence[ShownSample], intro: list[str], unit: str) -> Markup:
    if any(sample.truth for sample in shown):
        intro.append("Truth alternates the generated eye and what the fitted scene shows from there.")
    viewers = [viewer(sample, number, unit) for number, sample in enumerate(shown)]
    return section(
        "Look at pairs", "pairs", el("p", " ".join(intro), class_="quiet"), el("div", viewers, class_="viewers")
    )


def _spread(entries: Sequence[PairEntry]) -> list[PairEntry]:
    places = np.unique(np.linspace(0, len(entries) - 1, min(_MOST_SHOWN, len(entries))).astype(int))
    return [entries[place] for place in places]


def _disparity(pair: StereoImages, side_px: int) -> StereoLabel:
    """Of the rendered depth; of a generated eye by matching at about the size that its maker works at."""
    if isinstance(pair, StereoPair):
        disparity = disparity_from_depth(pair.left_depth.median, pair.rig.focal_times_baseline)
    else:
        disparity = parallax(pair.left, pair.right, side_px)
    zeros = np.zeros(disparity.shape, np.uint16)
    return StereoLabel(disparity=disparity, confidence=zeros.astype(np.uint8), flags=zeros)


def _notes(sample: ShardSample, entry: PairEntry) -> tuple[tuple[str, str], ...]:
    known = np.isfinite(sample.disparity)
    median = f"{np.median(sample.disparity[known]):.1f} px" if known.any() else "none"
    made_at = entry.measures.get("generated_at")
    notes = (
        ("size", f"{sample.left.shape[1]}x{sample.left.shape[0]} px"),
        ("baseline", f"{sample.baseline:.4g}"),
        ("median disparity", median),
        ("pixels with disparity", f"{known.mean():.0%}"),
    )
    return notes if made_at is None else (*notes, ("given to the model", f"{made_at:.4g}"))
