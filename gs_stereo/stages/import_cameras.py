"""Cameras from elsewhere (COLMAP, nerfstudio, Polycam, Record3D) -> `reconstruct/`, in the frame that was given."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import list_photos
from gs_stereo.io.colmap import model_files
from gs_stereo.io.phone_captures import capture_files, read_capture
from gs_stereo.io.transforms import read_transforms
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.sfm.config import ImportConfig
from gs_stereo.sfm.masks import mask_files
from gs_stereo.stages.reconstruct import FOLDER, outcome_of, photo_progress


class ImportCamerasConfig(ImportConfig):
    """A COLMAP model and its photos, or a transforms.json that names its photos, or the folder of a phone."""

    colmap: str | None = Field(default=None, description="COLMAP model folder, text or binary.")
    images: str | None = Field(default=None, description="Photo folder of the COLMAP model; SCENE/images by default.")
    transforms: str | None = Field(default=None, description="transforms.json of nerfstudio or instant-ngp.")

    capture: str | None = Field(default=None, description="Folder of Polycam's raw data or Record3D's frames.")

    @model_validator(mode="after")
    def _one_source(self) -> ImportCamerasConfig:
        if [self.colmap, self.transforms, self.capture].count(None) != 2:
            raise ValueError("give a COLMAP model, or a transforms.json, or the folder of a capture")
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
        if config.colmap is None:
            transforms = paths.scene / str(config.transforms or config.capture)
            own = [transforms] if config.transforms else capture_files(transforms)
            read = read_transforms(transforms) if config.transforms else read_capture(transforms)
            root = transforms.parent if config.transforms else transforms
            named = {read.points, *(frame.path for frame in read.frames)}
            if config.masks != "off":
                named |= {frame.mask for frame in read.frames}
            files = sorted(path for path in named if path is not None and path.is_file())
            return StageInputs(external={_name(path, root): path for path in [*own, *files]})
        folder = paths.scene / str(config.colmap)
        model = model_files(folder)
        images = _image_folder(paths, config)
        masks = {f"(mask) {path.name}": path for path in mask_files(images, config.near(paths.scene))}
        return StageInputs(external={**{_name(path, images): path for path in [*model, *list_photos(images)]}, **masks})

    def resources(self, config: ImportCamerasConfig) -> Resources:
        return Resources(cores=2)

    def run(self, context: StageContext, config: ImportCamerasConfig) -> StageOutcome:
        from gs_stereo.sfm.importers import import_capture, import_colmap, import_transforms

        folder, seed, config = context.work_dir, context.seed, config.near(context.paths.scene)
        with photo_progress("import") as show:
            if config.transforms is not None:
                transforms = context.paths.scene / config.transforms
                result = import_transforms(transforms, folder, config, seed=seed, on_progress=show)
            elif config.capture is not None:
                capture = context.paths.scene / config.capture
                result = import_capture(capture, folder, config, seed=seed, on_progress=show)
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
