"""Every shipped preset and recipe is valid, and presets hold only differences from the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from gs_stereo.benchmarks.evaluate_matcher import EvaluateConfig
from gs_stereo.config import load_yaml, parse_config
from gs_stereo.pipeline.recipe import RecipeEntry, load_recipe, resolve, resolve_step
from gs_stereo.stages.registry import DEFAULT_RECIPE, STAGES

ROOT = Path(__file__).parents[2]
NO_STAGE = ("experts", "evaluate")
PRESETS = sorted(path for path in (ROOT / "configs").glob("*/*.yaml") if path.parent.name not in NO_STAGE)
RECIPES = sorted((ROOT / "pipelines").glob("*.yaml"))


def test_there_are_presets_and_recipes() -> None:
    assert {path.stem for path in RECIPES} >= {"smoke", "demo", "splat_labels", "expert_labels"}
    for stage in ("reconstruct", "fit", "render-pairs", "label"):
        assert {path.stem for path in PRESETS if path.parent.name == stage} >= {"fast", "quality"}


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_preset_is_valid_and_differs_from_the_defaults(path: Path) -> None:
    step = resolve_step(RecipeEntry(stage=path.parent.name, preset=path.stem), STAGES)
    plain = resolve_step(RecipeEntry(stage=path.parent.name), STAGES)
    values, defaults = step.config.model_dump(mode="json"), plain.config.model_dump(mode="json")
    for key in load_yaml(path):
        assert values[key] != defaults[key], f"{key} is the default"


@pytest.mark.parametrize("path", sorted((ROOT / "configs/evaluate").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_preset_of_evaluate_is_valid(path: Path) -> None:
    assert parse_config(EvaluateConfig, load_yaml(path), where=str(path)) != EvaluateConfig()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_resolves(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.description
    assert len(resolve(recipe, STAGES)) == len(recipe.stages)


@pytest.mark.parametrize("preset", ["draft", "fast", "quality"])
def test_the_default_recipe_takes_the_shipped_presets(preset: str) -> None:
    steps = resolve(DEFAULT_RECIPE, STAGES, {}, preset)
    plain = resolve(DEFAULT_RECIPE, STAGES)
    assert [step.config for step in steps] != [step.config for step in plain]
