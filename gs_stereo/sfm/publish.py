"""The last steps that `reconstruct` and `import` share: undistorted images, the model in its frame, the summary."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gs_stereo.core.atomic import write_errors
from gs_stereo.errors import InputError
from gs_stereo.geometry.local_frame import NO_ORIGIN, local_origin
from gs_stereo.imaging.images import read_photo
from gs_stereo.io.colmap_model import ColmapModel
from gs_stereo.io.reconstruction import (
    CUT_OUT_FOLDER,
    MASK_FOLDER,
    ReconstructionSummary,
    image_file_names,
    load_sparse_scene,
    write_reconstruction,
)
from gs_stereo.sfm.job import OnProgress
from gs_stereo.sfm.scale import camera_centres
from gs_stereo.sfm.undistort import PhotoSource, undistorted_model, write_images
from gs_stereo.types import SparseScene

_SCRATCH_PREFIX = ".scratch-"
_MUCH_HIDDEN = 0.5
"""Of photos; people and cars cover less. Inverted masks of room_a_wild hide nine tenths."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReconstructionResult:
    """What was published in a folder, as `io.reconstruction` reads it back."""

    scene: SparseScene
    summary: ReconstructionSummary


@contextmanager
def scratch_folder(work_dir: Path) -> Iterator[Path]:
    """A folder in `work_dir` that is gone when the block ends; what a killed run left there goes as well."""
    with write_errors(work_dir):
        work_dir.mkdir(parents=True, exist_ok=True)
        for stale in work_dir.glob(f"{_SCRATCH_PREFIX}*"):
            shutil.rmtree(stale, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_SCRATCH_PREFIX, dir=work_dir))
    try:
        with write_errors(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(
    model: ColmapModel,
    sources: Mapping[str, PhotoSource],
    work_dir: Path,
    summary: ReconstructionSummary,
    max_edge_px: int,
    on_progress: OnProgress,
) -> ReconstructionResult:
    """Write images/, sparse/ and reconstruction.json. `model` is in its final frame and still has its lenses.

    `summary` holds what happened before; the numbers of the model are added here.
    """
    if not model.images:
        raise InputError("No photo is left to write; check the names and the sizes of the photos.")
    names = sorted(image.name for image in model.images.values())
    files = image_file_names(names)
    flat, views = undistorted_model(model, sources, max_edge_px)
    write_images(flat, views, sources, files, work_dir, on_progress)
    summary = _with_masks(summary, work_dir, files)
    complete = replace(_with_numbers(summary, flat), image_files=files, failed=dict(sorted(summary.failed.items())))
    write_reconstruction(work_dir, flat, complete)
    return ReconstructionResult(scene=load_sparse_scene(work_dir), summary=complete)


def _with_masks(summary: ReconstructionSummary, work_dir: Path, files: Mapping[str, str]) -> ReconstructionSummary:
    """With what masks leave out, and a warning where they look inverted."""

    def black(name: str) -> float | None:
        path = work_dir / MASK_FOLDER / files[name]
        return 1 - float((read_photo(path)[..., 0] > 0).mean()) if path.is_file() else None

    shares = {name: share for name in files if (share := black(name)) is not None}
    cut_out = {name for name in shares if (work_dir / CUT_OUT_FOLDER / files[name]).is_file()}
    hidden = [share for name, share in shares.items() if name not in cut_out]
    notes = list(summary.notes)
    if cut_out:
        notes.append(
            f"{len(cut_out)} photos are transparent in part, or masked as empty: what is cut out is neither fitted nor "
            "labelled."
        )
    if hidden:
        mean = float(np.mean(hidden))
        notes.append(f"Masks hide {mean:.0%} of {len(hidden)} photos: other photos say what is behind.")
        if mean > _MUCH_HIDDEN:
            notes.append(
                "That is much: white is what masks let through. If yours are the other way round, set "
                "invert_masks=true; if black is the background of an object, set mask_black=empty."
            )
    return replace(summary, notes=tuple(notes), masked_shares=shares)


def _with_numbers(summary: ReconstructionSummary, model: ColmapModel) -> ReconstructionSummary:
    error = model.points.error_px[model.points.error_px >= 0]
    tracks = np.diff(model.points.track_start)
    tracks = tracks[tracks > 1]  # what only one photo sees was given, not found
    origin = local_origin(np.array(list(camera_centres(model).values())))
    notes = summary.notes
    if origin != NO_ORIGIN:
        x, y, z = (f"{value:.10g}" for value in origin)
        notes = (*notes, f"The cameras are far from the origin, so the splat is fitted around ({x}, {y}, {z}).")
    focal = [float(model.cameras[image.camera_id].params[0]) for image in model.images.values()]
    return replace(
        summary,
        num_points=len(model.points),
        mean_reprojection_error_px=float(error.mean()) if len(error) else None,
        mean_track_length=float(tracks.mean()) if len(tracks) else None,
        median_focal_px=float(np.median(focal)),
        local_origin=origin,
        notes=notes,
    )
