"""The units of work of labelling, from folders to files: one left view, then one pair."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from gs_stereo.core.atomic import atomic_path
from gs_stereo.errors import InputError
from gs_stereo.geometry.view_selection import views_with_parallax
from gs_stereo.io.pair_index import PairEntry
from gs_stereo.io.pairs import read_left_depth, read_pair, read_rig
from gs_stereo.io.reconstruction import load_sparse_scene, load_summary
from gs_stereo.labels.config import LabelSettings
from gs_stereo.labels.observations import ViewDepth
from gs_stereo.labels.protocol import ViewNeeds
from gs_stereo.labels.sources import label_pair
from gs_stereo.labels.surroundings import DepthView
from gs_stereo.labels.views import Surroundings, stack_offsets, view_depths
from gs_stereo.pipeline.manifest import PublishedFolder
from gs_stereo.pipeline.worker_state import worker_state
from gs_stereo.splat.folder import load_photos, load_renderer
from gs_stereo.types import SparsePoints, SparseScene, StereoLabel, StereoPair


@dataclass(frozen=True, kw_only=True)
class ViewUnit:
    """One left view. neighbours: pair folders of other views whose depth is compared.

    reconstruction: None of a splat without photos. fit: None where no stack is.
    """

    pair_dir: Path
    neighbours: tuple[Path, ...]
    reconstruction: PublishedFolder | None
    fit: PublishedFolder | None
    stack_offsets: tuple[float, ...]
    needs: ViewNeeds
    settings: LabelSettings
    file: Path


@dataclass(frozen=True, kw_only=True)
class PairUnit:
    """One pair to label. view_file: what is known about its left view, None where its label source needs nothing."""

    pair_dir: Path
    view_file: Path | None
    settings: LabelSettings
    file: Path


@dataclass(frozen=True, kw_only=True)
class LabelFolders:
    """Where labelling reads and writes.

    rendered: whether the pairs have depth. reconstruction: None where they are of no photos. fit: None where neither
    photos nor a stack are needed. work: maps in between.
    """

    pairs: Path
    rendered: bool
    reconstruction: PublishedFolder | None
    fit: PublishedFolder | None
    work: Path


def plan_units(
    entries: Sequence[PairEntry], folders: LabelFolders, settings: LabelSettings, needs: ViewNeeds
) -> tuple[dict[str, ViewUnit], dict[str, PairUnit]]:
    """The left views, each under the sample id of its first pair, and the pairs by sample id."""
    first: dict[str, PairEntry] = {}
    for entry in entries:
        first.setdefault(entry.view_id, entry)
    views = {}
    if folders.rendered and needs != ViewNeeds():
        views = _plan_views(entries, list(first.values()), folders, settings, needs)
    pairs = {
        entry.sample_id: PairUnit(
            pair_dir=folders.pairs / entry.sample_id,
            view_file=views[first[entry.view_id].sample_id].file if views else None,
            settings=settings,
            file=folders.work / ".labels" / f"{entry.sample_id}.npz",
        )
        for entry in entries
    }
    return views, pairs


def _plan_views(
    entries: Sequence[PairEntry],
    first: Sequence[PairEntry],
    folders: LabelFolders,
    settings: LabelSettings,
    needs: ViewNeeds,
) -> dict[str, ViewUnit]:
    if folders.reconstruction is None:
        needs = replace(needs, photos=0)
    else:
        error_px = load_summary(folders.reconstruction.path).mean_reprojection_error_px
        if error_px is not None and error_px > settings.fused.max_reprojection_px:
            needs = replace(needs, photos=0)
    cameras = {entry.sample_id: read_rig(folders.pairs / entry.sample_id).left for entry in first}
    offsets: tuple[float, ...] = ()
    if needs.stack:
        offsets = stack_offsets([read_rig(folders.pairs / entry.sample_id).baseline for entry in entries])
    views = {}
    for entry in first:
        depth = entry.median_depth
        near: list[str] = []
        if needs.surroundings and depth:
            others = [name for name in cameras if name != entry.sample_id]
            cameras_of_others = [cameras[name] for name in others]
            chosen = views_with_parallax(cameras[entry.sample_id], cameras_of_others, depth, settings.fused.neighbours)
            near = [others[index] for index in chosen]
        views[entry.sample_id] = ViewUnit(
            pair_dir=folders.pairs / entry.sample_id,
            neighbours=tuple(folders.pairs / name for name in near),
            reconstruction=folders.reconstruction,
            fit=folders.fit,
            stack_offsets=offsets,
            needs=needs,
            settings=settings,
            file=folders.work / ".views" / f"{entry.sample_id}.npz",
        )
    return views


def gather_view(unit: ViewUnit) -> Path:
    """Find out what the label source needs to know about a view and write it; returns the file."""
    found = view_depths(read_rendered_pair(unit.pair_dir), _surroundings(unit), unit.needs, unit.settings.multiview)
    maps = {f"{name}.inverse_depth": depth.inverse_depth for name, depth in found.items()}
    maps |= {f"{name}.cost": depth.cost for name, depth in found.items() if depth.cost is not None}
    with atomic_path(unit.file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **maps)
    return unit.file


def read_rendered_pair(folder: Path) -> StereoPair:
    """A pair with its depth; InputError if it was not rendered."""
    pair = read_pair(folder)
    if not isinstance(pair, StereoPair):
        raise InputError(
            f"The pair {folder} has no rendered depth; label it with a matcher, for example --expert lite."
        )
    return pair


def _surroundings(unit: ViewUnit) -> Surroundings:
    """Cameras, points, photos and the splat, each loaded once a process."""
    scene, photos, render = SparseScene(cameras=(), points=SparsePoints.none()), None, None
    if (folder := unit.reconstruction) is not None:
        scene = worker_state.get("scene", folder.fingerprint, lambda: load_sparse_scene(folder.path))
        fitted = unit.fit.path if unit.fit else None
        both = (folder.fingerprint, unit.fit.fingerprint if unit.fit else "")
        photos = worker_state.get("photos", both, lambda: load_photos(folder.path, fitted))
    if unit.fit is not None and unit.needs.stack:
        fit, backend = unit.fit, unit.settings.backend
        renderer = worker_state.get("renderer", (fit.fingerprint, backend), lambda: load_renderer(fit.path, backend))
        render = lambda cameras: [view.image for view in renderer.render(cameras)]  # noqa: E731
    return Surroundings(
        scene=scene,
        photo=photos,
        neighbours=[
            DepthView(camera=read_rig(path).left, depth=read_left_depth(path).median) for path in unit.neighbours
        ],
        render=render,
        stack_offsets=unit.stack_offsets,
    )


def label_unit(unit: PairUnit) -> Path:
    """Label one pair and write its maps; returns the file."""
    label = label_pair(read_pair(unit.pair_dir), read_view(unit.view_file), unit.settings)
    with atomic_path(unit.file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **asdict(label))
    return unit.file


def read_label(file: Path) -> StereoLabel:
    """The maps that `label_unit` wrote."""
    with np.load(file, allow_pickle=False) as maps:
        return StereoLabel(**{name: maps[name] for name in maps.files})


def read_view(file: Path | None) -> dict[str, ViewDepth]:
    """The maps that `gather_view` wrote."""
    if file is None:
        return {}
    with np.load(file, allow_pickle=False) as maps:
        names = [name.removesuffix(".inverse_depth") for name in maps.files if name.endswith(".inverse_depth")]
        costs = {name: maps[f"{name}.cost"] if f"{name}.cost" in maps.files else None for name in names}
        return {name: ViewDepth(inverse_depth=maps[f"{name}.inverse_depth"], cost=costs[name]) for name in names}
