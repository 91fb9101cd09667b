"""The units of work of labelling, from folders to files: one left view with all its pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
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
from gs_stereo.labels.views import Surroundings, stack_offsets, view_depths, with_transient
from gs_stereo.pipeline.manifest import PublishedFolder
from gs_stereo.pipeline.worker_state import worker_state
from gs_stereo.splat.folder import load_photos, load_renderer
from gs_stereo.types import SparsePoints, SparseScene, StereoImages, StereoLabel, StereoPair


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
    known: Mapping[str, ViewDepth] | None = None
    for pair_unit in unit.pairs:
        pair = read_pair(pair_unit.pair_dir)
        known = known_of_view(unit, pair) if known is None else known
        label = with_transient(label_pair(pair, known, unit.settings), pair.rig.left, _capture(unit))
        with atomic_path(pair_unit.file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **asdict(label))
    return [pair_unit.file for pair_unit in unit.pairs]


def known_of_view(unit: ViewUnit, pair: StereoImages) -> Mapping[str, ViewDepth]:
    """What the label source needs to know about the left view of `pair`, as far as it can be known."""
    if unit.needs == ViewNeeds():
        return {}
    return view_depths(rendered_pair(pair), _surroundings(unit), unit.needs, unit.settings.multiview)


def rendered_pair(pair: StereoImages) -> StereoPair:
    """The pair, if it has depth; InputError if it was not rendered."""
    if not isinstance(pair, StereoPair):
        raise InputError(
            f"The pair {pair.sample_id} has no rendered depth; label it with a matcher, for example --expert lite."
        )
    return pair


def _capture(unit: ViewUnit) -> Surroundings:
    """Cameras, points and photos, loaded once a process."""
    folder, fit = unit.reconstruction, unit.fit
    if folder is None:
        return Surroundings(scene=SparseScene(cameras=(), points=SparsePoints.none()))
    both = (folder.fingerprint, fit.fingerprint if fit else "")
    return Surroundings(
        scene=worker_state.get("scene", folder.fingerprint, lambda: load_sparse_scene(folder.path)),
        photo=worker_state.get("photos", both, lambda: load_photos(folder.path, fit.path if fit else None)),
    )


def _surroundings(unit: ViewUnit) -> Surroundings:
    """The capture, the depth of neighbouring views, and the splat, which is loaded once a process."""
    render = None
    if unit.fit is not None and unit.needs.stack:
        fit, backend = unit.fit, unit.settings.backend
        renderer = worker_state.get("renderer", (fit.fingerprint, backend), lambda: load_renderer(fit.path, backend))
        render = lambda cameras: [view.image for view in renderer.render(cameras)]  # noqa: E731
    return replace(
        _capture(unit),
        neighbours=[
            DepthView(camera=read_rig(path).left, depth=read_left_depth(path).median) for path in unit.neighbours
        ],
        render=render,
        stack_offsets=unit.stack_offsets,
    )


def read_label(file: Path) -> StereoLabel:
    """The maps that `label_view` wrote for a pair."""
    with np.load(file, allow_pickle=False) as maps:
        return StereoLabel(**{name: maps[name] for name in maps.files})
