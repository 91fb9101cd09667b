"""What stacks of views and the warp loss are worth to a small StereoSpace model (ablation of arXiv 2512.10959).

    python tools/ablate_synthesis.py --work DIR [--stacks 256 --steps 400 --seeds 3] > ablation.md

Every variant is trained from scratch on the same generated scenes with the same seeds, and judged on scenes of another
seed by evaluate-synthesis. `two views` sees only the outermost views of each stack, `warped` is also given the source
moved by exact depth. What is in DIR is not made again, and an interrupted training goes on from its checkpoint: start
the same command again. The table of Markdown is over the seeds of the training; DIR/ablation.json keeps all numbers.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gs_stereo.core.atomic import write_text
from gs_stereo.core.records import finite
from gs_stereo.datasets.samples import DatasetSamples
from gs_stereo.datasets.schema import INDEX_NAME, ShardSample, read_index
from gs_stereo.datasets.write import write_dataset
from gs_stereo.synthesis.summary import GEOMETRY, QUALITY, Column, Entry

TRAINED_ON, JUDGED_ON = 21, 77  # seeds of the scenes
LARGER = 1.5  # the stored pictures against the training crops
BINS = ("B = 0", "all but 0", "the largest")
_MAIN = "import sys; from gs_stereo.cli.main import main; sys.exit(main())"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What is trained, on which data, with which settings."""

    data: str
    settings: Mapping[str, object]


VARIANTS = {
    "full": Variant(data="stacks", settings={}),
    "two views": Variant(data="two", settings={}),
    "no warp loss": Variant(data="stacks", settings={"loss.warp": 0}),
    "warped": Variant(data="stacks", settings={"model.warped": "true"}),
}


def gsstereo(*arguments: object) -> None:
    """A verb in a process of its own, its output on stderr; ends the program if it fails."""
    command = [sys.executable, "-c", _MAIN, *map(str, arguments)]
    if (code := subprocess.run(command, stdout=sys.stderr, check=False).returncode) != 0:
        sys.exit(code)


def make_data(work: Path, options: argparse.Namespace) -> None:
    """Scenes to train on with seven and with two views, and scenes to judge on."""
    sizes = {"stacks": (options.stacks, TRAINED_ON, LARGER), "judged": (options.judged, JUDGED_ON, 1.0)}
    for name, (count, seed, larger) in sizes.items():
        width, height = (round(side * larger) for side in (options.width, options.height))
        size = ("--width", width, "--height", height, "--set", "pairs.camera_faults=false")
        gsstereo("sample-pairs", work / name, "--count", count, "--seed", seed, *size, "--set", "pairs.stack_views=7")
    if not (work / "two" / INDEX_NAME).is_file():
        samples, info = DatasetSamples(work / "stacks"), read_index(work / "stacks").info
        outermost = (with_two_views(samples.read(number)) for number in range(len(samples)))
        write_dataset(work / "two", outermost, info, sample_count=len(samples))


def with_two_views(sample: ShardSample) -> ShardSample:
    """The stack's first and last view alone, as a stereo camera gives them."""
    assert sample.views is not None
    assert sample.offsets is not None
    assert sample.view_depth is not None
    ends = [0, -1]
    return replace(sample, views=sample.views[ends], offsets=sample.offsets[ends], view_depth=sample.view_depth[ends])


def judged(work: Path, name: str, seed: int, options: argparse.Namespace) -> Path:
    """The report of one training, which is done where it is missing."""
    variant, run = VARIANTS[name], f"{name.replace(' ', '_')}-{seed}"
    scores = work / "scores" / run
    if not (scores / "report.json").is_file():
        settings = {
            "width": options.width,
            "height": options.height,
            "smallest_scale": round(1 / LARGER, 3),
            "steps": options.steps,
            "checkpoint_every": 50,
            **variant.settings,
        }
        chosen = [argument for key, value in settings.items() for argument in ("--set", f"{key}={value}")]
        data = ("--data", work / variant.data, "--seed", seed, "--name", run)
        gsstereo("train-synthesis", work / "runs", "--preset", "small", *data, *chosen, *options.set)
        model = work / "runs/gsstereo/train" / run
        gsstereo(
            "evaluate-synthesis", model, "--root", work / "judged", "--steps", 1, "--set", "targets=2", "--out", scores
        )
    return scores / "report.json"


def over_seeds(reports: list[Path], row: int) -> dict[str, dict[str, Entry]]:
    """Measures of one row of each report by bin: mean and standard deviation over the reports."""
    bins = [json.loads(path.read_text())["rows"][row]["bins"] for path in reports]
    return {
        name: {
            measure: Entry.of([math.nan if (mean := each[name][measure]["mean"]) is None else mean for each in bins])
            for measure in bins[0][name]
        }
        for name in BINS
    }


def table(found: Mapping[str, Mapping[str, Mapping[str, Entry]]], runs: Mapping[str, int]) -> str:
    """Markdown: the variants of each bin below each other."""
    columns: list[Column] = [*QUALITY, *GEOMETRY]
    lines = [
        f"| baselines | variant | runs | {' | '.join(column.title for column in columns)} |",
        f"|---|---|---:|{'---:|' * len(columns)}",
    ]
    for name in BINS:
        for number, (variant, bins) in enumerate(found.items()):
            cells = " | ".join(column.cell(bins[name].get(column.name)) for column in columns)
            lines.append(f"| {'' if number else name} | {variant} | {runs.get(variant, '-')} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    for name, usual in {"stacks": 256, "judged": 24, "steps": 400, "seeds": 3, "width": 96, "height": 64}.items():
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--set", nargs="*", default=[], type=lambda text: f"--set={text}", help="of train-synthesis")
    options = parser.parse_args()
    make_data(options.work, options)
    reports: dict[str, list[Path]] = {name: [] for name in options.variants}
    for seed in range(options.seeds):  # all variants once, then all again: the table is fair whenever it is stopped
        for name in options.variants:
            reports[name].append(judged(options.work, name, seed, options))
            done = {variant: over_seeds(paths, -1) for variant, paths in reports.items() if paths}
            done["the source itself"] = over_seeds(reports[options.variants[0]][:1], 0)
            numbers = {
                v: {b: {m: vars(e) for m, e in es.items()} for b, es in bins.items()} for v, bins in done.items()
            }
            write_text(options.work / "ablation.json", json.dumps(finite(numbers), indent=1) + "\n")
            text = table(done, {variant: len(paths) for variant, paths in reports.items()})
            write_text(options.work / "ablation.md", text + "\n")
    print(text)


if __name__ == "__main__":
    main()
