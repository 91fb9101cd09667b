"""The units of work of labelling, from folders to files: one left view with all its pairs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from gs_stereo.core.atomic import atomic_path
from gs_stereo.core.prefetch import prefetched
from gs_stereo.datasets.schema import ShardSample, sample_of
from gs_stereo.geometry.view_selection import views_with_parallax
from gs_stereo.io.pair_index import PairEntry
from gs_stereo.io.pairs import read_images, read_left_depth, read_pair, read_rig
from gs_stereo.io.reconstruction import load_sparse_scene, load_summary
from gs_stereo.labels.config import LabelSettings
from gs_stereo.labels.observations import ViewDepth
from gs_stereo.labels.protocol import ViewNeeds
from gs_stereo.labels.sources import label_pair
from gs_stereo.labels.surroundings import DepthView
from gs_stereo.labels.views import Surroundings, stack_offsets, view_depths, with_transient
from gs_stereo.pipeline.manifest import PublishedFolder
from gs_stereo.pipeline.worker_state import worker_state
from gs_stereo.splat.folder import load_photos, load_renderer
from gs_stereo.types import SparsePoints, SparseScene, StereoLabel


@dataclass(frozen=True, kw_only=True)
class PairUnit:
    """One pair to label. file: where its maps go."""

    pair_dir: Path
    file: Path


@dataclass(frozen=True, kw_only=True)
class ViewUnit:
    """One left view with its pairs, one a baseline. neighbours: pair folders of other views whose depth is compared.

    reconstruction: None of a splat without photos. fit: None where no stack is.
    """

    pairs: tuple[PairUnit, ...]
    neighbours: tuple[Path, ...] = ()
    reconstruction: PublishedFolder | None = None
    fit: PublishedFolder | None = None
    stack_offsets: tuple[float, ...] = ()
    needs: ViewNeeds = field(default_factory=ViewNeeds)
    settings: LabelSettings


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
) -> dict[str, ViewUnit]:
    """The left views by view id, in the order of their first pairs."""
    pairs: dict[str, list[PairEntry]] = {}
    for entry in entries:
        pairs.setdefault(entry.view_id, []).append(entry)
    views = {name: ViewUnit(pairs=_pair_units(those, folders), settings=settings) for name, those in pairs.items()}
    if not folders.rendered or needs == ViewNeeds():
        return views
    if folders.reconstruction is None:
        needs = replace(needs, photos=0)
    else:
        error_px = load_summary(folders.reconstruction.path).mean_reprojection_error_px
        if error_px is not None and error_px > settings.fused.max_reprojection_px:
            needs = replace(needs, photos=0)
    cameras = {name: read_rig(unit.pairs[0].pair_dir).left for name, unit in views.items()}
    offsets: tuple[float, ...] = ()
    if needs.stack:
        offsets = stack_offsets([read_rig(folders.pairs / entry.sample_id).baseline for entry in entries])
    for name, unit in views.items():
        depth = pairs[name][0].median_depth
        near: list[str] = []
        if needs.surroundings and depth:
            others = [other for other in cameras if other != name]
            chosen = views_with_parallax(
                cameras[name], [cameras[other] for other in others], depth, settings.fused.neighbours
            )
            near = [others[index] for index in chosen]
        views[name] = replace(
            unit,
            neighbours=tuple(views[other].pairs[0].pair_dir for other in near),
            reconstruction=folders.reconstruction,
            fit=folders.fit,
            stack_offsets=offsets,
            needs=needs,
        )
    return views


def _pair_units(entries: Sequence[PairEntry], folders: LabelFolders) -> tuple[PairUnit, ...]:
    names = [entry.sample_id for entry in entries]
    return tuple(PairUnit(pair_dir=folders.pairs / name, file=folders.work / f"{name}.npz") for name in names)


def label_view(unit: ViewUnit) -> list[Path]:
    """Label the pairs of a left view and write their maps; returns the files.

    What the label source needs to know about the view is found out once, for all its baselines.
    """
    around = surroundings_of(unit)
    known: Mapping[str, ViewDepth] | None = None
    for pair_unit in unit.pairs:
        pair = read_pair(pair_unit.pair_dir)
        known = view_depths(pair, around, unit.needs, unit.settings.multiview) if known is None else known
        label = label_pair(pair, known, unit.settings)
        label = with_transient(label, pair.rig.left, around)
        with atomic_path(pair_unit.file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **asdict(label))
    return [pair_unit.file for pair_unit in unit.pairs]


def surroundings_of(unit: ViewUnit) -> Surroundings:
    """Cameras, points, photos and splat, which are loaded once a process, and the depth of neighbouring views."""
    scene, photo, render = SparseScene(cameras=(), points=SparsePoints.none()), None, None
    if unit.reconstruction is not None:
        scene = worker_state.loaded("scene", load_sparse_scene, unit.reconstruction)
        photo = worker_state.loaded("photos", load_photos, unit.reconstruction, unit.fit)
    if unit.fit is not None and unit.needs.stack:
        renderer = worker_state.loaded("renderer", load_renderer, unit.fit, unit.settings.backend)
        render = lambda cameras: [view.image for view in renderer.render(cameras)]  # noqa: E731
    beside = [DepthView(camera=read_rig(path).left, depth=read_left_depth(path).median) for path in unit.neighbours]
    return Surroundings(scene=scene, photo=photo, neighbours=beside, render=render, stack_offsets=unit.stack_offsets)


def labelled_samples(
    entries: Iterable[PairEntry], views: Mapping[str, ViewUnit], labelled: Iterator[str]
) -> Iterator[ShardSample]:
    """Pairs with their labels, in the order of their index, each as soon as its view is labelled.

    labelled: the views whose unit has ended. One sample is read while the one before is written.
    """
    units = {unit.pair_dir.name: unit for view in views.values() for unit in view.pairs}

    def in_order() -> Iterator[PairUnit]:
        ready: set[str] = set()
        for entry in entries:
            while entry.view_id not in ready:
                ready.add(next(labelled))
            yield units[entry.sample_id]
        for _ in labelled:  # nothing is left: this ends the pool and the progress bar
            pass

    def read(unit: PairUnit) -> ShardSample:
        with np.load(unit.file, allow_pickle=False) as maps:
            label = StereoLabel(**{name: maps[name] for name in maps.files})
        return sample_of(read_images(unit.pair_dir), label)

    return prefetched(read, in_order())
