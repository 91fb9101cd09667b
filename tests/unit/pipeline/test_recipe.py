"""Recipes: precedence of settings, unknown stages and keys, shipped names."""

from __future__ import annotations

from pathlib import Path

import pytest

from gs_stereo.errors import ConfigError, PluginError
from gs_stereo.pipeline.recipe import Recipe, RecipeEntry, load_recipe, resolve, resolve_step
from gs_stereo.stages.registry import STAGES


def test_settings_are_laid_on_each_other_in_order() -> None:
    plain = resolve_step(RecipeEntry(stage="fit"), STAGES).config
    preset = resolve_step(RecipeEntry(stage="fit", preset="fast"), STAGES).config
    recipe = resolve_step(RecipeEntry(stage="fit", preset="fast", set={"iterations": 7}), STAGES).config
    override = resolve_step(
        RecipeEntry(stage="fit", preset="fast", set={"iterations": 7}), STAGES, {"iterations": 9}
    ).config
    assert preset.iterations < plain.iterations
    assert (recipe.iterations, override.iterations) == (7, 9)
    assert override.max_gaussians == preset.max_gaussians


def test_overrides_may_write_a_stage_with_an_underscore() -> None:
    recipe = Recipe(stages=(RecipeEntry(stage="render-pairs"),))
    [step] = resolve(recipe, STAGES, {"render_pairs": {"baselines": [0.25]}})
    assert step.config.baselines == (0.25,)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [({"train": {}}, "has no stage 'train'"), ({"fit": 3}, "must name a setting"), ({"fit": {"x": 1}}, "Unknown")],
)
def test_a_wrong_override_is_an_error(overrides: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(Recipe(stages=(RecipeEntry(stage="fit"),)), STAGES, overrides)


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="known are: draft, fast, quality"):
        resolve_step(RecipeEntry(stage="fit", preset="slow"), STAGES)
    with pytest.raises(ConfigError, match="has a preset 'slow'"):
        resolve(Recipe(stages=(RecipeEntry(stage="fit"),)), STAGES, {}, "slow")


def test_an_unknown_stage_is_an_error() -> None:
    with pytest.raises(PluginError, match="There is no stage called 'paint'"):
        resolve_step(RecipeEntry(stage="paint"), STAGES)


def test_a_shipped_recipe_is_found_by_name_and_a_file_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smoke").mkdir()  # a scene of that name is no recipe
    assert load_recipe(Path("smoke")).name == "smoke"
    path = tmp_path / "mine.yaml"
    path.write_text("stages: [{stage: fit, set: {iterations: 5}}]\n")
    assert resolve(load_recipe(path), STAGES)[0].config.iterations == 5


def test_scenes_lie_beside_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("stages: [{stage: fit}]\nscenes: [room_a, /elsewhere/room_b]\n")
    assert load_recipe(path).scenes == (str(tmp_path / "room_a"), "/elsewhere/room_b")


@pytest.mark.parametrize("text", ["stages: 3", "stage: []", "stages: [{stage: fit, sets: {}}]", "{}"])
def test_a_wrong_recipe_file_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        load_recipe(path)
