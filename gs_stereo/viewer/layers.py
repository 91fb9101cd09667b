"""What stands in the 3D view: the splat, the photos at their cameras, the SfM points, the rigs. All can be hidden."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import viser
from jaxtyping import Bool, Float

from gs_stereo.errors import GsStereoError
from gs_stereo.geometry.view_selection import capture_spacing
from gs_stereo.imaging.images import shrink_to_edge
from gs_stereo.imaging.masks import tinted
from gs_stereo.types.photo_source import mask_of
from gs_stereo.viewer.config import ViewerConfig
from gs_stereo.viewer.contents import SceneContents
from gs_stereo.viewer.frame import DisplayFrame
from gs_stereo.viewer.pictures import ColouredPoints, plain_splat, rig_lines

_LARGEST_FRUSTUM, _FRUSTUM_SHARE = 0.08, 0.4
_LINE_PX = 1.5
_FARTHEST = 1e5
_POINT_SIZE, _LABEL_POINT_SIZE = 0.004, 0.005
_CAMERA_COLOUR = (90, 90, 90)
_LABEL_NODE = "/label"

OnPhoto = Callable[[int, viser.ClientHandle], None]


class Layers:
    """Puts the parts of a scene into the 3D view, in display units. `frame`: see viewer/frame.py."""

    def __init__(
        self, server: viser.ViserServer, contents: SceneContents, frame: DisplayFrame, config: ViewerConfig
    ) -> None:
        self._server, self._contents, self._frame, self._config = server, contents, frame, config
        self._frusta: list[viser.CameraFrustumHandle] = []
        self._frustum_size = _frustum_size(contents, frame)

    def show_all(self, on_photo: OnPhoto) -> None:
        """Add every part that the scene has. on_photo: called with a camera's index when its photo is clicked."""
        self._add_splat()
        self._add_points()
        self._add_cameras(on_photo)
        self._add_rigs()

    def _add_splat(self) -> None:
        if self._contents.renderer is None:
            return
        gaussians = self._contents.renderer.gaussians.to("cpu")
        splat = plain_splat(gaussians, self._config.max_gaussians, self._frame.display_per_unit)
        self._server.scene.add_gaussian_splats(
            "/splat",
            centers=splat.means,
            covariances=splat.covariances,
            rgbs=splat.rgb,
            opacities=splat.opacities,
        )

    def _add_points(self) -> None:
        sparse = self._contents.sparse
        if sparse is None or len(sparse.points) == 0:
            return
        step = -(-len(sparse.points) // self._config.max_points)
        points = ColouredPoints(xyz_in_world=sparse.points.xyz_in_world[::step], rgb=sparse.points.rgb[::step])
        self._add_cloud("/points", points, _POINT_SIZE, visible=self._contents.renderer is None)

    def _add_cameras(self, on_photo: OnPhoto) -> None:
        self._server.scene.add_frame("/photos", show_axes=False)
        for index, camera in enumerate(self._contents.sparse.cameras if self._contents.sparse else ()):
            wxyz, position = self._frame.pose(camera)
            frustum = self._server.scene.add_camera_frustum(
                f"/photos/{index}",
                fov=2 * math.atan(camera.height / 2 / camera.intrinsics[1, 1]),
                aspect=camera.width / camera.height,
                scale=self._frustum_size,
                thickness=_LINE_PX,
                thickness_units="screen",
                color=_CAMERA_COLOUR,
                wxyz=wxyz,
                position=position,
            )
            self._frusta.append(frustum)

            @frustum.on_click
            def _(event: viser.SceneNodePointerEvent[viser.CameraFrustumHandle], index: int = index) -> None:
                on_photo(index, event.client)

    def add_thumbnails(self, ended: Callable[[], bool], on_error: Callable[[Exception], None]) -> None:
        """Put the photos on the cameras, one after the other, until `ended()`. Slow: not for the event thread.

        A photo that cannot be read stays away; on_error hears of the first.
        """
        if self._contents.sparse is None or self._contents.photo is None:
            return
        failed = False
        for camera, frustum in zip(self._contents.sparse.cameras, self._frusta, strict=True):
            if ended():
                return
            try:
                photo = tinted(self._contents.photo(camera.name), mask_of(self._contents.photo, camera.name))
                frustum.image = shrink_to_edge(photo, self._config.thumbnail_edge_px)
            except GsStereoError as error:
                if not failed:
                    on_error(error)
                failed = True

    def _add_rigs(self) -> None:
        self._server.scene.add_frame("/rigs", show_axes=False, visible=self._contents.sparse is None)
        for number, rigs in enumerate(self._contents.rigs.values()):
            lines, colours = rig_lines(rigs, self._frustum_size / self._frame.display_per_unit)
            lines = self._frame.place(lines)
            shown = _displayable(lines)
            if shown.any():
                self._server.scene.add_line_segments(
                    f"/rigs/{number}", lines[shown], colours[shown], thickness=_LINE_PX, thickness_units="screen"
                )

    def show_label(self, points: ColouredPoints, *, visible: bool) -> None:
        """Replace the label's points."""
        self._add_cloud(_LABEL_NODE, points, _LABEL_POINT_SIZE, visible=visible)

    def _add_cloud(self, node: str, points: ColouredPoints, size: float, *, visible: bool) -> None:
        xyz = self._frame.place(points.xyz_in_world)
        shown = _displayable(xyz)
        self._server.scene.add_point_cloud(
            node,
            xyz[shown].astype(np.float32),
            points.rgb[shown],
            point_size=size,
            precision="float32",
            point_shading="flat",
            visible=visible,
        )

    def show(self, node: str, *, visible: bool) -> None:
        """Show or hide one part, if it is there."""
        handle = self._server.scene.get_handle_by_name(node)
        if handle is not None:
            handle.visible = visible


def _displayable(xyz: Float[np.ndarray, "n ..."]) -> Bool[np.ndarray, "n"]:
    """What a browser can draw: no nonsense of broken files, which would overflow its float32."""
    return np.asarray((np.abs(xyz) < _FARTHEST).reshape(len(xyz), -1).all(axis=1))


def _frustum_size(contents: SceneContents, frame: DisplayFrame) -> float:
    """Display units: small enough that the photos of a dense capture do not hide each other."""
    cameras = contents.sparse.cameras if contents.sparse else ()
    spacing = capture_spacing(cameras) if len(cameras) > 1 else 0.0
    return min(_LARGEST_FRUSTUM, _FRUSTUM_SHARE * spacing * frame.display_per_unit) or _LARGEST_FRUSTUM


def toggles(contents: SceneContents) -> Mapping[str, tuple[str, bool]]:
    """Parts that can be hidden: title -> (node, shown at first). Parts that the scene lacks are left out."""
    has_splat = contents.renderer is not None
    has_points = contents.sparse is not None and len(contents.sparse.points) > 0
    parts = {
        "Splat": ("/splat", True, has_splat),
        "Photos": ("/photos", True, contents.sparse is not None),
        "SfM points": ("/points", not has_splat, has_points),
        "Stereo rigs": ("/rigs", contents.sparse is None, bool(contents.rigs)),
    }
    return {title: (node, shown) for title, (node, shown, there) in parts.items() if there}
