"""The label study: every source on scenes with exact truth, and what each part of the fusion is worth. Prints JSON.

    python tests/perf/bm_label_study.py sources SCENE [--output DIR] --scratch DIR          a line a source and baseline
    python tests/perf/bm_label_study.py ablation SCENE --scratch DIR --tables hard1.npz ... a line a piece of evidence

SCENE is a scene with exact truth, a fit and pairs (recipe label_study). `ablation` needs the tables of evidence that
calibrate_labels.py gathered: it calibrates the fusion again without one piece of evidence (row `without`), and with one
piece alone (row `alone`: the confidence of a single signal for the same fused disparity).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from calibrate_labels import RIGHT_PX, Scene, open_scene, view_files

from gs_stereo.benchmarks.evaluate_labels import LabelledView, LabelProtocol, evaluate_labels
from gs_stereo.benchmarks.label_report import LabelReport
from gs_stereo.io.pairs import read_pair
from gs_stereo.io.reconstruction import load_summary
from gs_stereo.labels.calibrate import fit_variant
from gs_stereo.labels.evidence import EVIDENCE
from gs_stereo.labels.fusion import MATCHED, Judged, fused_label, judge, judged_probability, proposals
from gs_stereo.labels.sources import MULTIBASELINE, PHOTOS, SPLAT, LabelSources
from gs_stereo.labels.splat import rendered_evidence
from gs_stereo.labels.trust import TrustModel, load_trust
from gs_stereo.metrics.calibration import SparsificationMetrics
from gs_stereo.stages.label_jobs import LabelStageConfig, ask_matcher, fusion_rules, label_pair
from gs_stereo.stages.view_sources import read_view_sources
from gs_stereo.types import StereoLabel, StereoPair

REGIONS = ("all", "non_occluded", "edge", "thin", "glossy", "textureless")
Labeller = Callable[[LabelSources], StereoLabel]


def sources_of(scene: Scene, every: int, stack: bool) -> Iterator[LabelSources]:
    """Every pair of every n-th view with all that is known about it, sgbm included."""
    config = LabelStageConfig()
    for file, pairs in view_files(scene, config, every, stack=stack):
        views = read_view_sources(file)
        for item in pairs:
            pair = read_pair(scene.output / "pairs/default" / item.sample_id)
            matched = {"sgbm": ask_matcher("sgbm", pair, config)}
            yield LabelSources(pair=pair, views=views, matched=matched)


def without(sources: LabelSources, *names: str) -> LabelSources:
    """The sources less some of the view's or of the matchers."""
    return LabelSources(
        pair=sources.pair,
        views={name: view for name, view in sources.views.items() if name not in names},
        matched={name: match for name, match in sources.matched.items() if name not in names},
    )


def simple(expert: str) -> Labeller:
    config = LabelStageConfig(expert=expert)
    return lambda sources: label_pair(sources.pair, dict(sources.views), config)


def fused(*left_out: str) -> Labeller:
    rules = fusion_rules(LabelStageConfig())
    return lambda sources: fused_label(without(sources, *left_out), rules)


LABELLERS: dict[str, Labeller] = {
    "splat": simple("splat"),
    "sgbm": simple("sgbm"),
    "multibaseline": simple("multibaseline"),
    "fused": fused(MULTIBASELINE),
    "fused without photos": fused(MULTIBASELINE, PHOTOS),
    "fused without sgbm": fused(MULTIBASELINE, "sgbm"),
    "fused, splat alone": fused(MULTIBASELINE, PHOTOS, "sgbm"),
    "fused with multibaseline": fused(),
}


def labelled(pair: StereoPair, label: StereoLabel) -> LabelledView:
    return LabelledView(
        view_name=pair.view_id,
        intrinsics=pair.rig.left.intrinsics,
        baseline=pair.rig.baseline,
        disparity=label.disparity,
        confidence=label.confidence,
        flags=label.flags,
    )


def rows(name: str, report: LabelReport) -> Iterator[dict[str, Any]]:
    """A line for each baseline."""
    for scores in report.baselines:
        regions = {}
        for region in scores.regions:
            if region.region not in REGIONS or not region.disparity.pixels:
                continue
            values = region.to_json()
            kept = ("coverage", "epe_all_pixels", "bad_all_pixels", "ece_all_pixels", "ause_px")
            regions[region.region] = {key: values[key] for key in kept}
        yield {
            "scene": report.scene,
            "label": name,
            "baseline_m": scores.baseline_m,
            "views": scores.views,
            "occlusion_f1": scores.occlusion.f1_all_pixels,
            **regions,
        }


def study_sources(scene: Scene, every: int, names: list[str]) -> None:
    """Label with each source, and compare with the truth."""
    found: dict[str, list[LabelledView]] = {name: [] for name in names}
    for sources in sources_of(scene, every, stack=any("multibaseline" in name for name in names)):
        for name in names:
            found[name].append(labelled(sources.pair, LABELLERS[name](sources)))
    scale = load_summary(scene.output / "reconstruct").metres_per_unit
    for name, labels in found.items():
        for row in rows(name, evaluate_labels(labels, scene.truth, LabelProtocol(metres_per_unit=scale))):
            print(json.dumps(row), flush=True)


def model_of(tables: dict[str, np.ndarray], names: list[str]) -> TrustModel:
    """A trust model that knows these pieces of evidence only."""
    variants = []
    for kind in (PHOTOS, SPLAT, MATCHED):
        error = tables[f"{kind}.error_px"]
        known = np.isfinite(error)
        evidence = {name: tables[f"{kind}.{name}"][known] for name in names}
        variants.append(fit_variant(kind, evidence, error[known] < RIGHT_PX))
    return TrustModel(version=0, trained_on=(), variants=tuple(variants))


def confidence_by(trust: TrustModel, judged: Judged, sources: LabelSources) -> np.ndarray:
    """Another model's confidence in a disparity that was already chosen."""
    rules = fusion_rules(LabelStageConfig())
    rendered = rendered_evidence(sources.pair, rules.labels)
    answer = np.zeros(judged.disparity.shape)
    for index, proposal in enumerate(proposals(sources, rendered)):
        likely = judged_probability(proposal, sources, rendered, replace(rules, trust=trust))
        answer = np.where(judged.source == index, likely, answer)
    return answer


def study_ablation(scene: Scene, every: int, files: list[Path], ways: list[str]) -> None:
    """Without each piece of evidence, and with each alone. ways: which of the two, `alone` is quick."""
    parts = [dict(np.load(file, allow_pickle=False)) for file in files]
    tables = {name: np.concatenate([part[name] for part in parts]).astype(np.float64) for name in parts[0]}
    models = {"all": load_trust()}
    for name in EVIDENCE:
        if "without" in ways:
            models[f"without {name}"] = model_of(tables, [other for other in EVIDENCE if other != name])
        if "alone" in ways:
            models[f"alone {name}"] = model_of(tables, [name])
    rules = fusion_rules(LabelStageConfig())
    kept: dict[str, list[LabelledView]] = {name: [] for name in models if not name.startswith("alone")}
    ranking = {name: SparsificationMetrics() for name in models}
    for full in sources_of(scene, every, stack=False):
        sources = without(full, MULTIBASELINE)
        view = scene.truth.view(sources.pair.view_id)
        true = view.truth().disparity(view.camera.focal_px * sources.pair.rig.baseline)
        judged = judge(sources, rendered_evidence(sources.pair, rules.labels), rules)
        error = np.abs(judged.disparity - true)
        for name, model in models.items():
            ranking[name].update(confidence_by(model, judged, sources).ravel(), error.ravel())
            if name in kept:
                label = fused_label(sources, replace(rules, trust=model))
                kept[name].append(labelled(sources.pair, label))
    scale = load_summary(scene.output / "reconstruct").metres_per_unit
    for name in models:
        print(json.dumps({"evidence": name, "ause_px_before_dropping": ranking[name].compute().ause_px}), flush=True)
        if name in kept:
            for row in rows(name, evaluate_labels(kept[name], scene.truth, LabelProtocol(metres_per_unit=scale))):
                print(json.dumps(row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["sources", "ablation"])
    parser.add_argument("scene", type=Path)
    parser.add_argument("--output", type=Path, help="the scene's output folder, gsstereo/ in it by default")
    parser.add_argument("--scratch", type=Path, required=True, help="where the answers of the views are kept")
    parser.add_argument("--every", type=int, default=1, help="use every n-th view")
    parser.add_argument("--labels", nargs="+", default=list(LABELLERS), choices=list(LABELLERS))
    parser.add_argument("--tables", type=Path, nargs="+", default=[])
    parser.add_argument("--ways", nargs="+", default=["without", "alone"], choices=["without", "alone"])
    arguments = parser.parse_args()
    scene = open_scene(arguments.scene, arguments.output, arguments.scratch)
    if arguments.study == "sources":
        study_sources(scene, arguments.every, arguments.labels)
    else:
        study_ablation(scene, arguments.every, arguments.tables, arguments.ways)


if __name__ == "__main__":
    main()
