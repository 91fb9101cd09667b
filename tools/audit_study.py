"""Do audits tell the truth? Captures whose truth is known are fitted, labelled and audited, and the two compared.

    python tools/audit_study.py plain5 hard4 wild1 ROOM_A+half WILD=ROOM_A+half plain5+turned --work DIR --seeds 0 1

A capture is named as `audit_captures` says. Each is one fit, pairs and labels (baseline 0.1 m, `fused` with sgbm), and
an audit for each seed, by the command line in child processes. What is done is not done again: one JSON file a capture
and seed. At the end a table of all that is in DIR in Markdown, or with --json all figures. The truth is what
`evaluate-labels` says of pixels that both eyes see. `kept` is what `label --guarantee "bad1<=1%"` keeps.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from audit_captures import SPOILS, Capture, write_capture
from pydantic import Field

from gs_stereo.audit.scores import REPORT_FILE, AuditReport, Figure
from gs_stereo.benchmarks.evaluate_labels import LabelledView, evaluate_labels
from gs_stereo.benchmarks.exact import load_exact_scene
from gs_stereo.core.records import Measured, Record, read_record, write_record
from gs_stereo.datasets.read import read_dataset
from gs_stereo.errors import StageError

_GSSTEREO = [sys.executable, "-m", "gs_stereo.cli.main"]
_LABELS = "fused"
_SPOILED_STEPS = 200
_PROMISE = 0.01
_FACTOR = 1.6


@dataclass(frozen=True, kw_only=True)
class Labels(Record):
    """What the truth says of labels where both eyes see: how many there are, how many are wrong by over 1 px."""

    coverage: Measured
    bad_1: Measured


@dataclass(frozen=True, kw_only=True)
class Outcome(Record):
    """An audited capture. failed: what the audit said where it could not be made.

    sure: labels that keep the promise, None where none was given. cpu_s: of the audit and of the run it audits.
    """

    capture: str
    whole: str
    seed: int
    true: Labels
    promised_bad_1: Measured = float("nan")
    own: Figure | None = None
    objects: Figure | None = None
    covered: Figure | None = None
    planted: int = 0
    sure: Labels | None = None
    poses_px: float | None = None
    run_cpu_s: Annotated[float, Field(ge=0)] = 0.0
    audit_cpu_s: Annotated[float, Field(ge=0)] = 0.0
    failed: str | None = None

    @property
    def factor(self) -> float:
        """How far the audit is off: 1 is right, 2 twice or half the truth."""
        if self.own is None:
            return float("inf")
        return float(np.exp(abs(np.log(max(self.own.value, 1e-9) / max(self.true.bad_1, 1e-9)))))


def gsstereo(*words: object) -> str | None:
    """Run a verb; what it says if it fails."""
    done = subprocess.run([*_GSSTEREO, *map(str, words)], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]


def cpu_s() -> float:
    """CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def labelled(scene: Path, own: Path, iterations: int) -> float:
    """Cameras, fit, pairs and labels of a capture; the CPU seconds that they took. StageError if one fails."""
    took = own / "cpu_s.txt"
    if took.is_file():
        return float(took.read_text())
    common, before = ("--out", own, "--quiet"), cpu_s()
    given = ("--colmap", scene / "sparse/0", "--images", scene / "images", "--metres-per-unit", 1, "--refine", "off")
    for words in (
        ("import", scene, *given),
        ("fit", scene, "--iterations", iterations),
        ("render-pairs", scene, "--baseline", 0.1),
        ("label", scene, "--set", "fused.experts=[sgbm]"),
    ):
        if failure := gsstereo(*words, *common):
            raise StageError(f"{words[0]}: {failure}")
    used = cpu_s() - before
    took.write_text(str(used))
    return used


def true_labels(scene: Path, own: Path, min_confidence: float = 0.0) -> Labels:
    """What the truth says of the labels that are as confident as that."""
    report = evaluate_labels(_views(own / "dataset" / _LABELS, min_confidence), load_exact_scene(scene))
    scores = next(region for region in report.together.regions if region.region == "non_occluded").disparity
    return Labels(coverage=scores.coverage, bad_1=scores.bad_all_pixels[1.0])


def _views(dataset: Path, min_confidence: float) -> Iterator[LabelledView]:
    for sample in read_dataset(dataset):
        kept = sample.confidence >= round(255 * min_confidence)
        yield LabelledView(
            view_name=sample.view_id,
            intrinsics=sample.intrinsics,
            baseline=sample.baseline,
            disparity=np.where(kept, sample.disparity, np.float32(np.nan)),
            confidence=sample.confidence,
            flags=sample.flags,
        )


def study(capture: Capture, seed: int, work: Path, arguments: argparse.Namespace) -> Outcome:
    """The audit of a capture with the objects of a seed."""
    scene, own, audited = work / "scene", work / "own", work / f"seed{seed}"
    write_capture(scene, capture)
    steps = _SPOILED_STEPS if capture.spoil == "short" else arguments.iterations
    nothing = Labels(coverage=0.0, bad_1=float("nan"))
    outcome = Outcome(capture=capture.name, whole=capture.whole, seed=seed, true=nothing)
    try:
        outcome = replace(outcome, run_cpu_s=labelled(scene, own, steps), true=true_labels(scene, own))
    except StageError as error:
        return replace(outcome, failed=str(error))
    if not audited.is_dir():
        shutil.copytree(own, audited, copy_function=os.link)
    took, before = audited / "audit_cpu_s.txt", cpu_s()
    options = () if arguments.objects is None else ("--objects", arguments.objects)
    failure = gsstereo("audit", scene, "--out", audited, "--seed", seed, "--quiet", *options)
    if not took.is_file():  # else it was only scored anew
        took.write_text(str(cpu_s() - before))
    outcome = replace(outcome, audit_cpu_s=float(took.read_text()))
    if failure:
        return replace(outcome, failed=failure)
    report = read_record(AuditReport, audited / "audit/report" / REPORT_FILE, fix="empty the folder")
    everywhere = report.region("all")
    cut = next(cut for cut in report.cuts if cut.max_bad_1 == _PROMISE).min_confidence
    return replace(
        outcome,
        promised_bad_1=report.own.promised_bad_1,
        own=report.own.bad_1,
        objects=everywhere.bad_1 if everywhere else None,
        covered=everywhere.coverage if everywhere else None,
        planted=report.objects,
        sure=None if cut is None else true_labels(scene, own, cut),
        poses_px=report.left_out.shift_px if report.left_out else None,
    )


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's, of values without ties."""
    ranks = np.stack([np.argsort(np.argsort(values)) for values in (first, second)])
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def summary(outcomes: Sequence[Outcome]) -> Mapping[str, object]:
    """Over captures that nobody spoiled."""
    fair = [outcome for outcome in outcomes if outcome.capture == outcome.whole and outcome.own]
    promised = [outcome for outcome in fair if outcome.sure]
    kept = [outcome for outcome in promised if outcome.sure and not outcome.sure.bad_1 > _PROMISE]
    lost = [outcome.true.coverage - (outcome.sure.coverage if outcome.sure else 0.0) for outcome in promised]
    inside = [outcome for outcome in fair if outcome.own and outcome.own.low <= outcome.true.bad_1 <= outcome.own.high]
    pairs = [(outcome.true.bad_1, outcome.own.value) for outcome in fair if outcome.own]
    costs = [outcome.audit_cpu_s / outcome.run_cpu_s for outcome in fair]
    return {
        "draws": len(fair),
        f"within_factor_{_FACTOR}": sum(outcome.factor <= _FACTOR for outcome in fair),
        "truth_in_interval": len(inside),
        "rank_correlation": rank_correlation(*zip(*pairs, strict=True)) if len(pairs) > 2 else None,
        "promises_given": len(promised),
        "promises_kept": len(kept),
        "median_coverage_lost": float(np.median(lost)) if lost else None,
        "median_cost": float(np.median(costs)) if costs else None,
    }


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown, a line a capture and seed."""
    head = "capture|seed|objects|true coverage|true bad-1|own labels (95 %)|factor|promised|objects alone|poses off"
    rows = [f"{head}|kept: coverage, true bad-1|cost".split("|")]
    rows.append(["---"] * len(rows[0]))
    for outcome in outcomes:
        sure, own = outcome.sure, outcome.own
        rows.append(
            [
                outcome.capture,
                str(outcome.seed),
                str(outcome.planted),
                f"{outcome.true.coverage:.1%}",
                f"{outcome.true.bad_1:.2%}",
                f"{own.text(100, 2)} %" if own else (outcome.failed or "-"),
                f"{outcome.factor:.2f}",
                f"{outcome.promised_bad_1:.2%}",
                f"{outcome.objects.text(100, 2)} %" if outcome.objects else "-",
                "-" if outcome.poses_px is None else f"{outcome.poses_px:.2f} px",
                f"{sure.coverage:.1%}, {sure.bad_1:.2%}" if sure else "no promise",
                f"{outcome.audit_cpu_s / outcome.run_cpu_s:.2f}" if outcome.audit_cpu_s else "-",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="*", help=f"see the module; may be spoiled: {', '.join(SPOILS)}")
    parser.add_argument("--work", type=Path, required=True, help="folder of all captures and results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the planted objects")
    parser.add_argument("--iterations", type=int, default=600, help="training steps of a fit")
    parser.add_argument("--objects", type=int, help="to plant; as many as gsstereo does by default")
    parser.add_argument("--minutes", type=float, default=np.inf, help="begin nothing after that; run again to go on")
    parser.add_argument("--json", action="store_true", help="all figures, not the table")
    arguments = parser.parse_args()
    started = time.monotonic()
    for capture in map(Capture.of, arguments.captures):
        for seed in arguments.seeds:
            work = arguments.work / capture.name
            if not (work / f"seed{seed}.json").is_file() and time.monotonic() < 60 * arguments.minutes + started:
                write_record(work / f"seed{seed}.json", study(capture, seed, work, arguments))
    files = sorted(arguments.work.glob("*/seed*.json"))
    outcomes = [read_record(Outcome, file, fix="remove it") for file in files]
    if arguments.json:
        print(json.dumps({**summary(outcomes), "outcomes": [json.loads(file.read_text()) for file in files]}, indent=1))
    else:
        print("\n".join([table(outcomes), "", *(f"- {name}: {value}" for name, value in summary(outcomes).items())]))


if __name__ == "__main__":
    main()
