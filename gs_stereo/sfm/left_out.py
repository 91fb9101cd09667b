"""How far the poses of photos agree: each is found again from points that only the other photos have placed.

Bundle adjustment hides an error of a pose in the points that it moves along, so their reprojection error says little of
it. Here a photo has no say in the points that its pose is measured against.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import Field

from gs_stereo.core.records import Measured, Record
from gs_stereo.geometry.projection import project, unproject
from gs_stereo.io.colmap import sparse_scene_from_model
from gs_stereo.io.colmap_model import ColmapModel
from gs_stereo.types import Camera

_LEAST_POINTS = 20
_LEAST_OTHERS = 2
_LEAST_PARALLAX_RAD = np.deg2rad(2.0)
_OUTLIER = 3.0
"""Observations beyond so many times the median distance do not count: wrong matches, not wrong poses."""


@dataclass(frozen=True, kw_only=True)
class LeftOutPoses(Record):
    """Photos whose poses were found again without them. shift_px: how far their points move in the photo by it.

    photos: that could be judged. shift_px: the median over photos of each one's median; worst_px: the largest, of the
    photo `worst`. centre_share: median motion of the camera's centre over the median depth of what it sees.
    """

    photos: Annotated[int, Field(ge=1)]
    shift_px: Measured
    worst_px: Measured
    worst: str
    centre_share: Measured


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rays:
    """Of all observations of points: who sees which point, where, and what its ray adds to the point's equations."""

    photo: Int[np.ndarray, "m"]
    point: Int[np.ndarray, "m"]
    image_xy: Float[np.ndarray, "m 2"]
    normal: Float[np.ndarray, "m 3 3"]
    target: Float[np.ndarray, "m 3"]


def left_out_poses(model: ColmapModel) -> LeftOutPoses | None:
    """None where fewer than three photos share enough points. Cameras must be pinholes."""
    cameras = sparse_scene_from_model(model).cameras
    if len(cameras) <= _LEAST_OTHERS:
        return None
    rays = _rays(model, cameras)
    count = int(rays.point.max()) + 1 if len(rays.point) else 0
    normal, target, seen = np.zeros((count, 3, 3)), np.zeros((count, 3)), np.bincount(rays.point, minlength=count)
    np.add.at(normal, rays.point, rays.normal)
    np.add.at(target, rays.point, rays.target)
    found: dict[str, tuple[float, float]] = {}
    for photo, camera in enumerate(cameras):
        here = np.flatnonzero((rays.photo == photo) & (seen[rays.point] > _LEAST_OTHERS))
        others_normal = normal[rays.point[here]] - rays.normal[here]
        points, sure = _placed(others_normal, target[rays.point[here]] - rays.target[here])
        moved = _moved(points[sure], rays.image_xy[here][sure], camera)
        if moved is not None:
            found[camera.name] = moved
    if not found:
        return None
    worst = max(found, key=lambda name: found[name][0])
    shifts, centres = np.array(list(found.values())).T
    return LeftOutPoses(
        photos=len(found),
        shift_px=float(np.median(shifts)),
        worst_px=found[worst][0],
        worst=worst,
        centre_share=float(np.median(centres)),
    )


def _rays(model: ColmapModel, cameras: Sequence[Camera]) -> _Rays:
    """Each adds (I - d d^T) (x - c) = 0 to the normal equations of its point, weighted to be an error in the photo."""
    order = np.argsort(model.points.ids, kind="stable")
    ids, xyz = model.points.ids[order], model.points.xyz_in_world[order]
    images = {image.name: image for image in model.images.values()}
    parts = []
    for photo, camera in enumerate(cameras):
        image, centre = images[camera.name], camera.centre_in_world
        chosen = np.flatnonzero(np.isin(image.point_ids, ids))
        _, first = np.unique(image.point_ids[chosen], return_index=True)  # a point counts once a photo
        chosen = chosen[first]
        point, image_xy = np.searchsorted(ids, image.point_ids[chosen]), image.points_xy[chosen]
        way = unproject(camera, image_xy, np.ones(len(image_xy))) - centre
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        scale = camera.focal_px / np.maximum(np.linalg.norm(xyz[point] - centre, axis=1), 1e-12)
        normal = (np.eye(3) - way[:, :, None] * way[:, None, :]) * (scale**2)[:, None, None]
        parts.append(
            _Rays(
                photo=np.full(len(point), photo),
                point=point,
                image_xy=image_xy,
                normal=normal,
                target=normal @ centre,
            )
        )
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("photo", "point", "image_xy", "normal", "target")
    }
    return _Rays(**joined)


def _placed(
    normal: Float[np.ndarray, "n 3 3"], target: Float[np.ndarray, "n 3"]
) -> tuple[Float[np.ndarray, "n 3"], Bool[np.ndarray, "n"]]:
    """Points by their normal equations, and which of them the rays place surely.

    Two rays at an angle a have a least eigenvalue of 1 - cos a = a^2 / 2 times the weight of one of them.
    """
    values = np.linalg.eigvalsh(normal)
    sure = values[:, 0] > 0.25 * _LEAST_PARALLAX_RAD**2 * values[:, 2]
    points = np.full(target.shape, np.nan)
    points[sure] = np.linalg.solve(normal[sure], target[sure][..., None])[..., 0]
    return points, sure


def _moved(
    points: Float[np.ndarray, "n 3"], image_xy: Float[np.ndarray, "n 2"], camera: Camera
) -> tuple[float, float] | None:
    """Median motion of the points in px, and of the centre over their median depth, if the pose is found from them."""
    import cv2

    before, depth = project(camera, points)
    before, depth, points, image_xy = (values[depth > 0] for values in (before, depth, points, image_xy))
    if len(points) < _LEAST_POINTS:
        return None
    given_turn, given_step = cv2.Rodrigues(camera.cam_from_world[:3, :3])[0], camera.cam_from_world[:3, 3:]
    again, after = camera, before
    for _ in range(3):
        distance = np.linalg.norm(after - image_xy, axis=1)
        kept = distance <= _OUTLIER * np.nanmedian(distance)
        if kept.sum() < _LEAST_POINTS // 2:
            return None
        found, turn, step = cv2.solvePnP(
            points[kept],
            image_xy[kept],
            camera.intrinsics,
            None,
            given_turn.copy(),  # it writes into both
            given_step.copy(),
            useExtrinsicGuess=True,
        )
        if not found:
            return None
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3:] = cv2.Rodrigues(turn)[0], step
        again = replace(camera, cam_from_world=pose)
        after, _ = project(again, points)
    share = float(np.linalg.norm(again.centre_in_world - camera.centre_in_world) / np.median(depth))
    return float(np.nanmedian(np.linalg.norm(after - before, axis=1)[kept])), share
