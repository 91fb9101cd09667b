"""`gsstereo audit`: how wrong the labels of this capture are, by objects planted into its own photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gs_stereo.cli.dataset_verbs import FAILED_VERDICT_EXIT_CODE
from gs_stereo.cli.options import Common, SceneArgument, given, shared_options
from gs_stereo.cli.running import finished_cells
from gs_stereo.cli.tables import print_json, print_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gs_stereo.pipeline.cell import Cell
    from gs_stereo.pipeline.recipe import Recipe
    from gs_stereo.pipeline.scene import ScenePaths


@shared_options("out", "set_", "seed", "force", "workers", "dry_run", "json", "quiet")
def audit(
    *,
    scene: SceneArgument = Path(),
    dataset: Annotated[
        str | None, typer.Option(help="Name of the data set; the one that was written last by default.")
    ] = None,
    objects: Annotated[int | None, typer.Option(help="Objects to plant.", show_default="32")] = None,
    max_bad_1: Annotated[
        float | None, typer.Option(metavar="PERCENT", help="Exit code 5 if more labels are wrong by more than 1 px.")
    ] = None,
    min_coverage: Annotated[
        float | None, typer.Option(metavar="PERCENT", help="Exit code 5 if fewer pixels have a label.")
    ] = None,
    common: Common,
) -> None:
    """Measure the label error of a capture: plant objects of known shape into its photos and label them the same way.

    Fit, pairs and labels are made again from the planted photos, with the settings that they had, beside the capture's
    own results, which stay as they are. An error of the camera poses is not seen by this.
    Exit code 0, or 5 if a limit is broken.
    """
    from gs_stereo.pipeline.graph import assess_cells
    from gs_stereo.pipeline.scene import ScenePaths
    from gs_stereo.stages.registry import STAGES

    paths = ScenePaths.of(scene, common.out)
    limits = {name: value / 100 for name, value in given(max_bad_1=max_bad_1, min_coverage=min_coverage).items()}
    cells = _cells(paths, dataset or paths.newest_dataset(), given(objects=objects), limits, common)
    if common.dry_run:
        print_plan(assess_cells(cells[:1], STAGES), as_json=common.json)
        return
    reports = [report for _, report in finished_cells(cells, common)]
    done = reports[-1]
    if common.json:
        print_json({"scene": str(scene.resolve()), "folder": str(done.folder), **done.manifest.metrics})
    else:
        print(done.manifest.text)
        print(f"Pictures and figures are in {done.folder}")
    if done.manifest.metrics.get("broken_limits"):
        raise typer.Exit(FAILED_VERDICT_EXIT_CODE)


def audit_recipe(recipe: Recipe, scenes: Sequence[Path], common: Common) -> list[str]:
    """Audit the labels that a recipe has made last, of each scene; returns the tables."""
    from gs_stereo.cli.running import paths_of
    from gs_stereo.config import parse_overrides
    from gs_stereo.errors import ConfigError
    from gs_stereo.pipeline.recipe import resolve
    from gs_stereo.stages.registry import STAGES

    steps = resolve(recipe, STAGES, parse_overrides(common.set_ or []), common.preset)
    labels = [Path(step.folder).name for step in steps if step.name == "label"]
    if not labels:
        raise ConfigError(f"The recipe {recipe.name!r} makes no labels; leave out --audit.")
    own = replace(common, set_=None, preset=None)
    cells = [_cells(paths, labels[-1], {}, {}, own) for paths in paths_of(scenes, common)]
    return [[report for _, report in finished_cells(those, own)][-1].manifest.text or "" for those in cells]


def _cells(
    paths: ScenePaths, dataset: str, planting: dict[str, object], limits: dict[str, float], common: Common
) -> list[Cell]:
    """Plant, do all that led to the data set again on the planted photos, compare; one after the other."""
    from gs_stereo.cli.running import stage_step
    from gs_stereo.errors import InputError
    from gs_stereo.pipeline.chain import Chain
    from gs_stereo.pipeline.graph import make_cell
    from gs_stereo.pipeline.scene import DATASETS_FOLDER
    from gs_stereo.stages.audit import planted_scene
    from gs_stereo.stages.registry import STAGES

    folder = f"{DATASETS_FOLDER}/{dataset}"
    chain = Chain(paths, STAGES)
    chain.check([folder])
    made = {cell.stage: cell for cell in chain.cells_behind(folder)}
    if missing := [stage for stage in ("fit", "render-pairs", "label") if stage not in made]:
        raise InputError(
            f"The labels {dataset} in {paths.output} were made without `gsstereo {missing[0]}`; an audit needs a "
            "capture whose splat, pairs and labels were made here, as `gsstereo run` does."
        )
    seed = made["label"].seed if common.seed is None else common.seed
    plant = make_cell(stage_step("plant", planting, common), paths, key="plant", seed=seed)
    unset = replace(common, set_=None, preset=None)
    inner = planted_scene(paths)
    cells = [plant, _import_cell(paths, inner, unset, seed)]
    for stage in ("fit", "render-pairs", "label"):
        cell = made[stage]
        config = dict(cell.config)
        if views := config.get("views_file"):  # relative to the capture, not to the planted photos
            config["views_file"] = str(paths.scene / views)
        if stage == "render-pairs":
            config["objects"] = 0  # those that are planted are enough
        key = f"{stage} of planted photos"
        cells.append(
            replace(
                cell,
                key=key,
                config=config,
                scene=str(inner.scene),
                output=str(inner.output),
                needs=tuple(before.key for before in cells),
            )
        )
    compare = make_cell(
        stage_step("audit", {"dataset": dataset, **limits}, unset),
        paths,
        key="audit",
        seed=seed,
        needs=tuple(cell.key for cell in cells),
    )
    return [*cells, compare]


def _import_cell(paths: ScenePaths, inner: ScenePaths, common: Common, seed: int) -> Cell:
    """The planted photos with the cameras of the capture: poses, frame, scale and size are kept."""
    from gs_stereo.cli.running import stage_step
    from gs_stereo.io.reconstruction import load_sparse_scene, load_summary
    from gs_stereo.pipeline.graph import make_cell
    from gs_stereo.stages import plant, reconstruct

    folder = paths.published(reconstruct.FOLDER)
    cameras = load_sparse_scene(folder).cameras
    values = {
        "colmap": plant.MODEL,
        "images": plant.IMAGES,
        "metres_per_unit": load_summary(folder).metres_per_unit,
        "max_image_size": max(64, *(max(camera.width, camera.height) for camera in cameras)),
    }
    step = stage_step("import", values, common)
    return make_cell(step, inner, key="import of planted photos", seed=seed, needs=("plant",))
