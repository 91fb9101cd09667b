"""A 3DGS .ply, .spz or .sog from elsewhere -> `fit/`, as if we had fitted it."""

from pathlib import Path

from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.core.records import write_record
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.io.sog import META_NAME, load_sog, sog_files
from gs_stereo.log import logger
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.splat.folder import FOLDER, SPLAT_NAME, VIEWS_NAME, SplatInfo, write_splat_info

CAMERAS_NAME = "cameras.json"


class ImportSplatConfig(Config):
    """Which splat, and how it was fitted."""

    splat: str = Field(
        description="The .ply, .spz or .sog file (or the meta.json of an unpacked .sog), in the frame of the cameras."
    )
    antialiased: bool | None = Field(
        default=None,
        description="Whether it was fitted in antialiased (Mip-Splatting) mode; by default what the file says.",
    )


class ImportSplatStage(Stage):
    """Checks the file and publishes a clean copy; values are kept exactly.

    The cameras.json that the 3DGS reference code writes above its .ply becomes `views.json`: where there are no photos,
    pairs are rendered at these cameras.
    """

    name = "import-splat"
    version = 4
    config_type = ImportSplatConfig
    replaces_others = True

    def folder(self, config: ImportSplatConfig) -> str:
        return FOLDER

    def inputs(self, paths: ScenePaths, config: ImportSplatConfig) -> StageInputs:
        path = Path(config.splat)
        if path.suffix.lower() not in (".ply", ".spz", ".sog") and path.name != META_NAME:
            raise ConfigError(f"The splat {path} is no .ply, .spz or .sog file; export the splat as a 3DGS .ply.")
        cameras = _cameras_of(path)
        files = sog_files(path) if path.is_file() and path.name == META_NAME else [path]
        named = {file.name: file for file in files}
        return StageInputs(external={**named, **({CAMERAS_NAME: cameras} if cameras else {})})

    def resources(self, config: ImportSplatConfig) -> Resources:
        return Resources(memory_mb=1000)

    def run(self, context: StageContext, config: ImportSplatConfig) -> StageOutcome:
        from gs_stereo.geometry.local_frame import NO_ORIGIN, local_origin
        from gs_stereo.io.ply import load_splat_file, save_splat
        from gs_stereo.io.spz import load_spz
        from gs_stereo.io.view_files import read_view_file
        from gs_stereo.io.views import CameraRecord, ViewsFile

        splat = Path(config.splat)
        load = {".ply": load_splat_file, ".spz": load_spz}.get(splat.suffix.lower(), load_sog)
        read = load(splat)
        gaussians, origin = read.gaussians, read.origin
        antialiased = read.antialiased if config.antialiased is None else config.antialiased
        far = local_origin(gaussians.means.double().numpy())
        if far != NO_ORIGIN:
            logger.warning(
                "%s: its Gaussians lie around (%.6g, %.6g, %.6g), where float32 has few digits left and pictures "
                "suffer; export it around its own centre, and move the cameras likewise.",
                splat,
                *far,
            )
        save_splat(context.work_dir / SPLAT_NAME, gaussians, origin, antialiased=antialiased)
        write_splat_info(context.work_dir, SplatInfo(antialiased=antialiased, origin=origin))
        summary = {"Gaussians": str(len(gaussians)), "SH degree": str(gaussians.sh_degree)}
        if cameras := _cameras_of(splat):
            try:
                views = read_view_file(cameras)
            except InputError as error:
                logger.warning("%s is not used: %s", cameras, error)
            else:
                write_record(context.work_dir / VIEWS_NAME, ViewsFile(views=tuple(map(CameraRecord.of, views))))
                summary["cameras"] = f"{len(views)} of {cameras}"
        return StageOutcome(metrics={"gaussians": len(gaussians), "sh_degree": gaussians.sh_degree}, summary=summary)


def _cameras_of(splat: Path) -> Path | None:
    """cameras.json beside the .ply or up to two folders above: 3DGS has point_cloud/iteration_30000/point_cloud.ply."""
    folders = splat.resolve().parents[:3]
    return next((path for folder in folders if (path := folder / CAMERAS_NAME).is_file()), None)
