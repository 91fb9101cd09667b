"""Files of virtual views, whoever wrote them: our JSON, transforms.json, a COLMAP model, and cameras.json of 3DGS."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from gs_stereo.core.records import OpenRecord, json_text, read_json, record_from_json
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import photo_size
from gs_stereo.io.colmap import model_files, read_best_model
from gs_stereo.io.colmap_model import pinhole_intrinsics
from gs_stereo.io.transforms import TransformsFrame, read_transforms
from gs_stereo.io.views import CameraRecord, Matrix3, Row3, Side, read_views
from gs_stereo.types import Camera

_FIX = "give gs_stereo.views, a transforms.json, cameras.json of 3DGS, or the folder of a COLMAP model"
Focal = Annotated[float, Field(gt=0, lt=1e9)]


@dataclass(frozen=True, kw_only=True)
class GaussianSplattingCamera(OpenRecord):
    """An entry of the cameras.json that the 3DGS reference code writes. Its principal point is the image's centre.

    position: centre in the world. rotation: world from camera, OpenCV axes. fx, fy: pixels.
    """

    img_name: str
    width: Side
    height: Side
    position: Row3
    rotation: Matrix3
    fx: Focal
    fy: Focal

    @property
    def camera(self) -> Camera:
        """ValueError if the pose is none."""
        rotation = np.array(self.rotation).T
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ np.array(self.position)
        k = ((self.fx, 0.0, self.width / 2), (0.0, self.fy, self.height / 2), (0.0, 0.0, 1.0))
        values = {"name": self.img_name, "width": self.width, "height": self.height, "intrinsics": k}
        text = json_text({**values, "cam_from_world": pose.tolist()})
        return record_from_json(CameraRecord, text).camera


def view_file_parts(path: Path) -> list[Path]:
    """The files that the views are read from: the file itself, or those of a COLMAP model."""
    return model_files(path) if path.is_dir() else [path]


def read_view_file(path: Path) -> tuple[Camera, ...]:
    """Read views of any of these kinds in their order; InputError if the file is none or anything in it is wrong.

    Photos need not be there, unless only they tell the size. Distortion is left out: a view is a pinhole camera.
    """
    if path.is_dir():
        model, _ = read_best_model(path)
        images = sorted(model.images.values(), key=lambda image: image.name)
        return tuple(
            Camera(
                name=image.name,
                width=model.cameras[image.camera_id].width,
                height=model.cameras[image.camera_id].height,
                intrinsics=pinhole_intrinsics(model.cameras[image.camera_id], without_distortion=True),
                cam_from_world=image.cam_from_world,
            )
            for image in images
        )
    content = read_json(path, fix=_FIX, allow_inf_nan=True)
    if isinstance(content, dict) and "frames" in content:
        return tuple(_of_frame(frame, path) for frame in read_transforms(path).frames)
    if isinstance(content, dict):
        return read_views(path)
    return _of_gaussian_splatting(content, path)


def _of_frame(frame: TransformsFrame, path: Path) -> Camera:
    size = frame.size or (photo_size(frame.path) if frame.path else None)
    if size is None:
        raise InputError(f"The frame {frame.name} in {path} has no size and no photo; add w and h to the file.")
    return Camera(
        name=frame.name,
        width=size[0],
        height=size[1],
        intrinsics=frame.intrinsics(*size),
        cam_from_world=frame.cam_from_world,
    )


def _of_gaussian_splatting(entries: object, path: Path) -> tuple[Camera, ...]:
    """A name that comes twice, as of photos in two folders, gets its number."""
    if not isinstance(entries, list) or not entries:
        raise InputError(f"The file {path} holds no views; {_FIX}.")
    cameras = []
    for number, entry in enumerate(entries):
        try:
            cameras.append(record_from_json(GaussianSplattingCamera, json_text(entry)).camera)
        except ValueError as error:
            raise InputError(f"Entry {number} of {path} is no camera of 3DGS ({error}); {_FIX}.") from error
    times = Counter(camera.name for camera in cameras)
    return tuple(
        camera if times[camera.name] == 1 else replace(camera, name=f"{camera.name}-{number}")
        for number, camera in enumerate(cameras)
    )
