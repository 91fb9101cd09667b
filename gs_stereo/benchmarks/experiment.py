"""An experiment: a recipe with a `matrix`, unfolded into the cells of one graph.

    stages before label    once for each capture, and for each of the matrix' other ways that a label source takes
    label                  once for each capture and label source
    train, evaluate        once for each label source and seed, on the data sets of all captures together
    evaluate               also for the start weights and for each reference
    compare                once: the table

Every training starts from the same weights with the same settings, apart from what a label source says about the use
of its label in the loss. What needs no capture comes first, so that a mistake in it shows early.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gs_stereo.config import merge
from gs_stereo.errors import ConfigError
from gs_stereo.pipeline.cell import Cell
from gs_stereo.pipeline.graph import make_cell, unfold
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
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stages

LABEL, TRAIN, EVALUATE, COMPARE = "label", "train", "evaluate", "compare"
START_ROW = "start"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A recipe with a matrix, the captures, and where the results of nets go.

    overrides: by stage name. preset: for the stages without one of their own. seed: of everything but training.
    """

    recipe: Recipe
    stages: Stages
    captures: tuple[ScenePaths, ...]
    home: ScenePaths
    overrides: Mapping[str, Any]
    preset: str | None = None
    seed: int = 0

    def cells(self) -> list[Cell]:
        """All cells, each after those it needs. ConfigError for a recipe that is no experiment."""
        *before_label, _, train, _, _ = resolve(self.recipe, self.stages, self.overrides, self.preset)
        matrix = self._matrix()
        budget: Any = train.config
        if budget.start is None:
            raise ConfigError("The experiment needs weights to start from; give --from.")
        start_net = {"expert": "checkpoint", "experts": {"checkpoint": {"checkpoint": str(budget.start)}}}
        untrained = [self._score(START_ROW, start_net)]
        untrained += [self._score(name, row.set, preset=row.preset) for name, row in matrix.references.items()]
        ways = dict.fromkeys(source.captured for source in matrix.labels.values())
        captured = {way: self._captured(way, matrix.captures, before_label) for way in ways}
        labelled = {
            name: self._label(name, source, start_net, captured[source.captured])
            for name, source in matrix.labels.items()
            if source.labels_of is None
        }
        runs = {name: [f"{name}-seed{seed}" for seed in matrix.seeds] for name in matrix.labels}
        trained = [
            cell
            for number, seed in enumerate(matrix.seeds)
            for name, source in matrix.labels.items()
            for cell in self._train_and_score(runs[name][number], seed, source, labelled[source.labels_of or name])
        ]
        rows = {name: [name] for name in (START_ROW, *matrix.references)} | runs
        against = matrix.against if matrix.against in rows else None
        caption = (
            f"Each training: {budget.steps} steps of {budget.batch_size} crops of {budget.crop_width}x"
            f"{budget.crop_height}; seeds {', '.join(map(str, matrix.seeds))}; captures "
            f"{', '.join(paths.name for paths in self.captures)}."
        )
        table = make_cell(
            self._step(COMPARE, {"rows": rows, "start": START_ROW, "caption": caption, "against": against}),
            self.home,
            key="table",
            seed=self.seed,
            needs=tuple(f"{EVALUATE} {name}" for names in rows.values() for name in names),
        )
        labels = [cell for cells in labelled.values() for cell in cells]
        return [*untrained, *(cell for cells in captured.values() for cell in cells), *labels, *trained, table]

    def _matrix(self) -> Matrix:
        matrix, names = self.recipe.matrix, [entry.stage for entry in self.recipe.stages]
        if matrix is None or names[-4:] != [LABEL, TRAIN, EVALUATE, COMPARE] or len(set(names)) < len(names):
            raise ConfigError(
                f"The recipe {self.recipe.name!r} is no experiment: it needs a matrix, each stage once, and label, "
                "train, evaluate, compare as the last stages."
            )
        if START_ROW in {*matrix.labels, *matrix.references} or set(matrix.labels) & set(matrix.references):
            raise ConfigError("Two rows of the experiment's table have one name; rename a label source or a reference.")
        for name, source in matrix.labels.items():
            if source.labels_of is not None and (
                source.label
                or source.captured
                or getattr(matrix.labels.get(source.labels_of), "labels_of", "") is not None
            ):
                raise ConfigError(
                    f"The label source {name!r} takes the labels of {source.labels_of!r}: name a source of the recipe "
                    "that has its own, and give no other settings than loss."
                )
        return matrix

    def _captured(
        self, way: str | None, ways: Mapping[str, Mapping[str, Mapping[str, Any]]], before_label: Sequence[Step]
    ) -> list[Cell]:
        """The stages before label, as the recipe says or one of the matrix' other ways; those have their own folder."""
        if way is None:
            return unfold(before_label, self.captures, self.seed)
        stages = [step.name for step in before_label]
        if way not in ways or not set(ways[way]) <= set(stages):
            raise ConfigError(
                f"The captures {way!r} of the recipe {self.recipe.name!r} are not settings of stages before label; "
                f"write them in matrix.captures, for any of: {', '.join(stages)}."
            )
        steps = [self._step(stage, ways[way].get(stage, {})) for stage in stages]
        homes = [ScenePaths(scene=paths.scene, output=paths.output / way) for paths in self.captures]
        return [
            replace(cell, key=f"{cell.key} {way}", needs=tuple(f"{need} {way}" for need in cell.needs))
            for cell in unfold(steps, homes, self.seed)
        ]

    def _step(self, stage: str, *more: Mapping[str, Any], preset: str | None = None) -> Step:
        """Defaults < preset < recipe < `more` < overrides."""
        entry = next(entry for entry in self.recipe.stages if entry.stage == stage)
        values: dict[str, Any] = entry.set
        for each in more:
            values = merge(values, each)
        chosen = RecipeEntry(stage=stage, preset=preset or entry.preset, set=values)
        overrides = overrides_by_stage(self.recipe, self.overrides).get(stage, {})
        return resolve_step(chosen, self.stages, overrides, self.preset)

    def _label(
        self, name: str, source: LabelSource, start_net: Mapping[str, Any], captured: Sequence[Cell]
    ) -> list[Cell]:
        """The cells that label the captures. The expert `checkpoint` without a checkpoint is the start net itself."""
        own = start_net if source.label.get("expert") == start_net["expert"] else {}
        step = self._step(LABEL, own, source.label)
        if Path(step.folder).name != name:  # else it is the data set that `gsstereo label` makes
            step = self._step(LABEL, own, source.label, {"name": name})
        return [
            make_cell(
                step,
                paths,
                key=f"{LABEL} {paths.name} {name}",
                seed=self.seed,
                needs=tuple(cell.key for cell in captured if cell.paths == paths),
            )
            for paths in dict.fromkeys(cell.paths for cell in captured)
        ]

    def _train_and_score(self, run: str, seed: int, source: LabelSource, labels: Sequence[Cell]) -> tuple[Cell, Cell]:
        data = [{"path": str(cell.published)} for cell in labels]
        step = self._step(TRAIN, {"loss": source.loss, "name": run, "data": data})
        train = make_cell(step, self.home, key=f"{TRAIN} {run}", seed=seed, needs=tuple(cell.key for cell in labels))
        return train, self._score(run, {"run": run}, needs=(train.key,))

    def _score(
        self, name: str, settings: Mapping[str, Any], *, preset: str | None = None, needs: tuple[str, ...] = ()
    ) -> Cell:
        step = self._step(EVALUATE, settings, {"name": name}, preset=preset)
        return make_cell(step, self.home, key=f"{EVALUATE} {name}", seed=self.seed, needs=needs)
