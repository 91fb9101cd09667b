"""Makes gs_stereo/labels/trust.yaml: gathers evidence and errors from sample scenes, and fits the trust model.

    gsstereo sample hard1 --hard --seed 1 && gsstereo run hard1 --config label_study   (and others)
    python tests/perf/calibrate_labels.py gather hard1 hard1.npz                       (once a scene)
    python tests/perf/calibrate_labels.py fit hard1.npz plain1.npz ... --out gs_stereo/labels/trust.yaml

A scene is a folder of `gsstereo sample` with fit and pairs. Never calibrate on a scene that is reported.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from gs_stereo.benchmarks.exact import ExactScene, load_exact_scene
from gs_stereo.io.pairs import read_pair, read_rig
from gs_stereo.labels.calibrate import fit_variant
from gs_stereo.labels.evidence import EVIDENCE, gather
from gs_stereo.labels.fusion import MATCHED, proposal_case, proposals
from gs_stereo.labels.sources import MULTIBASELINE, PHOTOS, SPLAT
from gs_stereo.labels.splat import rendered_evidence
from gs_stereo.labels.trust import TrustModel, load_trust, to_values
from gs_stereo.stages.label_jobs import LabelStageConfig, gather_sources
from gs_stereo.stages.render_pairs import PairDone, read_index
from gs_stereo.stages.view_sources import ViewAsks, ViewJob, nearest_pairs, offsets_of, read_view_sources, view_job

PIXELS_A_PAIR = 3000
PHOTO_EVIDENCE = ("photos_px", "photos_cost")
EXPERT_EVIDENCE = ("experts_px", "left_right_px")
RIGHT_PX = 1.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A scene with exact truth, its output folder, and where the answers of its views are kept."""

    truth: ExactScene
    output: Path
    scratch: Path

    @property
    def pairs(self) -> list[PairDone]:
        return read_index(self.output / "pairs/default")


def open_scene(folder: Path, output: Path | None, scratch: Path) -> Scene:
    return Scene(truth=load_exact_scene(folder), output=output or folder / "gsstereo", scratch=scratch)


def view_files(
    scene: Scene, config: LabelStageConfig, every: int, stack: bool
) -> Iterator[tuple[Path, list[PairDone]]]:
    """The file of every n-th view with the pairs of that view; made where missing."""
    by_view: dict[str, list[PairDone]] = {}
    for pair in scene.pairs:
        by_view.setdefault(pair.view_id, []).append(pair)
    folder = scene.output / "pairs/default"
    cameras = {folder / pairs[0].sample_id: read_rig(folder / pairs[0].sample_id).left for pairs in by_view.values()}
    widest = max(pair.measures["baseline"] for pair in scene.pairs)
    asks = ViewAsks(
        photos=config.fused.photo_count, stack_offsets=offsets_of([widest]) if stack else (), multiview=config.multiview
    )
    for pairs in list(by_view.values())[::every]:
        path = folder / pairs[0].sample_id
        file = scene.scratch / f"{pairs[0].sample_id}.npz"
        near = nearest_pairs(cameras, path, pairs[0].measures["left"]["median_depth"], config.fused.neighbours)
        if not file.exists():
            scene.scratch.mkdir(parents=True, exist_ok=True)
            view_job(
                ViewJob(pair_dir=path, neighbours=near, reconstruct_dir=scene.output / "reconstruct",
                        fit_dir=scene.output / "fit", file=file, asks=asks)
            )  # fmt: skip
        yield file, pairs


def gather_scene(scene: Scene, every: int) -> dict[str, np.ndarray]:
    """Evidence and error of random pixels: arrays `<kind>.<evidence>` and `<kind>.error_px`."""
    config, rng = LabelStageConfig(), np.random.default_rng(0)
    rows: dict[str, list[np.ndarray]] = {}
    for file, pairs in view_files(scene, config, every, stack=True):
        views = read_view_sources(file)
        for item in pairs:
            pair = read_pair(scene.output / "pairs/default" / item.sample_id)
            sources = gather_sources(pair, views, config)
            rendered = rendered_evidence(pair, config.rules)
            view = scene.truth.view(pair.view_id)
            true = view.truth().disparity(view.camera.focal_px * pair.rig.baseline)
            pixels = rng.integers(0, true.size, PIXELS_A_PAIR)
            for proposal in proposals(sources, rendered):
                evidence = gather(proposal_case(proposal, sources, rendered))
                columns = {**evidence, "error_px": np.abs(proposal.disparity - true)}
                for name, values in columns.items():
                    rows.setdefault(f"{proposal.kind}.{name}", []).append(values.ravel()[pixels].astype(np.float32))
        print(json.dumps({"view": pairs[0].view_id}), flush=True)
    return {name: np.concatenate(values) for name, values in rows.items()}


def fit_model(files: list[Path], version: int) -> TrustModel:
    """A variant for each kind and each set of sources that can be at hand."""
    tables = [dict(np.load(file, allow_pickle=False)) for file in files]
    table = {name: np.concatenate([t[name] for t in tables]).astype(np.float64) for name in tables[0]}
    variants = []
    for kind in (PHOTOS, MULTIBASELINE, SPLAT, MATCHED):
        for photos, experts in ((True, True), (True, False), (False, True), (False, False)):
            if (kind == PHOTOS and not photos) or (kind == MATCHED and not experts):
                continue
            left_out = (() if photos else PHOTO_EVIDENCE) + (() if experts else EXPERT_EVIDENCE)
            names = [name for name in EVIDENCE if name not in left_out]
            error = table[f"{kind}.error_px"]
            known = np.isfinite(error)
            evidence = {name: table[f"{kind}.{name}"][known] for name in names}
            variants.append(fit_variant(kind, evidence, error[known] < RIGHT_PX))
            print(json.dumps({"kind": kind, "evidence": names, "pixels": int(known.sum())}), flush=True)
    return TrustModel(version=version, trained_on=tuple(file.stem for file in files), variants=tuple(variants))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    collect = verbs.add_parser("gather")
    collect.add_argument("scene", type=Path)
    collect.add_argument("table", type=Path)
    collect.add_argument("--output", type=Path, help="the scene's output folder, gsstereo/ in it by default")
    collect.add_argument("--scratch", type=Path, required=True, help="where the answers of the views are kept")
    collect.add_argument("--every", type=int, default=1, help="use every n-th view")
    train = verbs.add_parser("fit")
    train.add_argument("tables", type=Path, nargs="+")
    train.add_argument("--out", type=Path, required=True)
    train.add_argument("--version", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.verb == "gather":
        scene = open_scene(arguments.scene, arguments.output, arguments.scratch)
        np.savez(arguments.table, **gather_scene(scene, arguments.every))
        return
    model = fit_model(arguments.tables, arguments.version)
    arguments.out.write_text(yaml.safe_dump(to_values(model), sort_keys=False, default_flow_style=None, width=120))
    load_trust(arguments.out)


if __name__ == "__main__":
    main()
