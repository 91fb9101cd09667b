"""Makes gs_stereo/labels/trust.yaml in one go: sample scenes, evidence and exact errors, fit, test on other scenes.

    python tools/calibrate_labels.py --work DIR --version N
    python tools/calibrate_labels.py --work DIR --version N --set "fused.experts=[sgbm,checkpoint]" \
        --set experts.checkpoint.checkpoint=RUN                                             other matchers

Scenes, evidence and answers stay in DIR: a second run makes only what is missing. Prints a line a held-out scene, kind
of source and set of sources at hand. Never calibrate on a scene that is reported.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fit_trust import KINDS, SCENARIOS, Examples, FitSettings, Origin, fit_trust
from label_scenes import Scene, find_scene, label_settings, observations_of

from gs_stereo.core.atomic import atomic_path
from gs_stereo.labels.config import TRUST_MODEL_FILE, LabelSettings
from gs_stereo.labels.evidence import gather
from gs_stereo.labels.fused import FusedSource, proposals
from gs_stereo.labels.judgement import case_of
from gs_stereo.labels.rendered import rendered_evidence
from gs_stereo.labels.trust import TrustModel, load_trust, to_values
from gs_stereo.metrics.calibration import ReliabilityMetrics, SparsificationMetrics

PIXELS_A_PAIR = 4000
CALIBRATED_ON = ("plain1", "plain2", "hard0", "small2", "small3", "small4", "hard1")
HELD_OUT = ("plain3", "hard7")


def gather_scene(scene: Scene, config: LabelSettings, every: int) -> dict[str, np.ndarray]:
    """Evidence and error of random pixels: arrays `<kind>.<evidence>` and `<kind>.error_px`."""
    rng = np.random.default_rng(0)
    rows: dict[str, list[np.ndarray]] = {}
    for observations in observations_of(scene, config, every):
        rendered = rendered_evidence(observations.pair, config.rules)
        true = scene.true_disparity(observations)
        pixels = rng.integers(0, true.size, PIXELS_A_PAIR)
        for proposal in proposals(observations, rendered):
            evidence = gather(case_of(proposal, observations, rendered))
            columns = {**evidence, "error_px": np.abs(proposal.disparity - true)}
            for name, values in columns.items():
                rows.setdefault(f"{proposal.kind}.{name}", []).append(values.ravel()[pixels].astype(np.float32))
    return {name: np.concatenate(values) for name, values in rows.items()}


def examples_of(scene: Scene, config: LabelSettings, every: int, work: Path) -> list[Examples]:
    """A scene's examples, one set a kind of source; gathered once for each list of matchers."""
    file = work / "tables" / f"{scene.name}_{'_'.join(config.fused.experts)}_{every}.npz"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **gather_scene(scene, config, every))
    with np.load(file, allow_pickle=False) as table:
        return [_of_kind(kind, table) for kind in KINDS if f"{kind}.error_px" in table]


def _of_kind(kind: str, table: Any) -> Examples:
    prefix = f"{kind}."
    columns = {name.removeprefix(prefix): table[name] for name in table if name.startswith(prefix)}
    error = columns.pop("error_px")
    return Examples(kind=kind, evidence=columns, error_px=error).known()


def scores(model: TrustModel, scene: str, examples: list[Examples]) -> Iterator[dict[str, Any]]:
    """How well the model knows the errors of a scene, a line a kind and a set of sources at hand."""
    for part in examples:
        for scenario in SCENARIOS:
            hidden = scenario.hidden_of(part.kind)
            seen = {name: values for name, values in part.evidence.items() if name not in hidden}
            judged = model.judge(part.kind, seen)
            reliability, sparsification = ReliabilityMetrics(), SparsificationMetrics()
            reliability.update(judged.confidence, part.error_px < 1)
            sparsification.update(judged.confidence, part.error_px)
            yield {
                "scene": scene,
                "kind": part.kind,
                "sources": scenario.name,
                "pixels": len(part.error_px),
                "bad_1": round(float((part.error_px >= 1).mean()), 4),
                "ece": round(reliability.compute().ece_all_pixels, 4),
                "ause_px": round(sparsification.compute().ause_px, 4),
                "confidence": round(float(judged.confidence.mean()), 4),
            }


def write_model(model: TrustModel, file: Path) -> None:
    """The model as YAML, checked by reading it."""
    with atomic_path(file) as temporary:
        temporary.write_text(yaml.safe_dump(to_values(model), sort_keys=False, default_flow_style=None, width=120))
    load_trust(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where scenes, evidence and answers are kept")
    parser.add_argument("--version", type=int, required=True, help="one more than that of the shipped model")
    parser.add_argument(
        "--scenes", nargs="+", default=list(CALIBRATED_ON), help="plainN, hardN or smallN: kind and seed"
    )
    parser.add_argument("--held-out", nargs="*", default=list(HELD_OUT), help="scenes to test on")
    parser.add_argument("--every", type=int, default=6, help="use every n-th view")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="as of `gsstereo label`")
    parser.add_argument("--out", type=Path, default=TRUST_MODEL_FILE)
    arguments = parser.parse_args()
    config = label_settings(arguments.set)
    tables = {}
    for name in dict.fromkeys([*arguments.scenes, *arguments.held_out]):
        tables[name] = examples_of(find_scene(name, arguments.work), config, arguments.every, arguments.work)
    examples = [part for name in arguments.scenes for part in tables[name]]
    origin = Origin(version=arguments.version, scenes=tuple(arguments.scenes), experts=FusedSource(config).matchers)
    model = fit_trust(examples, origin, FitSettings())
    write_model(model, arguments.out)
    for name in arguments.held_out:
        for line in scores(model, name, tables[name]):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
