"""Small stages that stand in for real ones in tests of the stage contract."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gs_stereo.config import Config
from gs_stereo.core.atomic import write_text
from gs_stereo.executors.local import LocalExecutor
from gs_stereo.pipeline.cell import Cell, Executor, Resources, StageReport
from gs_stereo.pipeline.graph import CellStatus, assess_cells, run_cell, unfold
from gs_stereo.pipeline.recipe import Step
from gs_stereo.pipeline.runner import Run, execute
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome, Stages


class CountConfig(Config):
    units: int = 4
    text: str = "unit"


class CountStage:
    """Writes one file a unit; depends on the photo `input.txt` of the scene."""

    name = "count"
    version = 1
    config_type = CountConfig
    replaces_others = False

    def folder(self, config: CountConfig) -> str:
        return "count"

    def inputs(self, paths: ScenePaths, config: CountConfig) -> StageInputs:
        return StageInputs(external={"input.txt": paths.scene / "input.txt"})

    def resources(self, config: CountConfig) -> Resources:
        return Resources()

    def run(self, context: StageContext, config: CountConfig) -> StageOutcome:
        marker = context.paths.output / "die_after"  # outside the config, so that the fingerprint stays
        limit = int(marker.read_text()) if marker.exists() else None
        made = 0
        for index in range(config.units):
            unit_id = f"unit-{index}"
            if context.units.done(unit_id):
                continue
            if limit is not None and made >= limit:
                os.kill(os.getpid(), signal.SIGKILL)
            path = context.work_dir / f"{unit_id}.txt"
            write_text(path, f"{config.text} {index} seed {context.seed}\n")
            context.units.record(unit_id, [path], {"index": index})
            made += 1
        return StageOutcome(metrics={"made": made}, drops=Counter({"odd": 1}), summary={"units": str(config.units)})


class SumStage:
    """Reads what CountStage published."""

    name = "sum"
    version = 1
    config_type = Config
    replaces_others = False

    def folder(self, config: Config) -> str:
        return "sum"

    def inputs(self, paths: ScenePaths, config: Config) -> StageInputs:
        return StageInputs(published={"count": "count"})

    def resources(self, config: Config) -> Resources:
        return Resources()

    def run(self, context: StageContext, config: Config) -> StageOutcome:
        count = len(list(context.published("count").glob("unit-*.txt")))
        write_text(context.work_dir / "sum.txt", str(count))
        return StageOutcome(metrics={"count": count})


class SpreadConfig(Config):
    units: int = 12
    seconds: float = 0.5


def toy_unit(unit: tuple[Path, float, Path]) -> list[Path]:
    """Write a file, slowly. `begun` tells which process has begun it, of which parent: Ray has one of those a node."""
    path, seconds, begun = unit
    (begun / f"{path.stem}-{os.getppid()}-{os.getpid()}").touch()
    time.sleep(seconds)
    write_text(path, path.name)
    return [path]


class SpreadStage(SumStage):
    """Many units of equal length."""

    name = "spread"
    config_type = SpreadConfig

    def folder(self, config: Config) -> str:
        return "spread"

    def inputs(self, paths: ScenePaths, config: Config) -> StageInputs:
        return StageInputs(external={"input.txt": paths.scene / "input.txt"})

    def run(self, context: StageContext, config: Any) -> StageOutcome:
        begun = context.paths.output / "begun"
        begun.mkdir(exist_ok=True)
        files = [context.work_dir / f"unit_{number:02d}.txt" for number in range(config.units)]
        units = {path.stem: (path, config.seconds, begun) for path in files}
        return StageOutcome(metrics={"units": len(list(context.finished("units", toy_unit, units, noun="unit")))})


class FullDiskStage(SumStage):
    """Meets a full disk."""

    name = "full-disk"

    def folder(self, config: Config) -> str:
        return "full"

    def inputs(self, paths: ScenePaths, config: Config) -> StageInputs:
        return StageInputs()

    def run(self, context: StageContext, config: Any) -> StageOutcome:
        with open("/dev/full", "w") as stream:  # every write to it fails with ENOSPC
            stream.write("x" * 100_000)
        return StageOutcome()


def run_toy_cell(cell: Cell, units_on: Callable[[Cell, int], Executor] | None = None) -> StageReport:
    """Bring one cell up to date, as a worker of a fleet does. The scene may say what goes wrong.

    `hang_once`, `die_once`: a file in the scene that is removed first, so that the next try goes well.
    """
    for name, act in (("hang_once", signal.pause), ("die_once", partial(os._exit, 9))):
        if (mark := Path(cell.scene) / name).exists():
            mark.unlink()
            act()
    return run_cell(cell, units_on(cell, 1) if units_on else LocalExecutor(1), stages=TOY_STAGES)


def run(stage: Stage, config: Config, scene: Path, *, seed: int = 0, force: bool = False) -> StageReport:
    """Bring a stage of a scene up to date."""
    work = Run(stage=stage, config=config, paths=ScenePaths.of(scene), seed=seed)
    return execute(work, LocalExecutor(1), force=force)


TOY_STAGES = Stages(
    kind="stage",
    builtin={"count": "toy_stages:CountStage", "sum": "toy_stages:SumStage", "spread": "toy_stages:SpreadStage"},
)


def steps_of(*runs: tuple[str, Config], stages: Stages = TOY_STAGES) -> list[Step]:
    """Steps of a recipe, given by the names of toy stages and their settings."""
    return [Step(name=name, stage=stages.load(name)(), config=config) for name, config in runs]


def planned(scene: Path, *runs: tuple[str, Config], seed: int = 0, stages: Stages = TOY_STAGES) -> list[CellStatus]:
    """What a run of these stages would do."""
    return assess_cells(unfold(steps_of(*runs, stages=stages), [ScenePaths.of(scene)], seed), stages)
