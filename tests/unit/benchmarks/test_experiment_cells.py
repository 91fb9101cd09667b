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

SHIPPED = ("expert_vs_splat", "expert_vs_splat_gpu", "labels_with_power")
LOSSES = {"min_confidence", "weigh_by_confidence", "saturation_px", "photometric"}
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
    recipe = load_recipe(Path(name)).matrix
    assert recipe is not None
    own = sum(source.labels_of is None for source in recipe.labels.values())
    runs = len(recipe.labels) * len(recipe.seeds)
    wanted = 2 + 2 * 3 * (1 + len(recipe.captures)) + 2 * own + 2 * runs + 1
    assert len(set(keys)) == len({cell.published for cell in cells}) == len(cells) == wanted
    for number, cell in enumerate(cells):
        assert set(cell.needs) <= set(keys[:number])
    trained = [dict(cell.config) for cell in cells if cell.stage == "train"]
    for config in trained:
        config["loss"] = config["loss"] | LossConfig().model_dump(include=LOSSES)
        assert len(config.pop("data")) == 2
        assert config.pop("name").split("-seed")[0] in recipe.labels
    assert len({json.dumps(config) for config in trained}) == 1  # one budget for all


def test_the_shipped_experiments_differ_in_size_only() -> None:
    small, large = (load_recipe(Path(name)) for name in SHIPPED[:2])
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


def test_other_captures_are_fitted_otherwise_and_other_losses_label_nothing_again(tmp_path: Path) -> None:
    cells = {cell.key: cell for cell in unfolded(load_recipe(Path("labels_with_power")), tmp_path)}
    ours, stock = cells["fit door"], cells["fit door stock"]
    assert stock.published == tmp_path / "door/gsstereo/stock/fit"
    assert stock.needs == ("reconstruct door stock",)
    assert (ours.config["plane_sweep"], stock.config["plane_sweep"]) == (True, False)
    assert cells["label door stock_splat"].published == tmp_path / "door/gsstereo/stock/dataset/stock_splat"
    clamped, unclamped = (cells[f"train fused{end}-seed3"].config for end in ("", "_unclamped"))
    assert clamped["data"] == unclamped["data"]
    assert (clamped["loss"]["saturation_px"], unclamped["loss"]["saturation_px"]) == (4, None)
    assert "label door fused_unclamped" not in cells
    assert cells["table"].config["against"] == "fused"


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
        (lambda values: values["matrix"]["labels"].update(x={"labels_of": "nobody"}), "takes the labels of 'nobody'"),
        (lambda values: values["matrix"]["labels"].update(x={"captured": "stock"}), "matrix.captures, for any of"),
    ],
)
def test_a_wrong_experiment_is_an_error(change: object, message: str, tmp_path: Path) -> None:
    values = load_recipe(Path("expert_vs_splat")).model_dump(mode="json")
    change(values)  # type: ignore[operator]
    with pytest.raises(ConfigError, match=message):
        unfolded(Recipe(**values), tmp_path)
