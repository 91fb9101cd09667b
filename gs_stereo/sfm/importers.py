"""Cameras that the user brings: a COLMAP model or a transforms.json. The frame is kept as given.

Where there are no points, they are triangulated from SIFT matches. Poses are kept exactly, unless matches that were
held out say that others are clearly better (`sfm.refinement`).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from gs_stereo.io.colmap import read_best_model
from gs_stereo.io.phone_captures import read_capture
from gs_stereo.io.reconstruction import ReconstructionSummary
from gs_stereo.io.transforms import read_transforms
from gs_stereo.sfm.config import ImportConfig
from gs_stereo.sfm.conventions import fit_of_points
from gs_stereo.sfm.given import (
    LEAST_WITNESSES,
    Given,
    given_colmap,
    given_transforms,
    poses_of,
    read_in,
    with_shared_intrinsics,
    without_broken,
    without_measured,
)
from gs_stereo.sfm.job import OnProgress, ignore_progress
from gs_stereo.sfm.masks import masks_of
from gs_stereo.sfm.matched_points import matched_points, seen_points
from gs_stereo.sfm.publish import ReconstructionResult, publish, scratch_folder


def import_colmap(
    model_folder: Path,
    image_folder: Path,
    work_dir: Path,
    config: ImportConfig,
    *,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> ReconstructionResult:
    """Take over a COLMAP model (text or binary) and its images into `work_dir` (layout: io/reconstruction.py).

    Images with lens distortion are undistorted, fisheyes as far as a pinhole image reaches. Images that are missing or
    broken are listed in the summary. Raises InputError for a broken model, and StageError if triangulation is needed
    and fails.
    """
    model, notes = read_best_model(model_folder)
    given = given_colmap(model, image_folder, notes)
    masks = masks_of(image_folder, list(given.sources), config)
    sources = {name: replace(source, mask=masks.by_name.get(name)) for name, source in given.sources.items()}
    given = replace(given, sources=sources, notes=(*given.notes, *masks.notes))
    return _take_over(given, "colmap", work_dir, config, seed, on_progress)


def import_transforms(
    transforms: Path,
    work_dir: Path,
    config: ImportConfig,
    *,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> ReconstructionResult:
    """Take over a transforms.json of nerfstudio or instant-ngp; see `import_colmap`. Points are triangulated."""
    given = given_transforms(read_transforms(transforms), transforms, config)
    return _take_over(given, "transforms", work_dir, config, seed, on_progress)


def import_capture(
    folder: Path,
    work_dir: Path,
    config: ImportConfig,
    *,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> ReconstructionResult:
    """Take over a folder of Polycam or Record3D, in metres; see `import_transforms`."""
    read = read_capture(folder)
    if config.metres_per_unit is None:
        config = config.model_copy(update={"metres_per_unit": read.metres_per_unit, "scale_source": "device"})
    return _take_over(given_transforms(read, folder, config), "capture", work_dir, config, seed, on_progress)


def _take_over(
    given: Given, source: str, work_dir: Path, config: ImportConfig, seed: int, on_progress: OnProgress
) -> ReconstructionResult:
    given = read_in(without_broken(given, on_progress), config)
    if config.share_intrinsics:
        given = with_shared_intrinsics(given)
    model = given.model
    measured = bool((np.diff(model.points.track_start) >= LEAST_WITNESSES).any())
    fit = fit_of_points(seen_points(model), poses_of(model), given.read_as) if measured else None
    doubtful = fit is not None and fit.problem() is not None
    refine, refinement = measured and config.refine == "on", None
    if fit is None or doubtful or refine:  # tracks of a model that was edited may be wrong where its poses are right
        matched = without_measured(given) if refine else given
        with scratch_folder(work_dir) as scratch:
            found = matched_points(matched, scratch, config, seed, on_progress)
        fit, refinement = found.fit, found.refinement
        if not refine or (refinement is not None and refinement.accepted):
            model = found.model
    notes = given.notes if refinement is not None and refinement.accepted else (*given.notes, *fit.doubts())
    if refinement is not None:
        notes = (*notes, refinement.sentence())
    if doubtful:
        notes = (*notes, "The model's own observations of its points do not fit its poses; matches of the photos do.")
    summary = ReconstructionSummary(
        source=source,
        metres_per_unit=config.metres_per_unit,
        scale_source="none" if config.metres_per_unit is None else config.scale_source,
        failed=given.failed,
        models=(len(model.images),),
        notes=notes,
        refinement=refinement,
    )
    return publish(model, given.sources, work_dir, summary, config.max_image_size, on_progress)
