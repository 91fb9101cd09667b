"""A whole experiment in seconds: a stage that stands in for `label`, a net with one parameter, and tiny pairs.

As a program it is `gsstereo` with these, for tests that kill it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from builders import shifted_pair, write_shifted_pairs
from tiny_net import TinyNet, tiny_net_entry

from gs_stereo.config import Config
from gs_stereo.io.disparity_files import write_pfm
from gs_stereo.nets.weights import NetDescription, save_net
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import StageContext, StageInputs, StageOutcome
from gs_stereo.stages.registry import STAGES

RECIPE = """
name: toy
stages:
  - stage: count
    set: {units: 1}
  - stage: label
  - stage: train
    set:
      net: tiny_blocks
      device: cpu
      steps: 3
      batch_size: 2
      crop_height: 32
      crop_width: 48
      learning_rate: 0.5
      validation_share: 0
      checkpoint_every: 1
      record_every: 1
      loss: {max_disparity_px: 16}
  - stage: evaluate
  - stage: compare
matrix:
  seeds: [0, 5]
  against: few
  captures:
    longer: {count: {units: 2}}
  labels:
    good: {captured: longer, label: {pairs: 4}}
    few: {label: {pairs: 2}, loss: {gamma: 0.5}}
  references:
    sgbm: {preset: sgbm_baseline, set: {expert: sgbm}}
"""


class ToyLabelConfig(Config):
    name: str = "good"
    pairs: int = 3


class ToyLabelStage:
    """Shifted noise under its exact label; reads what `count` published."""

    name = "label"
    version = 1
    config_type = ToyLabelConfig
    replaces_others = False

    def folder(self, config: ToyLabelConfig) -> str:
        return f"dataset/{config.name}"

    def inputs(self, paths: ScenePaths, config: ToyLabelConfig) -> StageInputs:
        return StageInputs(published={"count": "count"})

    def resources(self, config: ToyLabelConfig) -> Resources:
        return Resources()

    def run(self, context: StageContext, config: ToyLabelConfig) -> StageOutcome:
        made = write_shifted_pairs(context.work_dir / "made", config.pairs, scene=context.paths.name)
        for path in list(made.iterdir()):
            path.rename(context.work_dir / path.name)
        made.rmdir()
        return StageOutcome()


def entries() -> list[tuple[dict[str, str], str, str]]:
    """Arguments of monkeypatch.setitem that register the stand-ins."""
    stages: Any = STAGES.builtin
    return [
        (stages, "label", "toy_experiment:ToyLabelStage"),
        (stages, "count", "toy_stages:CountStage"),
        tiny_net_entry(),
    ]


def write_inputs(folder: Path) -> list[str]:
    """Captures, start weights, benchmark and recipe in `folder`; returns the arguments of `gsstereo` without --out."""
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True)
        (folder / name / "input.txt").write_text(name)
    save_net(folder / "start", TinyNet(), NetDescription(net="tiny_blocks", settings={}, licence="Apache-2.0"))
    for number, name in enumerate(("middlebury_a", "middlebury_b", "kitti_a", "garden")):
        write_pair(folder / "benchmark" / name, number)
    (folder / "toy.yaml").write_text(RECIPE)
    options = {"--config": "toy.yaml", "--from": "start", "--root": "benchmark"}
    named = [str(part) for name, path in options.items() for part in (name, folder / path)]
    return ["experiment", str(folder / "one"), str(folder / "two"), *named]


def write_pair(folder: Path, seed: int) -> None:
    """A pair of the benchmark `folder`; the truth is 0.4 px off, so that no score is zero."""
    folder.mkdir(parents=True)
    left, right = shifted_pair((40, 56), 4 + seed, seed)
    cv2.imwrite(str(folder / "left.png"), left)
    cv2.imwrite(str(folder / "right.png"), right)
    write_pfm(folder / "disp_left.pfm", np.full((40, 56), 4.4 + seed, np.float32))
    cv2.imwrite(str(folder / "nonocc_left.png"), np.full((40, 56), 255, np.uint8))


if __name__ == "__main__":
    from gs_stereo.cli.main import app

    for registry, entry, target in entries():
        registry[entry] = target
    app()
