"""What a camera sees of a world: light, exact depth and surface class, and what a second eye beside it cannot see.

Truth belongs to the ray through a pixel's centre.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8, UInt16

from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.imaging.light import srgb_from_light
from gs_stereo.types import Camera, LabelFlag, StereoRig
from gs_stereo.worlds.cameras import camera_rays
from gs_stereo.worlds.raycast import RayHits, Rays
from gs_stereo.worlds.world import World

_RAYS_AT_ONCE = 1 << 16
# Two samples of a pixel, or two pixels, lie on different surfaces if their depths differ by more.
_DEPTH_STEP_IN_PIXEL = 0.03
_DEPTH_STEP_OF_PIXELS = 0.01
_LEAST_FOLD_COSINE = 0.9
# A rotated grid: four different rows and columns, so that edges near both axes get four steps.
_EDGE_OFFSETS = np.array([(-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375)])


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedView:
    """Linear light of the pixels, and what the rays through their centres hit: depth and `SurfaceClass`."""

    camera: Camera
    light: Float32[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]
    surface: UInt8[np.ndarray, "h w"]
    exposure: float

    @property
    def image(self) -> UInt8[np.ndarray, "h w 3"]:
        """The photo: exposed light as sRGB."""
        return np.rint(255 * srgb_from_light(np.clip(self.light * self.exposure, 0.0, 1.0))).astype(np.uint8)


def render(world: World, camera: Camera, supersampling: int | None = None) -> RenderedView:
    """Light, depth and surface class of every pixel.

    supersampling: a pixel is the mean over n x n rays on a regular grid, n + 1 where these fall on different surfaces.
    None: one ray, which the light model may filter, and four more at borders of surfaces and shadows; fast.
    """
    shape = (camera.height, camera.width)
    centres = pixel_centres(camera.width, camera.height).reshape(-1, 2)
    rays = camera_rays(camera, centres)
    hits = world.caster.cast(rays.rows)
    if supersampling is None:
        light = _with_smooth_borders(world, camera, rays, hits)
    else:
        light = _supersampled(world, camera, supersampling)
    return RenderedView(
        camera=camera,
        light=light.reshape(*shape, 3),
        depth=hits.t.reshape(shape),
        surface=world.kind[world.mesh.piece[hits.triangle]].reshape(shape),
        exposure=world.exposure,
    )


def _with_smooth_borders(world: World, camera: Camera, rays: Rays, hits: RayHits) -> Float32[np.ndarray, "n 3"]:
    """Light of the given rays through pixel centres, averaged with four more rays at borders."""
    shaded = world.light.shade(world, rays, hits)
    border = np.flatnonzero(_borders(world, hits, shaded.lit.reshape(camera.height, camera.width)))
    light, total = shaded.light, shaded.light[border]
    centres = pixel_centres(camera.width, camera.height).reshape(-1, 2)[border]
    for offset in _EDGE_OFFSETS:
        more = camera_rays(camera, centres + offset)
        total += world.light.shade(world, more, world.caster.cast(more.rows)).light
    light[border] = total / (1 + len(_EDGE_OFFSETS))
    return light


def _borders(world: World, hits: RayHits, lit: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Pixels beside another face, a step in depth with a fold, or the border of a shadow."""
    shape = lit.shape
    triangle, group = hits.triangle.reshape(shape), world.mesh.group[hits.triangle].reshape(shape)
    inverse = (1 / hits.t).reshape(shape)
    border = np.zeros(shape, bool)
    for first, second in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        differs = (group[first] != group[second]) | (lit[first] != lit[second])
        one, other = inverse[first], inverse[second]
        step = np.abs(one - other) > _DEPTH_STEP_OF_PIXELS * np.maximum(one, other)
        fold = np.nonzero(step & ~differs)
        a, b = (world.mesh.face_normals[triangle[side][fold]].T for side in (first, second))
        differs[fold] = np.abs(a[0] * b[0] + a[1] * b[1] + a[2] * b[2]) < _LEAST_FOLD_COSINE
        border[first] |= differs
        border[second] |= differs
    return border


def _supersampled(world: World, camera: Camera, per_side: int) -> Float32[np.ndarray, "n 3"]:
    """Light of every pixel as the mean over its area (box filter)."""
    centres = pixel_centres(camera.width, camera.height).reshape(-1, 2)
    light = np.empty((len(centres), 3), np.float32)
    step = max(1, _RAYS_AT_ONCE // per_side**2)
    for start in range(0, len(centres), step):
        part = slice(start, start + step)
        light[part], uneven = _mean_light(world, camera, centres[part], per_side)
        border = start + np.flatnonzero(uneven)
        few = max(1, step // 3)
        for chosen in (border[k : k + few] for k in range(0, len(border), few)):
            light[chosen], _ = _mean_light(world, camera, centres[chosen], per_side + 1)
    return light


def _mean_light(
    world: World, camera: Camera, centres: np.ndarray, per_side: int
) -> tuple[Float32[np.ndarray, "n 3"], Bool[np.ndarray, "n"]]:
    """Mean light over each pixel's area, and whether its rays fall on different pieces or clearly different depths."""
    rays = camera_rays(camera, centres, per_side)
    hits = world.caster.cast(rays.rows)
    samples = (per_side**2, len(centres))
    light = world.light.shade(world, rays, hits).light.reshape(*samples, 3)
    piece, depth = world.mesh.piece[hits.triangle].reshape(samples), hits.t.reshape(samples)
    uneven = depth.max(axis=0) > (1 + _DEPTH_STEP_IN_PIXEL) * depth.min(axis=0)
    return light.mean(axis=0), uneven | (piece != piece[0]).any(axis=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class StereoTruth:
    """Exact disparity of a left view in pixels, and where a right eye cannot see what it shows."""

    disparity: Float32[np.ndarray, "h w"]
    hidden: Bool[np.ndarray, "h w"]
    out_of_frame: Bool[np.ndarray, "h w"]

    @property
    def flags(self) -> UInt16[np.ndarray, "h w"]:
        """Bits OCCLUDED and OUT_OF_FRAME of `LabelFlag`."""
        return (LabelFlag.OCCLUDED * self.hidden + LabelFlag.OUT_OF_FRAME * self.out_of_frame).astype(np.uint16)


def stereo_truth(world: World, left: RenderedView, baseline: float) -> StereoTruth:
    """What a right eye at `baseline` metres makes of a rendered view."""
    rig = StereoRig(left=left.camera, baseline=baseline)
    centres = pixel_centres(rig.left.width, rig.left.height)
    depth = left.depth.astype(np.float64)
    disparity = rig.focal_times_baseline / depth
    rows = camera_rays(rig.left, centres.reshape(-1, 2)).rows
    eye, way = rig.right.centre_in_world, depth.reshape(-1, 1) * rows[:, 3:]
    # The left eye as the rays have it, rounded, or exactly: the published bytes of samples and of pairs depend on it.
    if world.hidden_margin_m:
        way += rows[:, :3]
        way -= eye
    else:
        way += rig.left.centre_in_world - eye
    return StereoTruth(
        disparity=disparity.astype(np.float32),
        hidden=hidden_from(world, eye, way).reshape(depth.shape),
        out_of_frame=centres[..., 0] - disparity < 0,
    )


def hidden_from(world: World, eye: Float64[np.ndarray, "3"], way: Float64[np.ndarray, "n 3"]) -> Bool[np.ndarray, "n"]:
    """True where a surface lies between an eye and a surface point, `way` from it, by more than the world's margin."""
    rows = np.empty((len(way), 6), np.float32)
    rows[:, :3] = eye
    if world.hidden_margin_m:
        way = way * (1 - world.hidden_margin_m / np.sqrt(np.einsum("ij,ij->i", way, way)))[:, None]
    rows[:, 3:] = way
    return world.caster.blocked(rows, 0.0, 1 - world.hidden_margin_share)
