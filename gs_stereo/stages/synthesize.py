"""Single photos -> rectified pairs with a generated other eye in `pairs/<name>/`, one folder a pair."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from gs_stereo.errors import InputError
from gs_stereo.io.pair_index import PairEntry, write_pair_index
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.manifest import read_manifest
from gs_stereo.pipeline.scene import FOLDER_NAME, ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.pipeline.worker_state import worker_state
from gs_stereo.stages import reconstruct
from gs_stereo.stages.render_pairs import pairs_folder
from gs_stereo.synthesis.config import SynthesisConfig

if TYPE_CHECKING:
    from gs_stereo.synthesis.source_photos import SourcePhoto


class SynthesizeConfig(SynthesisConfig):
    """Which photos get a second eye, by what, and the name of the set of pairs."""

    photos: tuple[str, ...] = Field(
        default=(), description="File names in SCENE/images or SCENE; by default every photo there."
    )
    source: Literal["auto", "capture", "photos"] = Field(
        default="auto",
        description="capture: the reconstructed photos with their cameras, so that pairs lie in the scene; photos: "
        "files by themselves; auto: capture where photos were reconstructed and no focal_px is given.",
    )
    name: str = Field(default="generated", pattern=FOLDER_NAME, description="Name of this set of pairs.")


@dataclass(frozen=True, kw_only=True)
class PairUnit:
    """One second eye: a unit of work. size_wh: of the pair. baseline: None = by the disparity that is wanted."""

    photo: SourcePhoto
    size_wh: tuple[int, int]
    baseline: float | None
    config: SynthesizeConfig
    seed: int
    folder: Path


class SynthesizeStage(Stage):
    """Publishes a folder a pair and `pairs.json`, as render-pairs does, but without depth."""

    name = "synthesize"
    version = 3
    config_type = SynthesizeConfig

    def folder(self, config: SynthesizeConfig) -> str:
        return pairs_folder(config.name)

    def inputs(self, paths: ScenePaths, config: SynthesizeConfig) -> StageInputs:
        from gs_stereo.synthesis.model_files import located, model_files

        weights = model_files(located(config.weights))
        if _of_capture(paths, config):
            return StageInputs(published={reconstruct.FOLDER: "reconstruct"}, external=weights)
        return StageInputs(
            external={**weights, **{str(path.relative_to(paths.scene)): path for path in _photos(paths, config)}}
        )

    def resources(self, config: SynthesizeConfig) -> Resources:
        return Resources(
            cores=2, gpus=int(config.device == "cuda"), memory_mb=1000 if config.weights is None else 14000
        )

    def run(self, context: StageContext, config: SynthesizeConfig) -> StageOutcome:
        from gs_stereo.imaging.images import photo_size
        from gs_stereo.io.pairs import read_header
        from gs_stereo.synthesis.model_files import located, model_use
        from gs_stereo.synthesis.second_eye import settled, size_of_pairs
        from gs_stereo.synthesis.source_photos import SourcePhoto, photos_of_capture

        config = settled(config)
        if _of_capture(context.paths, config):
            unit = model_use(located(config.weights)).unit
            photos = photos_of_capture(context.published(reconstruct.FOLDER), config.photos, unit)
        else:
            photos = [SourcePhoto(path=path, name=path.name) for path in _photos(context.paths, config)]
        size_wh = width, height = size_of_pairs(photos, config)
        wide, high = photo_size(photos[0].path)
        baselines = (config.baselines or ()) if config.target_disparity_px is None else (None,)
        units = {}
        for number, photo in enumerate(photos):
            for eye, baseline in enumerate(baselines):
                name = f"{number:04d}-{eye}_{re.sub('[^A-Za-z0-9_-]', '-', Path(photo.name).stem)[:40]}"
                folder = context.work_dir / name
                units[name] = PairUnit(
                    photo=photo, size_wh=size_wh, baseline=baseline, config=config, seed=context.seed, folder=folder
                )
        entries = []
        # One process: the model uses all cores or a GPU, and is loaded once.
        for name in context.finished("synthesize", synthesize_unit, units, noun="pair", workers=1):
            header = read_header(units[name].folder)
            entries.append(
                PairEntry(sample_id=name, view_id=header.view_id, refusal=None, measures=dict(header.measures))
            )
        write_pair_index(context.work_dir, entries)
        return StageOutcome(
            metrics={"pairs": len(entries)},
            summary={
                "pairs": f"{len(entries)} of {width}x{height} px, photos {wide}x{high} px",
                "pixels of one eye": "generated, not observed",
            },
        )


def synthesize_unit(unit: PairUnit) -> list[Path]:
    """Make one pair and write its folder; returns its pair.json alone, which holds the sha256 of its images."""
    from dataclasses import replace

    from gs_stereo.io.pairs import PAIR_FILE, write_pair
    from gs_stereo.synthesis.second_eye import (
        framed_photo,
        load_generator,
        second_eye,
        second_eye_by_disparity,
    )

    generator = worker_state.loaded("generator", load_generator, unit.config)
    photo = framed_photo(unit.photo, unit.config, unit.size_wh)
    if unit.baseline is not None:
        pair = second_eye(generator, photo, unit.baseline, unit.seed)
    else:
        assert unit.config.target_disparity_px is not None
        pair = second_eye_by_disparity(generator, photo, unit.config.target_disparity_px, unit.seed)
    images, made_by = replace(pair.images, sample_id=unit.folder.name), generator.provenance
    if unit.photo.unit is not None:
        made_by = replace(made_by, settings={**made_by.settings, "cameras": "of the capture"})
    write_pair(unit.folder, images, pair.measures(made_by))
    return [unit.folder / PAIR_FILE]


def _of_capture(paths: ScenePaths, config: SynthesizeConfig) -> bool:
    """Whether the photos are those of the reconstruction."""
    if config.source != "auto":
        return config.source == "capture"
    folder = paths.published(reconstruct.FOLDER)
    if config.focal_px is not None or read_manifest(folder) is None:
        return False
    from gs_stereo.io.reconstruction import load_summary

    return set(config.photos) <= load_summary(folder).image_files.keys()


def _photos(paths: ScenePaths, config: SynthesizeConfig) -> list[Path]:
    """The chosen photos of the scene; InputError if there are none."""
    from gs_stereo.imaging.images import list_photos

    if paths.scene.is_file():
        raise InputError(f"{paths.scene} is a video; run `gsstereo reconstruct` on it first, then it has photos.")
    folder = paths.scene / "images" if (paths.scene / "images").is_dir() else paths.scene
    if config.photos:
        named = [folder / name if (folder / name).is_file() else paths.scene / name for name in config.photos]
        if missing := [path.name for path in named if not path.is_file()]:
            raise InputError(f"There is no photo {missing[0]} in {folder}; check the name.")
        return named
    found = list_photos(folder)
    if not found:
        raise InputError(f"There are no photos in {folder}; put JPEG, PNG, TIFF, WebP or BMP files there.")
    return found
