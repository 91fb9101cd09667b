"""Where the rectified stacks of a capture stand: few, far apart, inside its hull (recipe of arXiv 2512.10959).

Candidates are the photos' own cameras and views near them. They are grouped by orientation, and k-means over their
centres spreads the stacks within each group.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from gs_stereo.core.hashing import unit_seed
from gs_stereo.geometry.trajectories import neighbours, perturbed_camera
from gs_stereo.geometry.view_selection import camera_centres
from gs_stereo.splat.pairs_config import PairsConfig
from gs_stereo.types import Camera

_NEAR_EACH_PHOTO = 4
_GROUP_ANGLE_RAD = np.radians(30.0)
"""Cameras that are turned further against each other share no direction of epipolar lines."""

_ROUNDS = 50
_JITTER = 0.3  # of the spacing; as of generated scenes


def stack_centres(photos: Sequence[Camera], config: PairsConfig, count: int, seed: int) -> list[Camera]:
    """`count` cameras for the middle of stacks; a single photo gives one."""
    candidates = list(photos)
    if len(photos) > 1:
        near, magnitude = neighbours(photos), (config.perturb_position, config.perturb_rotation)
        for number, photo in enumerate(photos):
            rng = np.random.default_rng(unit_seed(seed, f"near {photo.name}"))
            others = [photos[other] for other in near[number]]
            candidates += [perturbed_camera(photo, others, magnitude, rng) for _ in range(_NEAR_EACH_PHOTO)]
    rng = np.random.default_rng(unit_seed(seed, "stacks"))
    chosen = spread_cameras(candidates, count, rng)
    return [replace(camera, name=f"stack_{number:05d}") for number, camera in enumerate(chosen)]


def spread_cameras(cameras: Sequence[Camera], count: int, rng: np.random.Generator) -> list[Camera]:
    """At most `count` of the cameras: of each group of like orientation its share, far apart."""
    groups = _by_orientation(cameras)
    wanted = np.array([len(group) for group in groups]) * min(count, len(cameras)) / len(cameras)
    shares = np.floor(wanted).astype(int)
    for group in np.argsort(shares - wanted, kind="stable")[: min(count, len(cameras)) - shares.sum()]:
        shares[group] += 1
    return [
        cameras[group[place]]
        for group, share in zip(groups, shares, strict=True)
        for place in _medoids(camera_centres([cameras[n] for n in group]), int(share), rng)
    ]


def stack_places(views: int, rng: np.random.Generator) -> tuple[float, ...]:
    """Ascending places between -1 and 1, both ends and 0 among them; unevenly spaced, so that baselines differ."""
    places = np.linspace(-1.0, 1.0, views)
    places[1:-1] += rng.uniform(-_JITTER, _JITTER, views - 2) * 2 / (views - 1)
    places[views // 2] = 0.0
    return tuple(float(place) for place in places)


def _by_orientation(cameras: Sequence[Camera]) -> list[list[int]]:
    """Numbers of cameras that are turned by less than the limit against the first of their group."""
    groups: list[list[int]] = []
    for number, camera in enumerate(cameras):
        for group in groups:
            turn = camera.cam_from_world[:3, :3] @ cameras[group[0]].cam_from_world[:3, :3].T
            if np.trace(turn) > 1 + 2 * np.cos(_GROUP_ANGLE_RAD):
                group.append(number)
                break
        else:
            groups.append([number])
    return groups


def _medoids(points: Float[np.ndarray, "n 3"], count: int, rng: np.random.Generator) -> list[int]:
    """Numbers of the points nearest to the `count` means of k-means (Lloyd, started far apart)."""
    if count == 0:
        return []
    means = points[[rng.integers(len(points))]]
    while len(means) < count:
        means = np.concatenate([means, points[[np.argmax(_distances(points, means).min(axis=1))]]])
    for _ in range(_ROUNDS):
        owner = _distances(points, means).argmin(axis=1)
        means = np.stack([points[owner == k].mean(axis=0) if (owner == k).any() else means[k] for k in range(count)])
    chosen: list[int] = []
    for row in _distances(points, means).T:
        row[chosen] = np.inf
        chosen.append(int(row.argmin()))
    return sorted(chosen)


def _distances(points: Float[np.ndarray, "n 3"], means: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "n k"]:
    return np.array(np.linalg.norm(points[:, None] - means[None], axis=-1))
