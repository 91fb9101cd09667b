"""A picture of the sparse points and the cameras, from above and aside, as one SVG with the points as an image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gs_stereo.core.markup import Markup, el
from gs_stereo.types import Camera, SparseScene

_WIDTH, _HEIGHT = 640, 400
_MAX_POINTS = 2500
_RANGE_PERCENTILES = (2.0, 98.0)
_MARGIN = 0.06
_FRUSTUM_SHARE = 0.045
_TILT_RAD = np.radians(35.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Window:
    """Orthographic: scene points (right, up after turning) to the drawing."""

    axes: Float[np.ndarray, "2 3"]
    centre: Float[np.ndarray, "2"]
    scale: float

    def place(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        flat = (points @ self.axes.T - self.centre) * self.scale
        return np.stack([_WIDTH / 2 + flat[:, 0], _HEIGHT / 2 - flat[:, 1]], axis=1)


def cloud_picture(scene: SparseScene, used: Sequence[str] = ()) -> Markup:
    """Points in their colours and cameras as small pyramids; those named in `used` are highlighted."""
    points, colours = _chosen(scene)
    window = _window(points, scene.cameras)
    dots = _dots(window.place(points), colours)
    size = _FRUSTUM_SHARE * min(_WIDTH, _HEIGHT) / window.scale
    frames = [_frustum(camera, window, size, camera.name in used) for camera in scene.cameras]
    title = f"{len(scene.cameras)} cameras and {len(scene.points)} points, seen obliquely from above"
    return el(
        "svg",
        el("title", title),
        dots,
        frames,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=title,
        class_="cloud",
    )


def _chosen(scene: SparseScene) -> tuple[Float[np.ndarray, "n 3"], np.ndarray]:
    """The best-tracked points, at most a few thousand; far outliers are left out."""
    xyz = scene.points.xyz_in_world
    low, high = np.percentile(xyz, _RANGE_PERCENTILES, axis=0) if len(xyz) else (np.zeros(3), np.ones(3))
    slack = 0.25 * (high - low)
    near = ((xyz >= low - slack) & (xyz <= high + slack)).all(axis=1)
    index = np.flatnonzero(near)
    order = np.argsort(-scene.points.track_length[index], kind="stable")[:_MAX_POINTS]
    index = np.sort(index[order])
    return xyz[index], scene.points.rgb[index]


def _window(points: Float[np.ndarray, "n 3"], cameras: Sequence[Camera]) -> _Window:
    """Look from behind the cameras, tilted down: up is against the cameras' mean y axis."""
    up = -_unit(np.mean([camera.cam_from_world[1, :3] for camera in cameras], axis=0))
    ahead = np.mean([camera.cam_from_world[2, :3] for camera in cameras], axis=0)
    ahead = ahead - up * (ahead @ up)
    ahead = _unit(ahead) if np.linalg.norm(ahead) > 1e-6 else _unit(cameras[0].cam_from_world[0, :3])
    right = np.cross(ahead, up)
    view_up = np.cos(_TILT_RAD) * up + np.sin(_TILT_RAD) * ahead
    axes = np.stack([right, view_up])
    centres = np.array([camera.centre_in_world for camera in cameras])
    flat = np.concatenate([points, centres]) @ axes.T
    low, high = np.percentile(flat, 1, axis=0), np.percentile(flat, 99, axis=0)
    camera_flat = centres @ axes.T
    low, high = np.minimum(low, camera_flat.min(axis=0)), np.maximum(high, camera_flat.max(axis=0))
    room = np.array([_WIDTH, _HEIGHT]) * (1 - 2 * _MARGIN)
    scale = float(np.min(room / np.maximum(high - low, 1e-9)))
    return _Window(axes=axes, centre=(low + high) / 2, scale=scale)


def _dots(places: Float[np.ndarray, "n 2"], colours: np.ndarray) -> Markup:
    """Points grouped by coarse colour, so that the drawing stays small."""
    coarse = (colours // 32 * 32 + 16).astype(np.int64)
    keys = coarse[:, 0] << 16 | coarse[:, 1] << 8 | coarse[:, 2]
    inside = (places >= 0).all(axis=1) & (places[:, 0] <= _WIDTH) & (places[:, 1] <= _HEIGHT)
    groups = []
    for key in np.unique(keys[inside]):
        steps = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in places[inside & (keys == key)])
        groups.append(el("path", d=steps, stroke=f"#{int(key):06x}"))
    return el("g", groups, class_="points")


def _frustum(camera: Camera, window: _Window, size: float, used: bool) -> Markup:
    x = size * 0.5 * camera.width / camera.focal_px
    y = size * 0.5 * camera.height / camera.focal_px
    corners = np.array([[0, 0, 0], [-x, -y, size], [x, -y, size], [x, y, size], [-x, y, size]])
    world = corners @ camera.cam_from_world[:3, :3] + camera.centre_in_world
    apex, *rim = window.place(world)
    path = "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in rim) + "Z"
    rays = "".join(f"M{apex[0]:.1f} {apex[1]:.1f}L{px:.1f} {py:.1f}" for px, py in rim)
    return el("g", el("title", camera.name), el("path", d=path + rays), class_="camera used" if used else "camera")


def _unit(vector: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else np.array([0.0, -1.0, 0.0])
