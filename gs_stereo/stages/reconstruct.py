"""Photos or a video -> cameras, sparse points and undistorted photos in `reconstruct/`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gs_stereo.errors import InputError
from gs_stereo.io.images import list_photos
from gs_stereo.io.video import VIDEO_SUFFIXES
from gs_stereo.pipeline.scene import OUTPUT_FOLDER, ScenePaths
from gs_stereo.pipeline.stage import StageContext, StageInputs, StageOutcome
from gs_stereo.sfm.config import ReconstructConfig

FOLDER = "reconstruct"


class ReconstructStageConfig(ReconstructConfig):
    """Structure from motion, and where the photos are."""

    images: str | None = Field(
        default=None, description="Photo folder or video file; by default SCENE/images, a video in SCENE, or SCENE."
    )


class ReconstructStage:
    """See the module."""

    name = "reconstruct"
    version = 1
    config_type = ReconstructStageConfig
    replaces_others = False

    def folder(self, config: ReconstructStageConfig) -> str:
        return FOLDER

    def inputs(self, paths: ScenePaths, config: ReconstructStageConfig) -> StageInputs:
        source = find_source(paths, config.images)
        if source.is_file():
            external = {source.name: source}
        else:
            external = {path.relative_to(source).as_posix(): path for path in photos_in(source, paths)}
        if config.camera_positions:
            external["(camera positions)"] = Path(config.camera_positions)
        return StageInputs(external=external)

    def run(self, context: StageContext, config: ReconstructStageConfig) -> StageOutcome:
        from gs_stereo.sfm.reconstruct import reconstruct, reconstruct_video

        source = find_source(context.paths, config.images)
        settings = ReconstructConfig(**config.model_dump(exclude={"images"}))
        if source.is_file():
            result = reconstruct_video(source, context.work_dir, settings, seed=context.seed)
        else:
            photos = photos_in(source, context.paths)
            result = reconstruct(photos, source, context.work_dir, settings, seed=context.seed)
        return result.outcome() if hasattr(result, "outcome") else StageOutcome()


def find_source(paths: ScenePaths, images: str | None) -> Path:
    """The photo folder or the video of a scene, by the rule of `ReconstructStageConfig.images`."""
    if images is not None:
        source = Path(images)
        source = source if source.is_absolute() else paths.scene / source
        if not source.exists():
            raise InputError(f"{source} does not exist; give --images a photo folder or a video file.")
        return source
    if (paths.scene / "images").is_dir():
        return paths.scene / "images"
    videos = sorted(path for path in paths.scene.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
    if len(videos) > 1:
        raise InputError(f"There are {len(videos)} videos in {paths.scene}; choose one with --images.")
    return videos[0] if videos else paths.scene


def photos_in(folder: Path, paths: ScenePaths) -> list[Path]:
    """The photos below `folder`, without what this program made there."""
    made = {paths.output, paths.scene / OUTPUT_FOLDER}
    return [path for path in list_photos(folder) if not made & set(path.parents)]
