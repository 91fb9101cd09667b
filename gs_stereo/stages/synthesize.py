"""Single photos -> rectified pairs with a generated other eye in `pairs/<name>/`, one folder a pair."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from gs_stereo.errors import InputError
from gs_stereo.io.pair_index import PairEntry, write_pair_index
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import FOLDER_NAME, ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.pipeline.worker_state import worker_state
from gs_stereo.stages.render_pairs import pairs_folder
from gs_stereo.synthesis.config import SynthesisConfig


class SynthesizeConfig(SynthesisConfig):
    """Which photos get a second eye, by what, and the name of the set of pairs."""

    photos: tuple[str, ...] = Field(
        default=(), description="File names in SCENE/images or SCENE; by default every photo there."
    )
    name: str = Field(default="generated", pattern=FOLDER_NAME, description="Name of this set of pairs.")


@dataclass(frozen=True, kw_only=True)
class PairUnit:
    """One second eye: a unit of work. baseline: None = by the disparity that is wanted."""

    photo: Path
    baseline: float | None
    config: SynthesizeConfig
    seed: int
    folder: Path


class SynthesizeStage(Stage):
    """Publishes a folder a pair and `pairs.json`, as render-pairs does, but without depth."""

    name = "synthesize"
    version = 1
    config_type = SynthesizeConfig

    def folder(self, config: SynthesizeConfig) -> str:
        return pairs_folder(config.name)

    def inputs(self, paths: ScenePaths, config: SynthesizeConfig) -> StageInputs:
        from gs_stereo.synthesis.model_files import located, model_files

        weights = model_files(located(config.weights))
        return StageInputs(
            external={**weights, **{str(path.relative_to(paths.scene)): path for path in _photos(paths, config)}}
        )

    def resources(self, config: SynthesizeConfig) -> Resources:
        return Resources(
            cores=2, gpus=int(config.device == "cuda"), memory_mb=1000 if config.weights is None else 14000
        )

    def run(self, context: StageContext, config: SynthesizeConfig) -> StageOutcome:
        from gs_stereo.io.pairs import read_header
        from gs_stereo.synthesis.second_eye import check_one_shape, settled

        config = settled(config)
        photos = _photos(context.paths, config)
        check_one_shape(photos, config)
        baselines = (config.baselines or ()) if config.target_disparity_px is None else (None,)
        units = {}
        for number, path in enumerate(photos):
            for eye, baseline in enumerate(baselines):
                name = f"{number:04d}-{eye}_{re.sub('[^A-Za-z0-9_-]', '-', path.stem)[:40]}"
                folder = context.work_dir / name
                units[name] = PairUnit(photo=path, baseline=baseline, config=config, seed=context.seed, folder=folder)
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
            summary={"pairs": str(len(entries)), "pixels of one eye": "generated, not observed"},
        )


def synthesize_unit(unit: PairUnit) -> Path:
    """Make one pair and write its folder; returns its pair.json, which holds the sha256 of its images."""
    from dataclasses import replace

    from gs_stereo.io.pairs import PAIR_FILE, write_pair
    from gs_stereo.synthesis.second_eye import (
        framed_photo,
        load_generator,
        second_eye,
        second_eye_by_disparity,
    )

    generator = worker_state.get("generator", unit.config, lambda: load_generator(unit.config))
    photo = framed_photo(unit.photo, unit.config)
    if unit.baseline is not None:
        pair = second_eye(generator, photo, unit.baseline, unit.seed)
    else:
        assert unit.config.target_disparity_px is not None
        pair = second_eye_by_disparity(generator, photo, unit.config.target_disparity_px, unit.seed)
    images = replace(pair.images, sample_id=unit.folder.name)
    write_pair(unit.folder, images, pair.measures(generator.provenance))
    return unit.folder / PAIR_FILE


def _photos(paths: ScenePaths, config: SynthesizeConfig) -> list[Path]:
    """The chosen photos of the scene; InputError if there are none."""
    from gs_stereo.imaging.images import list_photos

    folder = paths.scene / "images" if (paths.scene / "images").is_dir() else paths.scene
    if config.photos:
        missing = [name for name in config.photos if not (folder / name).is_file()]
        if missing:
            raise InputError(f"There is no photo {missing[0]} in {folder}; check the name.")
        return [folder / name for name in config.photos]
    found = list_photos(folder)
    if not found:
        raise InputError(f"There are no photos in {folder}; put JPEG, PNG, TIFF, WebP or BMP files there.")
    return found
