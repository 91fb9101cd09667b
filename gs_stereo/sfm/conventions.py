"""Do given poses explain what the photos show? And if not, in which other convention do they?

Under right poses a point of one photo lies, in another one, on the arc of directions from where it would be seen
infinitely far away to where the first camera is. So the test needs no depth, and knows in front from behind.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
from jaxtyping import Float

from gs_stereo.core.records import Record
from gs_stereo.sfm.config import Convention

CONVENTIONS: tuple[Convention, ...] = get_args(Convention)

_OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
# Measured with the poses of 6 captures: right poses explain 79 % and more of the matches within this angle, ones in
# another convention at most 9 %, those of the next photo 11 to 33 %. It is 8 px in a photo of 800 px; with errors of
# 2 degrees in each rotation, right poses still explain over 20 %.
_CLOSE_RAD = np.radians(0.5)
_MOVED_RAD = 4 * _CLOSE_RAD  # what hardly moves agrees with every convention
_FEWEST_OF_PAIR = 8
_FEWEST_MATCHES = 50
_NOTHING_SHARE, _GOOD_SHARE, _TIMES_BETTER = 0.15, 0.5, 2.0


def converted(poses: Float[np.ndarray, "4 4"], read_as: Convention, truly: Convention) -> Float[np.ndarray, "4 4"]:
    """cam_from_world with OpenCV's axes, of a matrix that was taken for `read_as` but is `truly`."""
    written = np.linalg.inv(poses) if read_as.startswith("world") else poses
    flip = _OPENGL_FROM_OPENCV
    if read_as.endswith("opengl"):
        written = written @ flip if read_as.startswith("world") else flip @ written
    if truly.endswith("opengl"):
        written = written @ flip if truly.startswith("world") else flip @ written
    return np.asarray(np.linalg.inv(written) if truly.startswith("world") else written)


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchedPair:
    """Two photos, and where each sees the same points: x/z and y/z in the camera."""

    names: tuple[str, str]
    rays_a: Float[np.ndarray, "n 2"]
    rays_b: Float[np.ndarray, "n 2"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SeenPoints:
    """A photo, some points, and where it sees them: x/z and y/z in the camera."""

    name: str
    rays: Float[np.ndarray, "n 2"]
    xyz_in_world: Float[np.ndarray, "n 3"]


@dataclass(frozen=True, kw_only=True)
class PoseFit(Record):
    """How well poses that were read as one convention agree with what the photos show.

    shares: of the matches, those that the poses explain, were they in each of the conventions; None where too few
    matches tell. Pairs of photos count alike.
    """

    read_as: Convention
    matches: int
    shares: Mapping[Convention, float] | None

    def problem(self) -> str | None:
        """What is wrong with the poses, and how to read them; None if they will do."""
        if self.shares is None:
            return None
        share, best = self.shares[self.read_as], max(CONVENTIONS, key=self.shares.__getitem__)
        said = f"The given poses explain {share:.0%} of {self.matches} matches between the photos"
        if self.shares[best] >= max(_GOOD_SHARE, _TIMES_BETTER * share):
            return (
                f"{said} when read as {_described(self.read_as)}, but {self.shares[best]:.0%} when read as "
                f"{_described(best)}; import them with --set poses={best}."
            )
        if share < _NOTHING_SHARE:
            return (
                f"{said}, and at most {self.shares[best]:.0%} in another convention (OpenGL or OpenCV axes, inverse); "
                "check that each pose belongs to its photo, and the focal length."
            )
        return None

    def doubts(self) -> tuple[str, ...]:
        """A note about poses that explain less than half of the matches, but will do."""
        if self.shares is None or self.shares[self.read_as] >= _GOOD_SHARE:
            return ()
        return (
            f"The given poses explain only {self.shares[self.read_as]:.0%} of the matches between the photos; check "
            "that each pose belongs to its photo, and the focal length.",
        )


def fit_of_matches(
    pairs: Iterable[MatchedPair], poses: Mapping[str, Float[np.ndarray, "4 4"]], read_as: Convention
) -> PoseFit:
    """The fit of poses (cam_from_world by name, as they were taken) to matches; only those that move are judged."""
    shares: dict[Convention, list[float]] = {convention: [] for convention in CONVENTIONS}
    turned = {c: {name: converted(pose, read_as, c) for name, pose in poses.items()} for c in CONVENTIONS}
    judged = 0
    for pair in pairs:
        a, b = _directions(pair.rays_a), _directions(pair.rays_b)
        moved = _angle(a, b) > _MOVED_RAD
        if moved.sum() < _FEWEST_OF_PAIR:
            continue
        judged += int(moved.sum())
        for convention, found in shares.items():
            first, second = (turned[convention][name] for name in pair.names)
            found.append(float((_off_arc(a[moved], b[moved], second @ np.linalg.inv(first)) < _CLOSE_RAD).mean()))
    return _fit(shares, judged, read_as)


def match_errors_rad(
    pairs: Iterable[MatchedPair], poses: Mapping[str, Float[np.ndarray, "4 4"]]
) -> Float[np.ndarray, "n"]:
    """Angles between where matches are seen and where poses (cam_from_world by name) let them be, pair after pair."""
    found = []
    for pair in pairs:
        first, second = (poses[name] for name in pair.names)
        found.append(_off_arc(_directions(pair.rays_a), _directions(pair.rays_b), second @ np.linalg.inv(first)))
    return np.concatenate([np.empty(0), *found])


def fit_of_points(
    views: Iterable[SeenPoints], poses: Mapping[str, Float[np.ndarray, "4 4"]], read_as: Convention
) -> PoseFit:
    """The fit of poses to points whose places in the world are known."""
    shares: dict[Convention, list[float]] = {convention: [] for convention in CONVENTIONS}
    judged = 0
    for view in views:
        if len(view.rays) < _FEWEST_OF_PAIR:
            continue
        judged += len(view.rays)
        for convention, found in shares.items():
            pose = converted(poses[view.name], read_as, convention)
            there = _unit(view.xyz_in_world @ pose[:3, :3].T + pose[:3, 3])
            found.append(float((_angle(there, _directions(view.rays)) < _CLOSE_RAD).mean()))
    return _fit(shares, judged, read_as)


def _fit(shares: Mapping[Convention, list[float]], matches: int, read_as: Convention) -> PoseFit:
    known = matches >= _FEWEST_MATCHES
    means = {convention: float(np.mean(found)) for convention, found in shares.items()} if known else None
    return PoseFit(read_as=read_as, matches=matches, shares=means)


def _described(convention: Convention) -> str:
    kind = "camera-to-world" if convention.startswith("world") else "world-to-camera"
    axes = "OpenGL axes (y up, z backwards)" if convention.endswith("gl") else "OpenCV axes (y down, z forwards)"
    return f"{kind} matrices with {axes}"


def _directions(rays: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    return _unit(np.column_stack([rays, np.ones(len(rays))]))


def _unit(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-300)


def _angle(a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
    return np.asarray(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=1) / 2, 0, 1)))


def _off_arc(
    a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "n 3"], b_from_a: Float[np.ndarray, "4 4"]
) -> Float[np.ndarray, "n"]:
    """Angles between the directions b in the second camera and the arcs on which a of the first one may be seen."""
    far = a @ b_from_a[:3, :3].T
    away = np.abs(b_from_a[:3, 3]).max() > 0
    near = np.broadcast_to(_unit(b_from_a[None, :3, 3]), far.shape) if away else far
    normal = _unit(np.cross(far, near))
    between = (np.sum(np.cross(far, b) * normal, axis=1) >= 0) & (np.sum(np.cross(b, near) * normal, axis=1) >= 0)
    beside = np.arcsin(np.clip(np.abs(np.sum(normal * b, axis=1)), 0, 1))
    ends = np.minimum(_angle(b, far), _angle(b, near))
    return np.where(between & (np.linalg.norm(normal, axis=1) > 0.5), beside, ends)
