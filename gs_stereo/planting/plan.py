"""Where objects are planted: before real surfaces, seen by several photos, never inside a surface or a camera's way.

What is known of the real surfaces is the splat's depth at the photos, with its doubt. An object is a ball here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8
from pydantic import Field

from gs_stereo.core.hashing import unit_seed
from gs_stereo.core.records import Record
from gs_stereo.errors import StageError
from gs_stereo.geometry.projection import depth_seen_at, project, unproject
from gs_stereo.imaging.light import light_from_srgb
from gs_stereo.planting.config import PlantConfig
from gs_stereo.planting.objects import KINDS, ObjectKind, PlantedObject, Three
from gs_stereo.types import Camera, DepthMaps
from gs_stereo.worlds.mesh import random_turn

PLAN_FILE = "plan.json"
_TRIES = 80
_LEAST_VIEWS = 3
_AS_SEEN_AS_BEHIND = 0.7
"""An object is seen by so many of the photos that see the surface behind it; near a camera it would be seen by few, and
a fit would not find it."""
_SEEN_SHARE = 0.6
"""An object counts as seen by a photo if so much of its ball lies before the real surface there."""
_FREE_OF_CAMERA = 4.0
"""No camera is nearer to an object's centre than so many of its radii, or the object would fill its photo."""
_TOUCHING_SHARE = {False: 0.1, True: 0.5}
"""Largest share of a ball's pixels where the real surface passes through it, for floating and for standing objects."""
_LEAST_LINE_PX, _LARGEST_LINE_PX = 2.5, 7.0
_BLANK_GROWTH = 2.0
"""Blank boards are so much larger than the rest: a small one is held by its outline, as blank walls are not."""
_FILL: dict[ObjectKind, float] = {"plain": 0.55, "glossy": 0.55, "blank": 0.4, "thin": 0.17}
"""How much of its ball's disk an object covers in a photo: means of 40 objects of each kind."""
_BRIGHTNESS = (0.2, 1.0)
"""Objects are so many times as bright as the texture that is cut out of a photo; no brighter, or they would glare."""
_SURE_SPREAD = 0.05
_SURE_ALPHA = 0.8
_SPREADS = 2.0
"""A surface in doubt is no nearer than so many standard deviations along the ray before its median."""


@dataclass(frozen=True, kw_only=True)
class AuditPlan(Record):
    """The objects that were planted. up: of the scene, as the photos were held.

    blank_share: of the photos' pixels, see `photo.blank_share`.
    """

    format: Literal["gs_stereo.audit_plan"] = "gs_stereo.audit_plan"
    version: Literal[1] = 1
    seed: int
    up: Three
    blank_share: Annotated[float, Field(ge=0, le=0.9)]
    objects: tuple[PlantedObject, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class SeenView:
    """A camera and the z of the real surfaces there, NaN = none. sure: where z is to be relied on.

    near: where z is in doubt, how near the surface may be; 0 = nothing is known.
    """

    camera: Camera
    depth: Float[np.ndarray, "h w"]
    sure: Bool[np.ndarray, "h w"]
    near: Float[np.ndarray, "h w"]

    @classmethod
    def of(cls, camera: Camera, depth: DepthMaps) -> "SeenView":
        """By the splat: sure where it is opaque and its depth hardly varies along the ray."""
        spread = np.sqrt(np.maximum(depth.variance, 0.0))
        opaque = depth.alpha >= _SURE_ALPHA
        sure = opaque & (spread <= _SURE_SPREAD * depth.median)
        may_be = np.where(opaque, np.maximum(depth.median - _SPREADS * spread, 0.0), 0.0)
        near = np.where(sure | np.isnan(depth.median), depth.median, may_be)
        return cls(camera=camera, depth=depth.median.astype(np.float64), sure=sure, near=near.astype(np.float64))


def plan_objects(views: Sequence[SeenView], config: PlantConfig, blank_share: float, seed: int) -> AuditPlan:
    """Objects for the photos of a capture; StageError if there is room for none."""
    kinds = [KINDS[number % len(KINDS)] for number in range(config.objects)]
    placed = place_objects(views, config, kinds, seed)
    if not placed:
        raise StageError(
            "There is no room for planted objects before the surfaces of this scene; fit it better, or plant smaller "
            "ones with --set 'extent_share=[0.01,0.03]'."
        )
    up = upwards([view.camera for view in views])
    return AuditPlan(seed=seed, up=_three(up), blank_share=min(blank_share, 0.9), objects=tuple(placed))


def place_objects(
    views: Sequence[SeenView], config: PlantConfig, kinds: Sequence[ObjectKind], seed: int
) -> list[PlantedObject]:
    """Place an object of each of the kinds, one after another; fewer where there is no room."""
    rng = np.random.default_rng(unit_seed(seed, "audit/plan"))
    placed: list[PlantedObject] = []
    covered = np.zeros(len(views))
    for number, kind in enumerate(kinds):
        for _ in range(_TRIES):
            proposed = _propose(views, kind, config, rng, unit_seed(seed, f"audit/object/{number}"))
            if proposed is None or _collides(proposed.item, placed):
                continue
            shares = _covered_shares(views, proposed)
            if shares is None or (covered + shares > config.max_covered).any():
                continue
            placed.append(proposed.item)
            covered += shares
            break
    return placed


def lit_as_around(
    plan: AuditPlan, cameras: Mapping[str, Camera], photos: Mapping[str, UInt8[np.ndarray, "h w 3"]]
) -> AuditPlan:
    """The objects as bright as the photos are about them, compared with the whole of the photos."""
    light = {name: light_from_srgb(photo / 255).mean(axis=-1) for name, photo in photos.items()}
    usual = float(np.mean([photo.mean() for photo in light.values()]))
    items = []
    for item in plan.objects:
        about = []
        for name, photo in light.items():
            camera = cameras[name]
            image_xy, depth = project(camera, np.array(item.centre))
            if depth > 0:
                box = _box(camera, image_xy, float(camera.focal_px * item.radius / depth))
                about.append(photo[box].ravel())
        values = np.concatenate(about) if about else np.empty(0)
        brightness = float(np.median(values)) / max(usual, 1e-4) if values.size else 1.0
        items.append(replace(item, brightness=float(np.clip(brightness, *_BRIGHTNESS))))
    return replace(plan, objects=tuple(items))


@dataclass(frozen=True, kw_only=True)
class _Proposal:
    """behind: point of the surface that it was placed before."""

    item: PlantedObject
    stands: bool
    behind: Float[np.ndarray, "3"]


def _propose(
    views: Sequence[SeenView], kind: ObjectKind, config: PlantConfig, rng: np.random.Generator, seed: int
) -> _Proposal | None:
    """An object before a random pixel of a random photo; None if too little is known there."""
    view = views[int(rng.integers(len(views)))]
    camera, stands = view.camera, bool(rng.random() < config.standing_share)
    column, row = int(rng.integers(camera.width)), int(rng.integers(camera.height))
    low, high = np.log(config.extent_share)
    radius_px, gap = camera.width * np.exp(rng.uniform(low, high)), rng.uniform(0.0, config.max_gap)
    radius_px *= _BLANK_GROWTH if kind == "blank" else 1.0
    line_px, turn = rng.uniform(_LEAST_LINE_PX, _LARGEST_LINE_PX), random_turn(rng)
    surface = float(view.near[row, column])
    if not (surface > 0 and (view.sure[row, column] or not stands)):
        return None
    tangent = radius_px / camera.focal_px
    depth = surface / (1 + 0.95 * tangent) if stands else surface * (1 - gap) / (1 + tangent)
    centre = unproject(camera, np.array([column + 0.5, row + 0.5]), np.array(depth))
    item = PlantedObject(
        kind=kind,
        centre=_three(centre),
        radius=float(tangent * depth),
        line_width=float(line_px * depth / camera.focal_px),
        turn=(_three(turn[0]), _three(turn[1]), _three(turn[2])),
        seed=seed,
    )
    behind = unproject(camera, np.array([column + 0.5, row + 0.5]), np.array(view.depth[row, column]))
    return _Proposal(item=item, stands=stands, behind=behind)


def _covered_shares(views: Sequence[SeenView], proposed: _Proposal) -> Float[np.ndarray, "v"] | None:
    """About the share of each photo that the object covers; None if it may not stand there."""
    item, stands = proposed.item, proposed.stands
    shares, seen = np.zeros(len(views)), 0
    centre = np.array(item.centre)
    for number, view in enumerate(views):
        camera = view.camera
        if np.linalg.norm(camera.centre_in_world - centre) < _FREE_OF_CAMERA * item.radius:
            return None
        image_xy, depth = project(camera, centre)
        if depth <= 0:
            continue
        radius_px = camera.focal_px * item.radius / depth
        behind = _disk(view, image_xy, float(radius_px))
        if not behind.size:
            continue
        known = np.isfinite(behind)
        if known.mean() < _SEEN_SHARE:  # where the real surface is in doubt, so is what it hides
            return None
        behind = behind[known]
        through = (behind > depth - item.radius) & (behind < depth + item.radius)
        if through.mean() > _TOUCHING_SHARE[stands]:
            return None
        shares[number] = _FILL[item.kind] * float((behind > depth).sum()) / (camera.width * camera.height)
        whole = len(behind) > 0.5 * np.pi * radius_px**2
        seen += int(whole and float((behind > depth).mean()) >= _SEEN_SHARE)
    needed = max(min(_LEAST_VIEWS, len(views)), _AS_SEEN_AS_BEHIND * _views_of(views, proposed.behind))
    return shares if seen >= needed else None


def _views_of(views: Sequence[SeenView], point: Float[np.ndarray, "3"]) -> int:
    """How many photos see a point of a surface."""
    count = 0
    for view in views:
        here = depth_seen_at(view.camera, view.depth, point[None])
        count += bool((np.abs(here.there - here.own) <= _SURE_SPREAD * here.own).all())
    return count


def _disk(view: SeenView, image_xy: np.ndarray, radius_px: float) -> Float[np.ndarray, "n"]:
    """How near the real surfaces may be within a circle of the photo, NaN where nothing is known."""
    x, y = image_xy
    box = _box(view.camera, image_xy, radius_px)
    rows, columns = np.mgrid[box]
    within = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius_px**2
    return np.asarray(np.where(view.near[box] > 0, view.near[box], np.nan)[within])


def _box(camera: Camera, image_xy: np.ndarray, radius_px: float) -> tuple[slice, slice]:
    """The rows and columns of a photo that a circle touches; empty if there are none."""
    x, y = image_xy
    left, right = max(int(x - radius_px), 0), min(int(x + radius_px) + 1, camera.width)
    top, bottom = max(int(y - radius_px), 0), min(int(y + radius_px) + 1, camera.height)
    return slice(top, max(top, bottom)), slice(left, max(left, right))


def _collides(item: PlantedObject, others: Sequence[PlantedObject]) -> bool:
    centre = np.array(item.centre)
    return any(np.linalg.norm(centre - other.centre) < 1.1 * (item.radius + other.radius) for other in others)


def upwards(cameras: Sequence[Camera]) -> Float[np.ndarray, "3"]:
    """Upwards as most cameras were held: against their y axes."""
    mean = -np.mean([camera.cam_from_world[1, :3] for camera in cameras], axis=0)
    length = float(np.linalg.norm(mean))
    return mean / length if length > 0 else np.array([0.0, 0.0, 1.0])


def _three(values: np.ndarray) -> Three:
    x, y, z = (float(value) for value in values)
    return x, y, z
