"""What a scene has published, for the viewer. A part that is missing or broken becomes a note, never an error."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from gs_stereo.datasets.samples import DatasetSamples
from gs_stereo.errors import GsStereoError, InputError
from gs_stereo.io.pair_index import INDEX_NAME, read_pair_index
from gs_stereo.io.pairs import read_rig
from gs_stereo.io.reconstruction import load_sparse_scene
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.splat import folder as splat_folder
from gs_stereo.stages import reconstruct
from gs_stereo.stages.label import dataset_folder
from gs_stereo.stages.render_pairs import pairs_folder
from gs_stereo.types import StereoRig
from gs_stereo.viewer.contents import SceneContents, ViewedDataset

T = TypeVar("T")


def published_contents(paths: ScenePaths, backend: str = "auto") -> SceneContents:
    """Everything that was made of a scene so far. backend: the rasterizer of the live pair."""
    notes: list[str] = []
    folder = paths.published(reconstruct.FOLDER)
    sparse = _part(notes, "cameras", "gsstereo reconstruct", folder, lambda: load_sparse_scene(folder))
    fit = paths.published(splat_folder.FOLDER)
    renderer = _part(notes, "splat", "gsstereo fit", fit, lambda: splat_folder.load_renderer(fit, backend))
    rigs = _named(notes, "stereo pairs", "gsstereo render-pairs", paths.published(pairs_folder("")), _rigs)
    datasets = _named(notes, "labels", "gsstereo label", paths.published(dataset_folder("")), _dataset)
    return SceneContents(
        name=paths.name,
        sparse=sparse,
        photo=None if sparse is None else splat_folder.load_photos(folder, fit),
        renderer=renderer,
        rigs=rigs,
        datasets=datasets,
        notes=tuple(notes),
    )


def _part(notes: list[str], what: str, verb: str, folder: Path, read: Callable[[], T]) -> T | None:
    """What `read` gives; None and a note where there is nothing or something broken."""
    if not folder.is_dir():
        notes.append(f"No {what} yet: run `{verb}`.")
        return None
    try:
        return read()
    except GsStereoError as error:
        notes.append(str(error))
        return None


def _named(notes: list[str], what: str, verb: str, parent: Path, read: Callable[[Path], T]) -> dict[str, T]:
    """The published folders of a parent by name."""
    folders = sorted(path for path in parent.glob("*") if path.is_dir() and "." not in path.name)
    if not folders:
        notes.append(f"No {what} yet: run `{verb}`.")
    found = {path.name: _part(notes, what, verb, path, partial(read, path)) for path in folders}
    return {name: part for name, part in found.items() if part is not None}


def _rigs(folder: Path) -> tuple[StereoRig, ...]:
    try:
        return tuple(read_rig(folder / pair.sample_id) for pair in read_pair_index(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / INDEX_NAME} is missing or broken; run `gsstereo render-pairs` again.") from error


def _dataset(folder: Path) -> ViewedDataset:
    """The names of all samples; pixels are read when they are asked for."""
    samples = DatasetSamples(folder)
    return ViewedDataset(sample_ids=tuple(samples.texts("sample_id")), read=samples.read)
