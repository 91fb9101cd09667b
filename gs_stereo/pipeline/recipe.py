"""Recipes (ordered stages with presets and overrides) and the presets they name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from gs_stereo.config import Config, is_shipped, load_yaml, merge, parse_config, shipped
from gs_stereo.errors import ConfigError
from gs_stereo.pipeline.stage import Stage, Stages


class StageSettings(Config):
    """An optional preset, and settings laid on top of it."""

    preset: str | None = Field(default=None, description="configs/<stage>/<preset>.yaml")
    set: dict[str, Any] = Field(default_factory=dict, description="settings that differ from the preset")


class RecipeEntry(StageSettings):
    """One stage of a recipe."""

    stage: str = Field(description="a stage name, for example fit")


class LabelSource(Config):
    """A label source of an experiment: all that may differ between its trainings."""

    captured: str | None = Field(default=None, description="one of the matrix' captures; null: as the recipe says")
    label: dict[str, Any] = Field(default_factory=dict, description="settings of label")
    labels_of: str | None = Field(default=None, description="the source whose labels these are; only the loss differs")
    loss: dict[str, Any] = Field(default_factory=dict, description="settings of train.loss: how the label is used")


class Matrix(Config):
    """Makes a recipe an experiment: its trainings are repeated for every label source and seed."""

    labels: dict[str, LabelSource] = Field(min_length=1, description="name -> label source")
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1, description="seeds of training")
    against: str | None = Field(default=None, description="row to which the others get intervals, if it is run")
    captures: dict[str, dict[str, dict[str, Any]]] = Field(
        default_factory=dict, description="name -> stage -> settings: other ways to make the captures' pairs"
    )
    references: dict[str, StageSettings] = Field(
        default_factory=dict, description="name -> settings of evaluate: rows of the table that nothing trains"
    )


class Recipe(Config):
    """An ordered list of stages, and optionally the scenes to run them on.

    A file names scenes relative to itself; `load_recipe` puts its folder before them.
    """

    name: str = "default"
    description: str = ""
    seed: int = 0
    scenes: tuple[str, ...] = Field(default=(), description="scene folders, relative to the recipe file")
    stages: tuple[RecipeEntry, ...]
    matrix: Matrix | None = Field(default=None, description="for `gsstereo experiment`: label sources and seeds")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A stage with its resolved settings. name: of the stage in the registry."""

    name: str
    stage: Stage
    config: Config

    @property
    def folder(self) -> str:
        """Where its result is published, relative to the scene's output."""
        return self.stage.folder(self.config)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file; a bare name such as `smoke` means the one that is shipped."""
    if not path.is_file() and path.parent == Path() and not path.suffix:
        path = shipped(f"pipelines/{path.name}.yaml")
    recipe = parse_config(Recipe, load_yaml(path), where=str(path))
    return recipe.model_copy(update={"scenes": tuple(str(path.parent / scene) for scene in recipe.scenes)})


def resolve_step(
    entry: RecipeEntry, stages: Stages, overrides: Mapping[str, Any] = {}, preset: str | None = None
) -> Step:
    """Defaults < preset < recipe < overrides. `preset` applies if the entry has none and one is shipped.

    Raises PluginError for an unknown stage and ConfigError for a wrong setting.
    """
    stage = stages.load(entry.stage)()
    values: dict[str, Any] = {}
    shared = preset if preset and is_shipped(f"configs/{entry.stage}/{preset}.yaml") else None
    name = entry.preset or shared
    where = f"the settings of {entry.stage}"
    if name:
        path = shipped(f"configs/{entry.stage}/{name}.yaml")
        values, where = load_yaml(path), f"{where} ({path})"
    values = merge(merge(values, entry.set), overrides)
    return Step(name=entry.stage, stage=stage, config=parse_config(stage.config_type, values, where=where))


def resolve(recipe: Recipe, stages: Stages, overrides: Mapping[str, Any] = {}, preset: str | None = None) -> list[Step]:
    """All steps of a recipe, on defaults < preset < recipe < overrides (see `overrides_by_stage`)."""
    by_stage = overrides_by_stage(recipe, overrides)
    if preset and not any(is_shipped(f"configs/{entry.stage}/{preset}.yaml") for entry in recipe.stages):
        raise ConfigError(f"No stage of the recipe {recipe.name!r} has a preset {preset!r}; try fast or quality.")
    return [resolve_step(entry, stages, by_stage.get(entry.stage, {}), preset) for entry in recipe.stages]


def overrides_by_stage(recipe: Recipe, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides keyed by stage name, which may have _ for -; ConfigError for a stage that is not in the recipe."""
    by_stage = {key.replace("_", "-"): value for key, value in overrides.items()}
    unknown = set(by_stage) - {entry.stage for entry in recipe.stages}
    if unknown:
        known = ", ".join(entry.stage for entry in recipe.stages)
        raise ConfigError(f"The recipe {recipe.name!r} has no stage {sorted(unknown)[0]!r}; it has: {known}.")
    for key, value in by_stage.items():
        if not isinstance(value, Mapping):
            raise ConfigError(f"The override {key!r} must name a setting, for example {key}.setting=value.")
    return by_stage
