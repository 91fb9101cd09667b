"""Are poses that were adjusted to matches better than the given ones? And where are they in the given frame?

Matches that the adjustment has not seen decide. Two cameras hold the frame while it runs, but each of them is as wrong
as the others, so its result is laid over all given poses in the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from gs_stereo.io.reconstruction import PoseRefinement
from gs_stereo.sfm.conventions import MatchedPair, match_errors_rad

Poses = Mapping[str, Float[np.ndarray, "4 4"]]

_EVERY_TRACK = 5
_MOST_ERROR_RAD = np.radians(0.5)  # wrong matches count as this much
_LEAST_GAIN = 0.9
FEWEST_HELD_OUT = 50
_MOST_TURN_DEG, _MOST_SHIFT = 5.0, 0.1


def held_out_matches(
    pairs: Sequence[tuple[int, int]], matches: Sequence[Int[np.ndarray, "n 2"]]
) -> list[Bool[np.ndarray, "n"]]:
    """Which matches belong to every fifth track: features that matches connect are held out together.

    pairs: images. matches: features of the first one and of the second one, counted in each image.
    """
    counts: dict[int, int] = {}
    for pair, found in zip(pairs, matches, strict=True):
        for image, features in zip(pair, found.T, strict=True):
            counts[image] = max(counts.get(image, 0), int(features.max(initial=-1)) + 1)
    first = dict(zip(counts, np.cumsum([0, *counts.values()]).tolist(), strict=False))
    nodes = [found + np.array([first[a], first[b]]) for (a, b), found in zip(pairs, matches, strict=True)]
    edges = np.concatenate([np.empty((0, 2), np.int64), *nodes])
    track, before = np.arange(sum(counts.values())), None
    while before is None or not np.array_equal(track, before):  # the least number spreads along the matches
        before = track.copy()
        least = track[edges].min(axis=1)
        for side in (0, 1):
            np.minimum.at(track, edges[:, side], least)
    return [track[each[:, 0]] % _EVERY_TRACK == 0 for each in nodes]


def laid_over(adjusted: Poses, given: Poses) -> dict[str, Float[np.ndarray, "4 4"]]:
    """The adjusted poses, turned, scaled and moved together so that they are as near to the given ones as can be.

    Orientations say how to turn, centres the rest: centres in a line say nothing about the turn around it.
    """
    names = sorted(adjusted)
    turns = [given[name][:3, :3].T @ adjusted[name][:3, :3] for name in names]
    u, _, vt = np.linalg.svd(np.sum(turns, axis=0))
    turn = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    old = np.array([_centre(adjusted[name]) for name in names]) @ turn.T
    new = np.array([_centre(given[name]) for name in names])
    spread = old - old.mean(axis=0)
    size = float(np.sum(spread**2))
    scale = float(np.sum(spread * (new - new.mean(axis=0)))) / size if size > 0 else 1.0
    shift = new.mean(axis=0) - scale * old.mean(axis=0)
    found = {}
    for name, centre in zip(names, old, strict=True):
        pose = np.eye(4)
        pose[:3, :3] = adjusted[name][:3, :3] @ turn.T
        pose[:3, 3] = -pose[:3, :3] @ (scale * centre + shift)
        found[name] = pose
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """Poses, and the held-out matches as their cameras see them."""

    poses: Poses
    matches: Sequence[MatchedPair]

    def error_rad(self) -> float:
        """Mean over the matches."""
        errors = match_errors_rad(self.matches, self.poses)
        return float(np.minimum(errors, _MOST_ERROR_RAD).mean())


def judged(before: Judgement, after: Judgement, *, focal_px: float, depth: float, focal_ratio: float) -> PoseRefinement:
    """Whether to take the refined poses. depth: median of the points, in scene units.

    before, after: with FEWEST_HELD_OUT matches or more.
    """
    given, refined = before.poses, after.poses
    before_px, after_px = focal_px * before.error_rad(), focal_px * after.error_rad()
    turn_deg = {name: _turn_deg(given[name], pose) for name, pose in refined.items()}
    away = {name: _centre(given[name]) - _centre(pose) for name, pose in refined.items()}
    shift = {name: float(np.linalg.norm(move)) / depth for name, move in away.items()}
    count, refused = sum(len(pair.rays_a) for pair in before.matches), None
    far = max(refined, key=lambda name: max(turn_deg[name] / _MOST_TURN_DEG, shift[name] / _MOST_SHIFT))
    if after_px > _LEAST_GAIN * before_px:
        refused = "matches that were held out do not agree better"
    elif turn_deg[far] > _MOST_TURN_DEG or shift[far] > _MOST_SHIFT:
        refused = f"a photo would turn by {turn_deg[far]:.1f} degrees and move by {shift[far]:.0%} of the depth"
    return PoseRefinement(
        refused=refused,
        farthest=far,
        held_out_matches=count,
        error_before_px=before_px,
        error_after_px=after_px,
        largest_turn_deg=max(turn_deg.values()),
        median_turn_deg=float(np.median(list(turn_deg.values()))),
        largest_shift=max(shift.values()),
        median_shift=float(np.median(list(shift.values()))),
        focal_ratio=focal_ratio,
    )


def _centre(pose: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "3"]:
    return np.asarray(-pose[:3, :3].T @ pose[:3, 3])


def _turn_deg(a: Float[np.ndarray, "4 4"], b: Float[np.ndarray, "4 4"]) -> float:
    return float(np.degrees(2 * np.arcsin(min(1.0, float(np.linalg.norm(a[:3, :3] - b[:3, :3])) / np.sqrt(8)))))
