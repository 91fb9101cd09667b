"""Photos or a video -> cameras, sparse points and undistorted photos in `reconstruct/`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import Field

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import list_photos
from gs_stereo.log import Progress as Bar
from gs_stereo.log import progress as bar_of
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.manifest import read_manifest
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.sfm.config import ReconstructConfig
from gs_stereo.sfm.masks import mask_files
from gs_stereo.sfm.source import find_source

if TYPE_CHECKING:
    from gs_stereo.sfm.job import OnProgress
    from gs_stereo.sfm.job import Progress as StepProgress
    from gs_stereo.sfm.publish import ReconstructionResult

FOLDER = "reconstruct"


class ReconstructStageConfig(ReconstructConfig):
    """Structure from motion, and where the photos are."""

    images: str | None = Field(
        default=None, description="Photo folder or video file; by default SCENE/images, a video in SCENE, or SCENE."
    )


class ReconstructStage(Stage):
    """See the module."""

    name = "reconstruct"
    version = 4
    config_type = ReconstructStageConfig

    def folder(self, config: ReconstructStageConfig) -> str:
        return FOLDER

    def inputs(self, paths: ScenePaths, config: ReconstructStageConfig) -> StageInputs:
        source = find_source(paths.scene, config.images)
        if source.is_file():
            external = {source.name: source}
        else:
            external = {path.relative_to(source).as_posix(): path for path in list_photos(source)}
            external |= {f"(mask) {path.name}": path for path in mask_files(source, config.near(paths.scene))}
        if config.camera_positions:
            external["(camera positions)"] = paths.scene / config.camera_positions
        return StageInputs(external=external)

    def resources(self, config: ReconstructStageConfig) -> Resources:
        return Resources(cores=2, memory_mb=1000)

    def run(self, context: StageContext, config: ReconstructStageConfig) -> StageOutcome:
        from gs_stereo.sfm.reconstruct import reconstruct

        scene = context.paths.scene
        config = config.near(scene)
        if config.camera_positions:
            config = config.model_copy(update={"camera_positions": str(scene / config.camera_positions)})
        source = find_source(scene, config.images)
        fit = read_manifest(context.published("fit"))
        if fit is not None and fit.stage == "import-splat" and source.is_dir() and not list_photos(source):
            raise InputError(
                f"There are no photos in {source}, and the splat that was imported needs none: go on with "
                f"`gsstereo render-pairs {scene}`."
            )
        with photo_progress(self.name) as on_progress:
            result = reconstruct(source, context.work_dir, config, seed=context.seed, on_progress=on_progress)
        return outcome_of(result)


@contextmanager
def photo_progress(title: str) -> Iterator[OnProgress]:
    """Shows the steps of the worker as they come: one bar after the other."""
    step, done = "", 0
    with ExitStack() as stack:
        bar: Bar | None = None

        def show(progress: StepProgress) -> None:
            nonlocal bar, step, done
            if bar is None or progress.step != step:
                stack.close()
                step, done = progress.step, 0
                bar = stack.enter_context(bar_of(f"{title}, {step}", progress.total, ""))
            bar.advance(progress.done - done)
            done = progress.done

        yield show


def outcome_of(result: ReconstructionResult) -> StageOutcome:
    """What the manifest and the table say about a reconstruction."""
    summary = result.summary
    error = summary.mean_reprojection_error_px
    table = {
        "registered": f"{len(summary.image_files)} of {summary.num_photos} photos",
        "points": str(summary.num_points),
        "reprojection error": "-" if error is None else f"{error:.2f} px",
        "scale": "unknown" if summary.metres_per_unit is None else f"{summary.metres_per_unit:g} m/unit",
    }
    metrics = {
        "photos": summary.num_photos,
        "registered": len(summary.image_files),
        "points": summary.num_points,
        "mean_reprojection_error_px": error,
        "mean_track_length": summary.mean_track_length,
        "metres_per_unit": summary.metres_per_unit,
        "scale_source": summary.scale_source,
        "failed": dict(summary.failed),
    }
    if summary.refinement is not None:
        metrics["refinement"] = asdict(summary.refinement)
    failed = [f"not used: {name}: {reason}" for name, reason in summary.failed.items()]
    drops = {"photos that were not used": len(summary.failed)} if summary.failed else {}
    return StageOutcome(
        metrics=metrics,
        drops=drops,
        summary=table,
        text="\n".join([*summary.notes, *filter(None, [summary.advice]), *failed]),
    )
