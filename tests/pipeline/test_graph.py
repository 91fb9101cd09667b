"""The graph of cells: unfolding over scenes, what blocks what, and `gsstereo run` on several scenes."""

from __future__ import annotations

import json
import pickle
from functools import partial
from pathlib import Path

import pytest
from toy_stages import TOY_STAGES, CountConfig, steps_of
from typer.testing import CliRunner, Result

from gs_stereo.cli.main import app
from gs_stereo.config import Config
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.executors.local import LocalExecutor
from gs_stereo.pipeline.cell import Cell, StageReport
from gs_stereo.pipeline.graph import assess_cells, run_cell, unfold
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.stages.registry import STAGES

RECIPE = """
name: two rooms
scenes: [room_a, room_b]
stages:
  - stage: count
    set: {units: 2}
  - stage: sum
"""


@pytest.fixture
def rooms(tmp_path: Path) -> tuple[ScenePaths, ScenePaths]:
    """Two scenes; the first one lacks its photo."""
    for name in ("room_a", "room_b"):
        (tmp_path / name).mkdir()
    (tmp_path / "room_b/input.txt").write_text("photo")
    return ScenePaths.of(tmp_path / "room_a"), ScenePaths.of(tmp_path / "room_b")


def cells_of(rooms: tuple[ScenePaths, ...]) -> list[Cell]:
    return unfold(steps_of(("count", CountConfig()), ("sum", Config())), rooms, 3)


def test_a_recipe_unfolds_scene_by_scene_and_a_cell_needs_those_before_it(rooms: tuple[ScenePaths, ...]) -> None:
    cells = cells_of(rooms)
    assert [cell.key for cell in cells] == ["count room_a", "sum room_a", "count room_b", "sum room_b"]
    assert [cell.needs for cell in cells] == [(), ("count room_a",), (), ("count room_b",)]
    assert {cell.seed for cell in cells} == {3}
    assert [cell.published for cell in cells] == [room.output / name for room in rooms for name in ("count", "sum")]


def test_keys_tell_scenes_and_results_of_one_name_apart(tmp_path: Path) -> None:
    scenes = [tmp_path / house / "photos" for house in ("a", "b")]
    for scene in scenes:
        scene.mkdir(parents=True)
    steps = steps_of(("count", CountConfig()))
    assert [cell.key for cell in unfold(steps, [ScenePaths.of(scene) for scene in scenes], 0)] == [
        f"count {scene}" for scene in scenes
    ]
    with pytest.raises(ConfigError, match="The recipe makes count photos count twice"):
        unfold([*steps, *steps], [ScenePaths.of(scenes[0])], 0)


def test_a_failed_cell_blocks_only_what_needs_it(rooms: tuple[ScenePaths, ...]) -> None:
    cells = cells_of(rooms)
    states = [(status.state, status.waits_for) for status in assess_cells(cells, TOY_STAGES)]
    assert states == [("blocked", None), ("blocked", "count room_a"), ("missing", None), ("missing", "count room_b")]
    sent = pickle.loads(pickle.dumps((cells, partial(run_cell, stages=TOY_STAGES))))  # as to another process
    results = list(LocalExecutor(1).run(*sent))
    assert [result.cell.key for result in results] == ["count room_a", "count room_b", "sum room_b"]
    assert isinstance(results[0].outcome, InputError)
    assert all(isinstance(result.outcome, StageReport) for result in results[1:])


@pytest.fixture
def recipe(rooms: tuple[ScenePaths, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, place in TOY_STAGES.builtin.items():
        monkeypatch.setitem(STAGES.builtin, name, place)
    path = tmp_path / "rooms.yaml"
    path.write_text(RECIPE)
    return path


def run(recipe: Path, *more: object) -> Result:
    return CliRunner().invoke(app, ["run", "--config", str(recipe), *map(str, more)])


def test_a_scene_that_fails_does_not_stop_the_others(recipe: Path, rooms: tuple[ScenePaths, ...]) -> None:
    result = run(recipe)
    assert result.exit_code == InputError.exit_code
    assert "room_a/input.txt" in result.stderr.splitlines()[-1]
    assert (rooms[1].output / "sum/manifest.json").is_file()
    assert str(rooms[1].output / "sum") in result.stdout
    (rooms[0].scene / "input.txt").write_text("photo")
    said = json.loads(run(recipe, "--json").stdout)
    assert [[stage["action"] for stage in scene["stages"]] for scene in said] == [["done"] * 2, ["skipped"] * 2]


def test_the_plan_of_several_scenes_names_them(recipe: Path, rooms: tuple[ScenePaths, ...]) -> None:
    plan = json.loads(run(recipe, "--dry-run", "--json").stdout)
    assert [entry["scene"] for entry in plan] == [str(room.scene) for room in rooms for _ in range(2)]
    assert [entry["folder"] for entry in plan] == ["count", "sum"] * 2
    assert "room_b" in run(recipe, "--dry-run").stdout
    assert not rooms[1].output.exists()


def test_results_of_several_scenes_elsewhere_do_not_meet(
    recipe: Path, rooms: tuple[ScenePaths, ...], tmp_path: Path
) -> None:
    (rooms[0].scene / "input.txt").write_text("photo")
    assert run(recipe, "--out", tmp_path / "out").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("captures/*/sum")) == ["sum", "sum"]
