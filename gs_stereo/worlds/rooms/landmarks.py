"""Exact surface points and who sees them: the sparse model of a sample, as if structure from motion made no error."""

import numpy as np
from jaxtyping import Float64, UInt8

from gs_stereo.core.hashing import unit_seed
from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.geometry.projection import inside, project, unproject
from gs_stereo.types import Camera, SparsePoints, SparseScene
from gs_stereo.worlds.render import RenderedView, hidden_from
from gs_stereo.worlds.world import SurfaceClass, World

_POINTS_PER_VIEW = 320
_LEAST_TRACK = 2


def pick(
    view: RenderedView, photo: UInt8[np.ndarray, "h w 3"], seed: int
) -> tuple[Float64[np.ndarray, "n 3"], UInt8[np.ndarray, "n 3"]]:
    """World points and colours of randomly chosen pixel centres of one view, none in the sky."""
    camera, z = view.camera, view.depth
    rng = np.random.default_rng(unit_seed(seed, f"landmarks/{camera.name}"))
    count = min(_POINTS_PER_VIEW, z.size)
    chosen = np.sort(rng.choice(z.size, count, replace=False))
    row, column = np.divmod(chosen[view.surface.ravel()[chosen] != SurfaceClass.SKY], camera.width)
    centres = pixel_centres(camera.width, camera.height)[row, column]
    return unproject(camera, centres, z[row, column].astype(np.float64)), photo[row, column]


def exact_model(
    world: World, cameras: list[Camera], points: Float64[np.ndarray, "n 3"], rgb: UInt8[np.ndarray, "n 3"]
) -> SparseScene:
    """The cameras, the points, and the views of every point; points that fewer than two views see are dropped."""
    eyes = [camera.centre_in_world for camera in cameras]
    hidden = np.stack([hidden_from(world, eye, points - eye) for eye in eyes])
    visible = np.stack([inside(camera, project(camera, points)[0]) for camera in cameras]) & ~hidden
    keep = visible.sum(axis=0) >= _LEAST_TRACK
    visible = visible[:, keep]
    kept = SparsePoints(
        xyz_in_world=points[keep],
        rgb=rgb[keep],
        error_px=np.zeros(int(keep.sum())),
        track_length=visible.sum(axis=0),
    )
    return SparseScene(
        cameras=tuple(cameras),
        points=kept,
        visible_points=tuple(np.flatnonzero(row) for row in visible),
        metres_per_unit=1.0,
    )
