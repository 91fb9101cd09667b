"""Where the next photos should be taken.

A label is confirmed where several photos see its surface from places that are apart, but not too far. So a grid of
pixels of every photo is put into space (by its label, or by the sparse points around it), and the photos that confirm
it are counted. New photos are tried beside the old ones, moved by a step and turned; those win that confirm most of
what lacks labels and witnesses, one after the other. Occlusion is not tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from gs_stereo.core.records import Record
from gs_stereo.datasets.samples import DatasetSamples
from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import pixel_index
from gs_stereo.geometry.projection import inside, project, project_seen, unproject
from gs_stereo.geometry.view_selection import camera_centres, capture_spacing, nearest_photos
from gs_stereo.types import Camera, LabelFlag, SparseScene

_COLUMNS, _ROWS = 12, 9
_MOST_SPOTS, _MOST_CANDIDATES = 6000, 900
_FEWEST_POINTS = 4
_LEAST_ANGLE_DEG, _MOST_ANGLE_DEG = 1.5, 30.0
_MOST_NEARER = 2.0  # times: a photo from much nearer or farther shows something else
_WITNESSES = 2.0  # after so many two thirds of what photos can do is done
_LABELLED_WEIGHT, _THINNED = 0.15, 4
_STEPS_IN_DEPTHS = (0.05, 0.3)
_TURN_DEG = 20.0


@dataclass(frozen=True, kw_only=True)
class AdvisedPhoto(Record):
    """A photo to take. cam_from_world: rows of its pose, lens and size are those of the photo `beside`.

    right, up, forward: how far it is from that photo, in scene units, along that photo's axes. turn_right_deg: from
    that photo. share: of all that lacks witnesses, how much this photo adds. sentence: all of it for a person.
    """

    beside: str
    right: float
    up: float
    forward: float
    turn_right_deg: float
    cam_from_world: tuple[tuple[float, ...], ...]
    share: float
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Advice(Record):
    """What to photograph next. confirmed_share: how well the surfaces have witnesses, from 0 to 1, now and then."""

    photos: tuple[AdvisedPhoto, ...]
    confirmed_share: float
    confirmed_share_then: float

    def to_text(self) -> str:
        """A few lines for a terminal."""
        gain = f"witnesses of surfaces rise from {self.confirmed_share:.0%} to {self.confirmed_share_then:.0%}"
        lines = [f"{number}. {photo.sentence}" for number, photo in enumerate(self.photos, 1)]
        return "\n".join([f"Where {len(self.photos)} more photos would help most ({gain}):", *lines])


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelOfView:
    """Label depth of a view at a photo's place, NaN = none, and where one is wanted: not in the sky, not cut out."""

    depth: Float[np.ndarray, "h w"]
    wanted: Bool[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Spots:
    """Places on surfaces. ray: from the photo that shows it, unit. distance: to that photo. owner: its row."""

    xyz: Float[np.ndarray, "n 3"]
    ray: Float[np.ndarray, "n 3"]
    distance: Float[np.ndarray, "n"]
    weight: Float[np.ndarray, "n"]
    owner: np.ndarray
    image_share: Float[np.ndarray, "n 2"]

    def confirmed_by(self, camera: Camera) -> Bool[np.ndarray, "n"]:
        """Whether a photo would see the spot well, and from elsewhere than its own one."""
        image_xy, depth = project(camera, self.xyz)
        offset = self.xyz - camera.centre_in_world
        distance = np.linalg.norm(offset, axis=1)
        cosine = (offset * self.ray).sum(axis=1) / np.maximum(distance, 1e-12)
        apart = (cosine <= np.cos(np.radians(_LEAST_ANGLE_DEG))) & (cosine >= np.cos(np.radians(_MOST_ANGLE_DEG)))
        ratio = distance / self.distance
        alike = (ratio < _MOST_NEARER) & (ratio > 1 / _MOST_NEARER)
        return np.asarray((depth > 0) & inside(camera, image_xy) & apart & alike)


def advise(scene: SparseScene, labels: Mapping[str, LabelOfView] | None = None, count: int = 3) -> Advice:
    """The places of the next photos. labels: by photo name, as far as there are any.

    InputError if the scene has fewer than two cameras, or no points.
    """
    spots = _spots(scene, labels or {})
    witnesses = np.sum([spots.confirmed_by(camera) for camera in scene.cameras], axis=0).astype(np.float64)
    depth = float(np.median(spots.distance))
    candidates = list(_candidates(scene.cameras, depth))
    seen = np.stack([spots.confirmed_by(camera) for camera in candidates])
    whole = spots.weight.sum()
    before = now = float(spots.weight @ _done(witnesses) / whole)
    photos = []
    places = camera_centres(candidates)
    free = np.ones(len(candidates), bool)
    for _ in range(count):
        gain = spots.weight * (_done(witnesses + 1) - _done(witnesses))
        best = int(np.argmax(seen @ gain * free))
        adds = seen[best] * gain
        if not free[best] or not adds.any():
            break
        witnesses += seen[best]
        free &= np.linalg.norm(places - places[best], axis=1) > _step(scene.cameras, depth) / 2
        now = float(spots.weight @ _done(witnesses) / whole)
        photos.append(_advised(candidates[best], scene, spots, adds, depth))
    return Advice(photos=tuple(photos), confirmed_share=before, confirmed_share_then=now)


def labels_of(samples: DatasetSamples) -> dict[str, LabelOfView]:
    """The first label of every view of a data set, thinned."""
    first: dict[str, int] = {}
    for number, view_id in enumerate(samples.texts("view_id")):
        first.setdefault(view_id, number)
    found = {}
    for view_id, number in first.items():
        sample = samples.read(number)
        part = (slice(None, None, _THINNED), slice(None, None, _THINNED))
        wanted = (sample.flags[part] & np.uint16(LabelFlag.CUT_OUT | LabelFlag.SKY | LabelFlag.DRAWN_OBJECT)) == 0
        found[view_id] = LabelOfView(depth=sample.scene_depth[part], wanted=wanted)
    return found


def advised_camera(photo: AdvisedPhoto, scene: SparseScene) -> Camera:
    """The camera of an advised photo."""
    beside = next(camera for camera in scene.cameras if camera.name == photo.beside)
    return replace(beside, cam_from_world=np.array(photo.cam_from_world))


def _done(witnesses: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Each further witness adds less."""
    return 1 - np.exp(-witnesses / _WITNESSES)


def _spots(scene: SparseScene, labels: Mapping[str, LabelOfView]) -> _Spots:
    """A grid over every photo in space, thinned evenly."""
    if len(scene.cameras) < 2 or not len(scene.points):
        raise InputError("Advice needs a scene of at least two photos with points; run gsstereo reconstruct first.")
    from gs_stereo.splat.init import interpolate_depth

    shares = np.stack(np.meshgrid((np.arange(_COLUMNS) + 0.5) / _COLUMNS, (np.arange(_ROWS) + 0.5) / _ROWS), axis=-1)
    shares = shares.reshape(-1, 2)
    found = []
    for row, camera in enumerate(scene.cameras):
        sparse_xy, sparse_depth = project_seen(scene, row)
        if len(sparse_depth) < _FEWEST_POINTS:
            continue
        image_xy = shares * [camera.width, camera.height]
        depth = interpolate_depth(image_xy, sparse_xy, sparse_depth)
        weight = np.ones(len(shares))
        if (view := labels.get(camera.name)) is not None:
            height, width = view.depth.shape
            column, line = pixel_index(shares * [width, height]).T
            label = view.depth[line, column].astype(np.float64)
            known = np.isfinite(label)
            depth, weight = np.where(known, label, depth), np.where(known, _LABELLED_WEIGHT, view.wanted[line, column])
        xyz = unproject(camera, image_xy, depth)
        offset = xyz - camera.centre_in_world
        distance = np.linalg.norm(offset, axis=1)
        owner = np.full(len(shares), row)
        found.append((xyz, offset / distance[:, None], distance, weight, owner, shares))
    if not found:
        raise InputError("No photo sees enough points to advise; add photos that overlap more.")
    parts = [np.concatenate(part) for part in zip(*found, strict=True)]
    step = -(-len(parts[0]) // _MOST_SPOTS)
    xyz, ray, distance, weight, owner, image_share = (part[::step] for part in parts)
    return _Spots(xyz=xyz, ray=ray, distance=distance, weight=weight, owner=owner, image_share=image_share)


def _candidates(cameras: Sequence[Camera], depth: float) -> Iterator[Camera]:
    """Beside every photo: one step to each side, and turned to the left and to the right."""
    step = _step(cameras, depth)
    moves = [np.zeros(3), *(step * sign * axis for axis in np.eye(3) for sign in (1, -1))]
    turns = [_turned_right(angle) for angle in (0.0, -_TURN_DEG, _TURN_DEG)]
    every = -(-len(cameras) * len(moves) * len(turns) // _MOST_CANDIDATES)
    for camera in cameras[::every]:
        for move in moves:
            for turn in turns:
                pose = camera.cam_from_world.copy()
                pose[:3, 3] -= move
                yield replace(camera, cam_from_world=turn @ pose)


def _step(cameras: Sequence[Camera], depth: float) -> float:
    """What the photographer went from photo to photo, within reason."""
    low, high = _STEPS_IN_DEPTHS
    return float(np.clip(capture_spacing(cameras), low * depth, high * depth))


def _turned_right(angle_deg: float) -> Float[np.ndarray, "4 4"]:
    """new_from_old of a camera that turns about its own y axis."""
    cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    turn = np.eye(4)
    turn[:3, :3] = [[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]]
    return turn


def _advised(
    camera: Camera, scene: SparseScene, spots: _Spots, adds: Float[np.ndarray, "n"], depth: float
) -> AdvisedPhoto:
    beside = scene.cameras[nearest_photos(camera, scene.cameras, depth, 1)[0].index]
    right, down, forward = (beside.cam_from_world @ [*camera.centre_in_world, 1.0])[:3].tolist()
    ahead = beside.cam_from_world[:3, :3] @ camera.cam_from_world[2, :3]
    turn = float(np.degrees(np.arctan2(ahead[0], ahead[2])))
    unit = "m" if scene.metres_per_unit == 1.0 else "units"
    told = [
        f"{abs(value):.2g} {unit} {words[value < 0]}"
        for value, words in (
            (right, ("to the right", "to the left")),
            (-down, ("up", "down")),
            (forward, ("forward", "back")),
        )
        if abs(value) > 0.01 * depth
    ]
    if abs(turn) > 1:
        told.append(f"turned {abs(turn):.0f} degrees to the {'right' if turn > 0 else 'left'}")
    shows = np.bincount(spots.owner, adds, len(scene.cameras))
    shown_by = int(np.argmax(shows))
    own = spots.owner == shown_by
    x, y = np.average(spots.image_share[own], axis=0, weights=adds[own])
    place = f"{('upper', 'middle', 'lower')[int(3 * y)]} {('left', 'centre', 'right')[int(3 * x)]}"
    moved = ", ".join(told) or "at the same place"
    return AdvisedPhoto(
        beside=beside.name,
        right=right,
        up=-down,
        forward=forward,
        turn_right_deg=turn,
        cam_from_world=tuple(tuple(row) for row in camera.cam_from_world.tolist()),
        share=float(adds.sum() / spots.weight.sum()),
        sentence=f"Beside {beside.name}, {moved}: it shows again what is {place} in {scene.cameras[shown_by].name}.",
    )
