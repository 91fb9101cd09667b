"""Cameras from elsewhere (COLMAP, nerfstudio, instant-ngp) -> `reconstruct/`, poses and frame exactly as given."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import list_photos
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import StageContext, StageInputs, StageOutcome
from gs_stereo.sfm.config import ImportConfig
from gs_stereo.stages.reconstruct import FOLDER, outcome_of, photo_progress


class ImportCamerasConfig(ImportConfig):
    """Either a COLMAP model and its photos, or a transforms.json that names its photos."""

    colmap: str | None = Field(default=None, description="COLMAP model folder, text or binary.")
    images: str | None = Field(default=None, description="Photo folder of the COLMAP model; SCENE/images by default.")
    transforms: str | None = Field(default=None, description="transforms.json of nerfstudio or instant-ngp.")

    @model_validator(mode="after")
    def _one_source(self) -> ImportCamerasConfig:
        if (self.colmap is None) == (self.transforms is None):
            raise ValueError("give either a COLMAP model or a transforms.json")
        return self


class ImportCamerasStage:
    """See the module."""

    name = "import"
    version = 1
    config_type = ImportCamerasConfig
    replaces_others = True

    def folder(self, config: ImportCamerasConfig) -> str:
        return FOLDER

    def inputs(self, paths: ScenePaths, config: ImportCamerasConfig) -> StageInputs:
        files = _model_files(paths, config) + _photo_files(paths, config)
        root = _root(paths, config)
        return StageInputs(external={_name(path, root): path for path in files})

    def resources(self, config: ImportCamerasConfig) -> Resources:
        return Resources(cores=2)

    def run(self, context: StageContext, config: ImportCamerasConfig) -> StageOutcome:
        from gs_stereo.sfm.importers import import_colmap, import_transforms

        settings = ImportConfig(**config.model_dump(exclude={"colmap", "images", "transforms"}))
        with photo_progress("import") as on_progress:
            if config.transforms is not None:
                source = context.paths.scene / config.transforms
                result = import_transforms(
                    source, context.work_dir, settings, seed=context.seed, on_progress=on_progress
                )
            else:
                model, photos = context.paths.scene / str(config.colmap), _image_folder(context.paths, config)
                result = import_colmap(
                    model, photos, context.work_dir, settings, seed=context.seed, on_progress=on_progress
                )
        return outcome_of(result)


def _root(paths: ScenePaths, config: ImportCamerasConfig) -> Path:
    return _image_folder(paths, config) if config.transforms is None else (paths.scene / config.transforms).parent


def _image_folder(paths: ScenePaths, config: ImportCamerasConfig) -> Path:
    folder = paths.scene / (config.images or "images")
    if not folder.is_dir():
        raise InputError(f"The photo folder {folder} does not exist; give it with --images.")
    return folder


def _model_files(paths: ScenePaths, config: ImportCamerasConfig) -> list[Path]:
    if config.transforms is not None:
        return [paths.scene / config.transforms]
    folder = paths.scene / str(config.colmap)
    if not folder.is_dir():
        raise InputError(f"The COLMAP model folder {folder} does not exist; give the folder with cameras.txt or .bin.")
    names = ("cameras", "images", "points3D")
    return sorted(path for path in folder.rglob("*") if path.stem in names and path.suffix in (".bin", ".txt"))


def _photo_files(paths: ScenePaths, config: ImportCamerasConfig) -> list[Path]:
    if config.transforms is None:
        return list_photos(_image_folder(paths, config))
    from gs_stereo.io.transforms import read_transforms

    frames = read_transforms(paths.scene / config.transforms)
    return sorted({frame.path for frame in frames if frame.path is not None})


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
