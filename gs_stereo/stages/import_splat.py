"""A 3DGS .ply from elsewhere -> `fit/`, as if we had fitted it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.errors import ConfigError
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.splat.folder import FOLDER, SPLAT_NAME, SplatInfo, write_splat_info


class ImportSplatConfig(Config):
    """Which splat, and how it was fitted."""

    splat: str = Field(description="The .ply file, in the frame of the scene's cameras.")
    antialiased: bool = Field(default=False, description="Whether it was fitted in antialiased (Mip-Splatting) mode.")


class ImportSplatStage(Stage):
    """Checks the file and publishes a clean copy; values are kept exactly."""

    name = "import-splat"
    version = 1
    config_type = ImportSplatConfig
    replaces_others = True

    def folder(self, config: ImportSplatConfig) -> str:
        return FOLDER

    def inputs(self, paths: ScenePaths, config: ImportSplatConfig) -> StageInputs:
        path = Path(config.splat)
        if path.suffix.lower() != ".ply":
            raise ConfigError(f"The splat {path} is not a .ply file; export the splat as a 3DGS .ply.")
        return StageInputs(external={path.name: path})

    def resources(self, config: ImportSplatConfig) -> Resources:
        return Resources(memory_mb=1000)

    def run(self, context: StageContext, config: ImportSplatConfig) -> StageOutcome:
        from gs_stereo.io.ply import load_splat, save_splat

        gaussians = load_splat(Path(config.splat))
        save_splat(context.work_dir / SPLAT_NAME, gaussians)
        write_splat_info(context.work_dir, SplatInfo(antialiased=config.antialiased))
        return StageOutcome(
            metrics={"gaussians": len(gaussians), "sh_degree": gaussians.sh_degree},
            summary={"Gaussians": str(len(gaussians)), "SH degree": str(gaussians.sh_degree)},
        )
