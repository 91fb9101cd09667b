"""Which pairs of photos are matched, by rule from their names and number."""

import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from gs_stereo.sfm.config import ReconstructConfig

Pair = tuple[str, str]
_MAX_ANGLE_DEG = 60.0
_COMPARED_PHOTOS, _RUN = 24, 3


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which img2 comes before img10."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def choose_pairs(names: Sequence[str], config: ReconstructConfig, *, is_video: bool) -> tuple[list[Pair], int]:
    """Pairs of photo names to match, and how many similar photos to find for each one besides (0 = none)."""
    matcher = config.matcher
    if matcher == "auto" and is_video and len(names) > 2 * config.neighbours:
        return sequential_pairs(names, config.neighbours), config.similar
    if matcher == "exhaustive" or (matcher == "auto" and len(names) <= config.exhaustive_limit):
        return list(itertools.combinations(names, 2)), 0
    if matcher == "sequential":
        return sequential_pairs(names, config.neighbours), 0
    return [], config.similar


def sequential_pairs(names: Sequence[str], neighbours: int) -> list[Pair]:
    """Each photo with the next `neighbours` in natural name order, and with those at powers of two beyond."""
    ordered = sorted(names, key=natural_key)
    powers = [1 << power for power in range(min(neighbours, 32)) if 1 << power > neighbours]
    steps = [*range(1, neighbours + 1), *powers]
    return [(ordered[i], ordered[i + step]) for i in range(len(ordered)) for step in steps if i + step < len(ordered)]


def pairs_to_compare(names: Sequence[str]) -> list[Pair]:
    """A few pairs that probably overlap, whatever the poses: each of up to 24 photos, in runs, with the two after it.

    That takes about ten seconds, and is enough to tell right poses from wrong ones.
    """
    ordered = sorted(names, key=natural_key)
    if len(ordered) <= _COMPARED_PHOTOS:
        return sequential_pairs(ordered, 2)
    starts = np.linspace(0, len(ordered) - _RUN, _COMPARED_PHOTOS // _RUN).astype(int)
    return sorted({pair for start in starts for pair in itertools.combinations(ordered[start : start + _RUN], 2)})


def pairs_by_pose(
    poses: Mapping[str, Float[np.ndarray, "4 4"]], exhaustive_limit: int = 80, per_photo: int = 20
) -> list[Pair]:
    """Pairs for known cameras: all of them if they are few, else the nearest ones that look the same way.

    Neighbours in name order join, so that wrong poses can be told from right ones.
    """
    names = sorted(poses)
    if len(names) <= exhaustive_limit:
        return list(itertools.combinations(names, 2))
    rotations = np.array([poses[name][:3, :3] for name in names])
    centres = np.array([-poses[name][:3, :3].T @ poses[name][:3, 3] for name in names])
    forward = rotations[:, 2]
    chosen = {(min(pair), max(pair)) for pair in sequential_pairs(names, 2)}
    for i in range(len(names)):
        distance = np.linalg.norm(centres - centres[i], axis=1)
        apart = forward @ forward[i] < np.cos(np.radians(_MAX_ANGLE_DEG))
        cost = np.where(apart, np.inf, distance)
        cost[i] = np.inf
        for j in np.argsort(cost, kind="stable")[:per_photo]:
            if np.isfinite(cost[j]):
                chosen.add((names[min(i, int(j))], names[max(i, int(j))]))
    return sorted(chosen)
