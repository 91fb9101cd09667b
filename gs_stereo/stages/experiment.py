"""An experiment: a recipe with a `matrix`, unfolded into cells, each of them one run of one stage.

    stages before label    once for each capture
    label                  once for each capture and label source
    train, evaluate        once for each label source and seed, on the data sets of all captures together
    evaluate               also for the start weights and for each reference
    compare                once: the table

Every training starts from the same weights with the same settings, apart from what a label source says about the use
of its label in the loss. Cells are run by the same runner as any stage: what is up to date is skipped, what was
interrupted is resumed. What needs no capture comes first, so that a mistake in it shows early.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gs_stereo.config import merge
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.log import logger
from gs_stereo.pipeline.recipe import (
    LabelSource,
    Matrix,
    Recipe,
    RecipeEntry,
    Step,
    overrides_by_stage,
    resolve,
    resolve_step,
)
from gs_stereo.pipeline.runner import RunOptions, StageReport, assess, execute, take_parts
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Executor
from gs_stereo.stages.label import dataset_folder

LABEL, TRAIN, EVALUATE, COMPARE = "label", "train", "evaluate", "compare"
START_ROW = "start"
CAPTURES_FOLDER = "captures"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of one stage. key: what it is, in words; needs: keys of the cells whose results it reads."""

    key: str
    paths: ScenePaths
    seed: int
    step: Step
    needs: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.paths.published(self.step.stage.folder(self.step.config))


@dataclass(frozen=True, kw_only=True)
class CellStatus:
    """What would happen to a cell. state: as of a stage, or `waiting` for a cell before it, or `blocked`."""

    cell: Cell
    state: str
    reason: str


def capture_paths(folders: Sequence[Path], out: Path | None) -> tuple[ScenePaths, ...]:
    """The captures, with their results beside the photos or, with `out`, in OUT/captures/<name>."""
    found = [ScenePaths.of(folder) for folder in folders]
    names = [paths.name for paths in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"Two captures are called {twice[0]!r}; rename one of the folders or leave it out.")
    if out is None:
        return tuple(found)
    return tuple(ScenePaths(scene=p.scene, output=out.resolve() / CAPTURES_FOLDER / p.name) for p in found)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A recipe with a matrix, the captures, and where the results go.

    overrides: by stage name. preset: for the stages without one of their own. seed: of everything but training.
    """

    recipe: Recipe
    captures: tuple[ScenePaths, ...]
    home: ScenePaths
    overrides: Mapping[str, Any]
    preset: str | None = None
    seed: int = 0

    def cells(self) -> list[Cell]:
        """All cells, each after those it needs. ConfigError for a recipe that is no experiment."""
        resolve(self.recipe, self.overrides, self.preset)  # says what is wrong with any of them
        captures = [cell for paths in self.captures for cell in self._capture_cells(paths)]
        start = self._budget().start
        if start is None:
            raise ConfigError("The experiment needs weights to start from; give --from.")
        labels = [self._label_cell(paths, name, start) for name in self.matrix.labels for paths in self.captures]
        untrained = [self._start_cell(start), *map(self._reference_cell, self.matrix.references)]
        trained = [
            cell for seed in self.matrix.seeds for name in self.matrix.labels for cell in self._run_cells(name, seed)
        ]
        return [*untrained, *captures, *labels, *trained, self._table_cell()]

    @property
    def matrix(self) -> Matrix:
        matrix, names = self.recipe.matrix, [entry.stage for entry in self.recipe.stages]
        if matrix is None or names[-4:] != [LABEL, TRAIN, EVALUATE, COMPARE] or len(set(names)) < len(names):
            raise ConfigError(
                f"The recipe {self.recipe.name!r} is no experiment: it needs a matrix, each stage once, and label, "
                "train, evaluate, compare as the last stages."
            )
        if START_ROW in {*matrix.labels, *matrix.references} or set(matrix.labels) & set(matrix.references):
            raise ConfigError("Two rows of the experiment's table have one name; rename a label source or a reference.")
        return matrix

    def _step(self, stage: str, *more: Mapping[str, Any], preset: str | None = None) -> Step:
        """Defaults < preset < recipe < `more` < overrides."""
        entry = next(entry for entry in self.recipe.stages if entry.stage == stage)
        values: dict[str, Any] = entry.set
        for each in more:
            values = merge(values, each)
        chosen = RecipeEntry(stage=stage, preset=preset or entry.preset, set=values)
        return resolve_step(chosen, overrides_by_stage(self.recipe, self.overrides).get(stage, {}), self.preset)

    def _capture_cells(self, paths: ScenePaths) -> Iterator[Cell]:
        before: tuple[str, ...] = ()
        for entry in self.recipe.stages[:-4]:
            key = f"{entry.stage} {paths.name}"
            yield Cell(key=key, paths=paths, seed=self.seed, step=self._step(entry.stage), needs=before)
            before = (*before, key)

    def _label_cell(self, paths: ScenePaths, name: str, start: Path) -> Cell:
        settings = _label_settings(self.matrix.labels[name], start)
        step = self._step(LABEL, settings)
        if step.stage.folder(step.config) != dataset_folder(name):  # else it is the data set that `label` makes
            step = self._step(LABEL, settings, {"name": name})
        needs = tuple(cell.key for cell in self._capture_cells(paths))
        return Cell(key=_label_key(name, paths), paths=paths, seed=self.seed, step=step, needs=needs)

    def _train_step(self, name: str, seed: int) -> Step:
        data = [{"path": str(paths.published(dataset_folder(name)))} for paths in self.captures]
        return self._step(TRAIN, {"loss": self.matrix.labels[name].loss}, {"name": _run_name(name, seed), "data": data})

    def _run_cells(self, name: str, seed: int) -> tuple[Cell, Cell]:
        run = _run_name(name, seed)
        train = Cell(
            key=f"train {run}",
            paths=self.home,
            seed=seed,
            step=self._train_step(name, seed),
            needs=tuple(_label_key(name, paths) for paths in self.captures),
        )
        return train, self._score_cell(self._step(EVALUATE, {"name": run, "run": run}), run, (train.key,))

    def _start_cell(self, start: Path) -> Cell:
        experts = {"checkpoint": {"checkpoint": str(start)}}
        return self._score_cell(
            self._step(EVALUATE, {"name": START_ROW, "expert": "checkpoint", "experts": experts}), START_ROW
        )

    def _reference_cell(self, name: str) -> Cell:
        reference = self.matrix.references[name]
        return self._score_cell(self._step(EVALUATE, reference.set, {"name": name}, preset=reference.preset), name)

    def _score_cell(self, step: Step, name: str, needs: tuple[str, ...] = ()) -> Cell:
        return Cell(key=_score_key(name), paths=self.home, seed=self.seed, step=step, needs=needs)

    def _table_cell(self) -> Cell:
        rows = {name: [name] for name in (START_ROW, *self.matrix.references)}
        rows |= {name: [_run_name(name, seed) for seed in self.matrix.seeds] for name in self.matrix.labels}
        step = self._step(COMPARE, {"rows": rows, "start": START_ROW, "caption": self._caption()})
        needs = tuple(_score_key(name) for names in rows.values() for name in names)
        return Cell(key="table", paths=self.home, seed=self.seed, step=step, needs=needs)

    def _budget(self) -> Any:
        """Settings of a training; nearly all of them are those of every training."""
        return self._train_step(next(iter(self.matrix.labels)), self.matrix.seeds[0]).config

    def _caption(self) -> str:
        config = self._budget()
        return (
            f"Each training: {config.steps} steps of {config.batch_size} crops of {config.crop_width}x"
            f"{config.crop_height}; seeds {', '.join(map(str, self.matrix.seeds))}; captures "
            f"{', '.join(paths.name for paths in self.captures)}."
        )


def _run_name(label: str, seed: int) -> str:
    return f"{label}-seed{seed}"


def _label_key(name: str, paths: ScenePaths) -> str:
    return f"label {paths.name} {name}"


def _score_key(name: str) -> str:
    return f"evaluate {name}"


def _label_settings(source: LabelSource, start: Path) -> dict[str, Any]:
    """The expert `checkpoint` without a checkpoint is the start net itself: self-training."""
    own = {"experts": {"checkpoint": {"checkpoint": str(start)}}} if source.label.get("expert") == "checkpoint" else {}
    return merge(own, source.label)


def assess_cells(cells: Sequence[Cell]) -> list[CellStatus]:
    """What `run_cells` would do. Changes nothing."""
    found: dict[str, CellStatus] = {}
    for cell in cells:
        late = [key for key in cell.needs if found[key].state != "up to date"]
        if late:
            found[cell.key] = CellStatus(cell=cell, state="waiting", reason=f"for {late[0]}")
            continue
        try:
            parts = take_parts(cell.step.stage, cell.step.config, cell.paths, cell.seed, {})
        except InputError as error:
            found[cell.key] = CellStatus(cell=cell, state="blocked", reason=str(error))
            continue
        answer = assess(cell.step.stage, cell.step.config, cell.paths, parts)
        found[cell.key] = CellStatus(cell=cell, state=answer.state, reason=answer.reason)
    return list(found.values())


def run_cells(cells: Sequence[Cell], executor: Executor, *, force: bool = False) -> Iterator[tuple[Cell, StageReport]]:
    """Bring every cell up to date, in order."""
    for number, cell in enumerate(cells, 1):
        options = RunOptions(paths=cell.paths, executor=executor, seed=cell.seed, force=force)
        report = execute(cell.step.stage, cell.step.config, options)
        state = "up to date" if report.action == "skipped" else report.action
        logger.info("[%d/%d] %s: %s", number, len(cells), cell.key, state)
        yield cell, report
