"""The shipped experiments unfold: every setting is valid, every cell is there once and after those it needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gs_stereo.benchmarks.experiment import Experiment
from gs_stereo.errors import ConfigError
from gs_stereo.pipeline.cell import Cell
from gs_stereo.pipeline.recipe import Recipe, load_recipe
from gs_stereo.pipeline.scene import ScenePaths, scene_paths
from gs_stereo.stages.registry import STAGES
from gs_stereo.training.stereo.config import LossConfig

SHIPPED = ("expert_vs_splat", "expert_vs_splat_gpu")
LABELS = ["raw_splat", "filtered_splat", "multibaseline", "fused", "lite"]


def unfolded(recipe: Recipe, folder: Path, out: Path | None = None) -> list[Cell]:
    scenes = [folder / name for name in ("door", "fountain")]
    for scene in scenes:
        scene.mkdir(exist_ok=True)
    home = ScenePaths.of(folder, folder / "results")
    overrides = {"train": {"start": str(folder / "weights")}, "evaluate": {"root": str(folder / "pairs")}}
    captures = scene_paths(scenes, out)
    return Experiment(recipe=recipe, stages=STAGES, captures=captures, home=home, overrides=overrides).cells()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_experiment_unfolds_into_every_cell_once(name: str, tmp_path: Path) -> None:
    cells = unfolded(load_recipe(Path(name)), tmp_path)
    keys = [cell.key for cell in cells]
    assert len(set(keys)) == len({cell.published for cell in cells}) == len(cells) == 2 + 2 * 3 + 2 * 5 + 2 * 15 + 1
    for number, cell in enumerate(cells):
        assert set(cell.needs) <= set(keys[:number])
    trained = [dict(cell.config) for cell in cells if cell.stage == "train"]
    for config in trained:
        config["loss"] = config["loss"] | LossConfig().model_dump(include={"min_confidence", "weigh_by_confidence"})
        assert len(config.pop("data")) == 2
        assert config.pop("name").split("-seed")[0] in LABELS
    assert len({json.dumps(config) for config in trained}) == 1  # one budget for all


def test_the_shipped_experiments_differ_in_size_only() -> None:
    small, large = (load_recipe(Path(name)) for name in SHIPPED)
    assert small.matrix == large.matrix
    assert small.matrix is not None
    assert list(small.matrix.labels) == LABELS
    assert [entry.stage for entry in small.stages] == [entry.stage for entry in large.stages]


def test_the_net_that_starts_labels_the_pairs_and_default_labels_keep_their_data_sets(tmp_path: Path) -> None:
    cells = {cell.key: cell for cell in unfolded(load_recipe(Path("expert_vs_splat")), tmp_path)}
    own = cells["label door lite"].config
    assert own["experts"]["checkpoint"]["checkpoint"] == str(tmp_path / "weights")
    assert cells["label door fused"].config["name"] is None  # as `gsstereo label` makes it
    assert cells["label door fused"].published == tmp_path / "door/gsstereo/dataset/fused"


def test_results_of_captures_can_lie_elsewhere(tmp_path: Path) -> None:
    cells = unfolded(load_recipe(Path("expert_vs_splat")), tmp_path, tmp_path / "out")
    fit = next(cell for cell in cells if cell.key == "fit fountain")
    assert fit.published == tmp_path / "out/captures/fountain/fit"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values["stages"].pop(), "label, train, evaluate, compare as the last stages"),
        (lambda values: values.update(matrix=None), "is no experiment"),
        (lambda values: values["matrix"]["labels"].update(start={}), "have one name"),
        (lambda values: values["matrix"]["labels"].update(sgbm={}), "have one name"),
        (lambda values: values["matrix"]["labels"].update({"../x": {}}), "Setting 'name'"),
    ],
)
def test_a_wrong_experiment_is_an_error(change: object, message: str, tmp_path: Path) -> None:
    values = load_recipe(Path("expert_vs_splat")).model_dump(mode="json")
    change(values)  # type: ignore[operator]
    with pytest.raises(ConfigError, match=message):
        unfolded(Recipe(**values), tmp_path)
