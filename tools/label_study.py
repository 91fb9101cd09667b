"""The label study: every source on scenes with exact truth, what each step of the fusion is worth, and each signal.

    python tools/label_study.py plain3 hard3 ROOM_A=OUTPUT --work DIR > study.md

DIR is the folder of calibrate_labels.py: its scenes and tables are used, and made where missing. A scene is plainN,
hardN, or a folder in the layout of `gsstereo sample` with its output folder (recipe label_study). Four tables of
Markdown: sources at every baseline; the fused label by class of place, also less the planes; how well each piece of
evidence alone sorts the fused label's errors; and the fusion less one step. Steps that are evidence are left out of the
model, which is fitted again. --json FILE keeps all numbers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from calibrate_labels import CALIBRATED_ON, examples_of
from fit_trust import FitSettings, Origin, fit_trust
from label_scenes import Scene, find_scene, label_settings, observations_of

from gs_stereo.benchmarks.evaluate_labels import LabelledView, LabelProtocol, evaluate_labels
from gs_stereo.core.atomic import write_text
from gs_stereo.labels.config import LabelSettings
from gs_stereo.labels.evidence import CONTEXT, EVIDENCE, Case, gather
from gs_stereo.labels.fused import FusedSource, FusionRules, fused_label
from gs_stereo.labels.matcher import MatcherSource
from gs_stereo.labels.observations import MULTIBASELINE, PHOTOS, SURFACES, Observations
from gs_stereo.labels.rendered import rendered_evidence
from gs_stereo.labels.sources import make_source
from gs_stereo.labels.trust import TrustModel, load_trust
from gs_stereo.metrics.calibration import SparsificationMetrics
from gs_stereo.types import UNSEEN_BY_RIGHT, StereoLabel

Labeller = Callable[[Observations], StereoLabel]
GROUPS = {
    "neighbouring views": ("views_px",),
    "sparse points": ("points_px",),
    "right eye's depth": ("eyes_px",),
    "ambiguity along the ray": ("skew_px", "spread_px", "see_through"),
    "agreement of the sources": ("splat_px", "photos_px", "experts_px"),
    "planes": ("surface_px", "surface_unsupported", "surface_spread_px", "hole"),
    "blankness": ("blank_px", "beside_thin"),
    "number and colours of the photos": ("photos_few", "colour_levels"),
    "left-right check": ("left_right_px",),
    "photometric cost": ("photos_cost",),
    "shape of the map": ("edge_px", "near_step", "rough_px", "bend_px", "off_median_px"),
    "disparity and texture": tuple(CONTEXT),
}
PLACE_STEPS = ("whole", "without the planes", "without the threshold")
REGION = "non_occluded"
PLACES = ("all", "plain", "textureless", "glossy", "thin", "edge")
SIGNAL_GROUPS = 200
STEP_BASELINE_M = 0.1
STEPS_OF_A_FIT = 3000


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is studied, and where scenes and tables are kept."""

    config: LabelSettings
    work: Path
    every: int
    table_every: int


@dataclass(kw_only=True)
class Signals:
    """Evidence and error of the fused label made by `rules`. blind_too: also pixels that only one eye sees."""

    rules: FusionRules
    blind_too: bool
    values: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, observations: Observations, true: np.ndarray) -> None:
        label = fused_label(observations, self.rules)
        rendered = rendered_evidence(observations.pair, self.rules.labels)
        blind = (label.flags & UNSEEN_BY_RIGHT) != 0
        case = Case(
            disparity=label.disparity.astype(np.float64), observations=observations, rendered=rendered, blind=blind
        )
        error = np.abs(label.disparity - true)
        there = np.isfinite(error) & (self.blind_too | ~blind)
        maps = gather(case) | {"error": error, "confidence": label.confidence / 255}
        for name, values in maps.items():
            self.values.setdefault(name, []).append(values[there].astype(np.float32))

    def ause_px(self) -> dict[str, float]:
        """AUSE of the confidence, and of each signal at its best: 200 groups in the order of their true error."""
        joined = {name: np.concatenate(parts) for name, parts in self.values.items()}
        error = joined.pop("error")
        found = {"confidence": _ause(joined.pop("confidence"), error)}
        return found | {name: _ause(_best_use(values, error), error) for name, values in joined.items()}


def _best_use(values: np.ndarray, error: np.ndarray) -> np.ndarray:
    """A confidence from one signal: the rank of its quantile group, unknown pixels being one more group."""
    known = np.isfinite(values)
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, SIGNAL_GROUPS)))
    group = np.where(known, np.searchsorted(edges, values), len(edges) + 1)
    count = np.bincount(group)
    mean = np.bincount(group, weights=error) / np.maximum(count, 1)
    return 1 - np.argsort(np.argsort(mean))[group] / 255


def _ause(confidence: np.ndarray, error: np.ndarray) -> float:
    metrics = SparsificationMetrics()
    metrics.update(confidence, error)
    return metrics.compute().ause_px


def without(observations: Observations, *names: str) -> Observations:
    """The sources less some of the view's; `matchers` stands for all matchers."""
    views = {name: view for name, view in observations.views.items() if name not in names}
    return replace(observations, views=views, matched={} if "matchers" in names else observations.matched)


def single(expert: str, config: LabelSettings, observations: Observations) -> StereoLabel:
    source = make_source(config.model_copy(update={"expert": expert}))
    if isinstance(source, MatcherSource):
        return source.label_matched(observations.pair, observations.matched[expert])
    return source.label(observations.pair, observations.views)


def fused(rules: FusionRules, left_out: tuple[str, ...], observations: Observations) -> StereoLabel:
    return fused_label(without(observations, *left_out), rules)


def source_labellers(config: LabelSettings) -> dict[str, Labeller]:
    rules = FusedSource(config).rules()
    experts = ("splat", *FusedSource(config).matchers, MULTIBASELINE)
    labellers: dict[str, Labeller] = {expert: partial(single, expert, config) for expert in experts}
    labellers["fused"] = partial(fused, rules, (MULTIBASELINE,))
    labellers["fused with multibaseline"] = partial(fused, rules, ())
    return labellers


def step_labellers(study: Study, again: bool = True) -> Iterator[tuple[str, Labeller]]:
    """The fusion whole, and less one step. again: also with models fitted again to less evidence."""
    rules, stack = FusedSource(study.config).rules(), (MULTIBASELINE,)

    def changed(**values: float) -> FusionRules:
        return replace(rules, fusion=rules.fusion.model_copy(update=values))

    yield "whole", partial(fused, rules, stack)
    yield "without the photos", partial(fused, rules, (*stack, PHOTOS))
    yield "without the matchers", partial(fused, rules, (*stack, "matchers"))
    yield "without the planes", partial(fused, rules, (*stack, SURFACES))
    yield "without the choice (first source that answers)", partial(fused, changed(switch_margin=2.0), stack)
    yield "without the scale check", partial(fused, changed(max_scale_px=1e9), stack)
    yield "without the threshold", partial(fused, changed(min_confidence=0.0), stack)
    if not again:
        return
    fitted = replace(rules, trust=model_without(study, "nothing", ()))
    yield "whole, fitted as the rows below", partial(fused, fitted, stack)
    for name, evidence in GROUPS.items():
        trust = model_without(study, name, evidence)
        yield f"without {name}", partial(fused, replace(rules, trust=trust), stack)


def model_without(study: Study, name: str, evidence: tuple[str, ...]) -> TrustModel:
    """The model fitted again without some evidence, to the scenes of the shipped one."""
    scenes = [find_scene(scene, study.work) for scene in CALIBRATED_ON]
    examples = [part for s in scenes for part in examples_of(s, study.config, study.table_every, study.work)]
    kept = tuple(other for other in EVIDENCE if other not in evidence)
    origin = Origin(version=0, scenes=(name,), experts=FusedSource(study.config).matchers)
    return fit_trust(examples, origin, FitSettings(evidence=kept, steps=STEPS_OF_A_FIT))


def labelled(observations: Observations, label: StereoLabel) -> LabelledView:
    pair = observations.pair
    return LabelledView(
        view_name=pair.view_id,
        intrinsics=pair.rig.left.intrinsics,
        baseline=pair.rig.baseline,
        disparity=label.disparity,
        confidence=label.confidence,
        flags=label.flags,
    )


def rows(scene: Scene, name: str, labels: list[LabelledView], regions: Container[str]) -> Iterator[dict[str, Any]]:
    """A line for each baseline and region."""
    report = evaluate_labels(labels, scene.truth, LabelProtocol(metres_per_unit=scene.metres_per_unit))
    for scores in report.baselines:
        for values in (region.to_json() for region in scores.regions if region.region in regions):
            kept = ("region", "coverage", "epe_all_pixels", "bad_all_pixels", "ece_all_pixels", "ause_px")
            yield {"scene": scene.name, "label": name, "baseline_m": scores.baseline_m, "views": scores.views} | {
                "occlusion_f1": scores.occlusion.f1_all_pixels,
                **{key: values[key] for key in kept},
            }


def study_scene(
    scene: Scene,
    study: Study,
    labellers: dict[str, Labeller],
    only_m: float | None,
    regions: Container[str] = (REGION,),
) -> list[dict[str, Any]]:
    """Label with each, and compare with the truth. only_m: one baseline, None = all."""
    found: dict[str, list[LabelledView]] = {name: [] for name in labellers}
    for observations in observations_of(scene, study.config, study.every):
        if only_m is None or abs(observations.pair.rig.baseline * (scene.metres_per_unit or 1) - only_m) < 1e-6:
            for name, labeller in labellers.items():
                found[name].append(labelled(observations, labeller(observations)))
    return [row for name, labels in found.items() for row in rows(scene, name, labels, regions)]


def study_signals(scene: Scene, study: Study) -> dict[str, dict[str, float]]:
    """Over the labelled pixels that both eyes see, and over all pixels before any is dropped."""
    rules = FusedSource(study.config).rules()
    undropped = replace(rules, fusion=rules.fusion.model_copy(update={"min_confidence": 0.0}))
    columns = {
        f"{scene.name}, labelled": Signals(rules=rules, blind_too=False),
        f"{scene.name}, all": Signals(rules=undropped, blind_too=True),
    }
    for observations in observations_of(scene, study.config, study.every):
        if abs(observations.pair.rig.baseline * (scene.metres_per_unit or 1) - STEP_BASELINE_M) < 1e-6:
            for signals in columns.values():
                signals.add(without(observations, MULTIBASELINE), scene.true_disparity(observations))
    return {name: signals.ause_px() for name, signals in columns.items()}


def table(lines: list[dict[str, Any]]) -> str:
    head = "| scene | label | baseline | views | coverage | EPE | bad-0.5 | bad-1 | bad-2 | ECE | AUSE |"
    text = [head, "|---|---|" + "---|" * 9]
    for line in lines:
        bad = " | ".join(f"{100 * line['bad_all_pixels'][limit]:.2f} %" for limit in ("0.5", "1", "2"))
        text.append(
            f"| {line['scene']} | {line['label']} | {line['baseline_m']:.2f} m | {line['views']} "
            f"| {100 * line['coverage']:.1f} % | {line['epe_all_pixels']:.3f} px | {bad} "
            f"| {line['ece_all_pixels']:.3f} | {line['ause_px']:.4f} |"
        )
    return "\n".join(text)


def place_table(lines: list[dict[str, Any]]) -> str:
    text = ["| scene | label | place | coverage | EPE | bad-1 | ECE | hidden F1 |", "|---|---|---|" + "---|" * 5]
    for line in lines:
        hidden = f"{line['occlusion_f1']:.2f}" if line["region"] == "all" else ""
        text.append(
            f"| {line['scene']} | {line['label']} | {line['region']} | {100 * line['coverage']:.1f} % "
            f"| {line['epe_all_pixels']:.3f} px | {100 * line['bad_all_pixels']['1']:.2f} % "
            f"| {line['ece_all_pixels']:.3f} | {hidden} |"
        )
    return "\n".join(text)


def signal_table(found: dict[str, dict[str, float]]) -> str:
    names = sorted(next(iter(found.values())), key=lambda name: next(iter(found.values()))[name])
    text = [f"| AUSE px | {' | '.join(found)} |", "|---|" + "---|" * len(found)]
    text += [f"| {name} | {' | '.join(f'{one[name]:.4f}' for one in found.values())} |" for name in names]
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="+", help="plainN, hardN, FOLDER or FOLDER=OUTPUT")
    parser.add_argument("--work", type=Path, required=True, help="the folder of calibrate_labels.py")
    parser.add_argument("--every", type=int, default=5, help="use every n-th view")
    parser.add_argument("--table-every", type=int, default=6, help="--every of the calibration")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="as of `gsstereo label`")
    parser.add_argument("--parts", nargs="+", default=["sources", "places", "steps", "signals"])
    parser.add_argument("--json", type=Path, help="file for all numbers")
    arguments = parser.parse_args()
    study = Study(
        config=label_settings(arguments.set),
        work=arguments.work,
        every=arguments.every,
        table_every=arguments.table_every,
    )
    scenes = [find_scene(name, arguments.work) for name in arguments.scenes]
    values: dict[str, Any] = {"trust_version": load_trust().version, "experts": FusedSource(study.config).matchers}
    if "sources" in arguments.parts:
        labellers = source_labellers(study.config)
        values["sources"] = [row for scene in scenes for row in study_scene(scene, study, labellers, None)]
        print(table(values["sources"]), end="\n\n", flush=True)
    if "places" in arguments.parts:
        labellers = {name: one for name, one in step_labellers(study, again=False) if name in PLACE_STEPS}
        values["places"] = [
            row for scene in scenes for row in study_scene(scene, study, labellers, STEP_BASELINE_M, PLACES)
        ]
        print(place_table(values["places"]), end="\n\n", flush=True)
    if "signals" in arguments.parts:
        values["signals"] = {name: one for scene in scenes for name, one in study_signals(scene, study).items()}
        print(signal_table(values["signals"]), end="\n\n", flush=True)
    if "steps" in arguments.parts:
        steps = dict(step_labellers(study))
        values["steps"] = [row for scene in scenes for row in study_scene(scene, study, steps, STEP_BASELINE_M)]
        print(table(values["steps"]), flush=True)
    if arguments.json:
        write_text(arguments.json, json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
