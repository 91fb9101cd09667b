"""Every registered stage: its cells are plain data that another process can run, and it says what it asks for."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from gs_stereo.core.records import json_text, record_from_json
from gs_stereo.pipeline.cell import Cell
from gs_stereo.pipeline.graph import load_cell, make_cell, unfold
from gs_stereo.pipeline.recipe import RecipeEntry, Step, load_recipe, resolve, resolve_step
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.stages.registry import STAGES

ROOT = Path(__file__).parents[2]
REQUIRED = {"import": {"colmap": "sparse/0"}, "import-splat": {"splat": "/x/splat.ply"}}
PATHS = ScenePaths(scene=Path("/scenes/room"), output=Path("/scenes/room/gsstereo"))


def step(stage: str, **settings: object) -> Step:
    return resolve_step(RecipeEntry(stage=stage, set={**REQUIRED.get(stage, {}), **settings}), STAGES)


def check_round_trip(cell: Cell, made_of: Step) -> None:
    assert record_from_json(Cell, json_text(cell)) == pickle.loads(pickle.dumps(cell)) == cell
    run = load_cell(cell, STAGES)
    assert (type(run.stage), run.config) == (type(made_of.stage), made_of.config)
    assert cell.published == run.folder


@pytest.mark.parametrize("name", STAGES.builtin)
def test_a_stage_is_called_as_it_is_registered_and_its_cell_is_plain_data(name: str) -> None:
    made = step(name)
    assert made.stage.name == name
    check_round_trip(make_cell(made, PATHS, key=name, seed=0), made)
    assert made.stage.resources(made.config).cores >= 1
    assert made.stage.resources(made.config).memory_mb >= 100


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_cells_of_a_shipped_recipe_are_plain_data(path: Path) -> None:
    steps = resolve(load_recipe(path), STAGES)
    for cell, made in zip(unfold(steps, [PATHS], 0), steps, strict=True):
        check_round_trip(cell, made)


@pytest.mark.parametrize(
    ("stage", "settings", "gpus"),
    [
        ("fit", {}, 0),
        ("fit", {"backend": "gsplat"}, 1),
        ("render-pairs", {"backend": "gsplat"}, 1),
        ("train", {"device": "auto"}, 0),
        ("train", {"device": "cuda", "devices": 2}, 2),
        ("label", {"experts": {"lite": {"device": "cuda"}}}, 1),
        ("label", {"expert": "splat", "experts": {"lite": {"device": "cuda"}}}, 0),
        ("evaluate", {"expert": "lite", "experts": {"lite": {"device": "cuda"}}}, 1),
    ],
)
def test_a_gpu_is_asked_for_where_the_settings_name_it(stage: str, settings: dict[str, object], gpus: int) -> None:
    made = step(stage, **settings)
    assert made.stage.resources(made.config).gpus == gpus


def test_larger_work_asks_for_more_memory() -> None:
    small, large = step("fit"), step("fit", max_gaussians=1_000_000)
    assert large.stage.resources(large.config).memory_mb > 1.5 * small.stage.resources(small.config).memory_mb
