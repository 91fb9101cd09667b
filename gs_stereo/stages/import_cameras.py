"""Cameras from elsewhere (COLMAP, nerfstudio, instant-ngp) -> `reconstruct/`, in the frame that was given."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import list_photos
from gs_stereo.io.colmap import model_files
from gs_stereo.io.transforms import read_transforms
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.sfm.config import ImportConfig
from gs_stereo.sfm.masks import mask_files
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


class ImportCamerasStage(Stage):
    """See the module."""

    name = "import"
    version = 4
    config_type = ImportCamerasConfig
    replaces_others = True

    def folder(self, config: ImportCamerasConfig) -> str:
        return FOLDER

    def inputs(self, paths: ScenePaths, config: ImportCamerasConfig) -> StageInputs:
        if config.transforms is not None:
            transforms = paths.scene / config.transforms
            read = read_transforms(transforms)
            named = {read.points, *(frame.path for frame in read.frames)}
            if config.masks != "off":
                named |= {frame.mask for frame in read.frames}
            files = sorted(path for path in named if path is not None and path.is_file())
            return StageInputs(external={_name(path, transforms.parent): path for path in [transforms, *files]})
        folder = paths.scene / str(config.colmap)
        model = model_files(folder)
        images = _image_folder(paths, config)
        masks = {f"(mask) {path.name}": path for path in mask_files(images, config.near(paths.scene))}
        return StageInputs(external={**{_name(path, images): path for path in [*model, *list_photos(images)]}, **masks})

    def resources(self, config: ImportCamerasConfig) -> Resources:
        return Resources(cores=2)

    def run(self, context: StageContext, config: ImportCamerasConfig) -> StageOutcome:
        from gs_stereo.sfm.importers import import_colmap, import_transforms

        folder, seed, config = context.work_dir, context.seed, config.near(context.paths.scene)
        with photo_progress("import") as show:
            if config.transforms is not None:
                transforms = context.paths.scene / config.transforms
                result = import_transforms(transforms, folder, config, seed=seed, on_progress=show)
            else:
                model, images = context.paths.scene / str(config.colmap), _image_folder(context.paths, config)
                result = import_colmap(model, images, folder, config, seed=seed, on_progress=show)
        return outcome_of(result)


def _image_folder(paths: ScenePaths, config: ImportCamerasConfig) -> Path:
    folder = paths.scene / (config.images or "images")
    if not folder.is_dir():
        raise InputError(f"The photo folder {folder} does not exist; give it with --images.")
    return folder


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
