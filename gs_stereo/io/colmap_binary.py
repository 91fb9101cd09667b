"""The binary form of a COLMAP model: little-endian records behind a count. Used through io/colmap.py."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gs_stereo.core.atomic import write_bytes
from gs_stereo.errors import InputError, unreadable
from gs_stereo.io.colmap_model import CAMERA_MODELS, ColmapCamera, ColmapImage, ColmapModel, ColmapPoints

_MODEL_BY_ID = {model_id: name for name, (model_id, _) in CAMERA_MODELS.items()}
_OBSERVATION = np.dtype([("x", "<f8"), ("y", "<f8"), ("point_id", "<i8")])
_COUNT = struct.Struct("<Q")
_CAMERA = struct.Struct("<iiQQ")
_POSE = struct.Struct("<i7di")
_POINT = struct.Struct("<Q3d3BdQ")
_TRACK_ELEMENT_BYTES = 8
_MAX_ID = (1 << 63) - 1


@dataclass(kw_only=True)
class _Cursor:
    """A position in a file's bytes that never runs past their end."""

    path: Path
    data: bytes
    offset: int = 0

    def broken(self, problem: str) -> InputError:
        return InputError(f"The file {self.path} is broken at byte {self.offset} ({problem}); export the model again.")

    def skip(self, size: int) -> int:
        """Step over `size` bytes and return where they began."""
        start = self.offset
        if size > len(self.data) - start:
            raise self.broken("it ends too early")
        self.offset += size
        return start

    def unpack(self, record: struct.Struct) -> tuple[float, ...]:
        return record.unpack_from(self.data, self.skip(record.size))

    def count(self, smallest_record: int) -> int:
        """A count of records that can still fit into the file."""
        (value,) = _COUNT.unpack_from(self.data, self.skip(_COUNT.size))
        if value * smallest_record > len(self.data) - self.offset:
            raise self.broken("it ends too early")
        return int(value)

    def array(self, dtype: np.dtype, count: int) -> np.ndarray:
        start = self.skip(dtype.itemsize * count)
        return np.frombuffer(self.data, dtype=dtype, count=count, offset=start)

    def text(self) -> str:
        end = self.data.find(b"\0", self.offset)
        if end < 0:
            raise self.broken("a name has no end")
        raw = self.data[self.offset : end]
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.broken("a name is no UTF-8 text") from error
        self.offset = end + 1
        return name

    def finish(self) -> None:
        if self.offset != len(self.data):
            raise self.broken("there are bytes after the last record")


def _open(path: Path) -> _Cursor:
    try:
        return _Cursor(path=path, data=path.read_bytes())
    except OSError as error:
        raise unreadable(path, error) from error


def read(folder: Path) -> ColmapModel:
    """Read the files, of which points3D may be missing; InputError where one is truncated, too long or inconsistent."""
    return ColmapModel(
        cameras=_read_cameras(_open(folder / "cameras.bin")),
        images=_read_images(_open(folder / "images.bin")),
        points=_read_points(_open(points)) if (points := folder / "points3D.bin").is_file() else ColmapPoints.none(),
    )


def _read_cameras(cursor: _Cursor) -> dict[int, ColmapCamera]:
    cameras: dict[int, ColmapCamera] = {}
    for _ in range(cursor.count(_CAMERA.size)):
        camera_id, model_id, width, height = (int(value) for value in cursor.unpack(_CAMERA))
        if model_id not in _MODEL_BY_ID or camera_id in cameras:
            raise cursor.broken(f"camera {camera_id} has the unknown model {model_id} or comes twice")
        model = _MODEL_BY_ID[model_id]
        params = cursor.array(np.dtype("<f8"), CAMERA_MODELS[model][1]).astype(np.float64)
        cameras[camera_id] = ColmapCamera(model=model, width=width, height=height, params=params)
    cursor.finish()
    return cameras


def _read_images(cursor: _Cursor) -> dict[int, ColmapImage]:
    images: dict[int, ColmapImage] = {}
    for _ in range(cursor.count(_POSE.size + 1 + _COUNT.size)):
        record = cursor.unpack(_POSE)
        name = cursor.text()
        observations = cursor.array(_OBSERVATION, cursor.count(_OBSERVATION.itemsize))
        image_id, camera_id = int(record[0]), int(record[8])
        if image_id in images:
            raise cursor.broken(f"image {image_id} comes twice")
        images[image_id] = ColmapImage(
            name=name,
            camera_id=camera_id,
            qvec_wxyz=np.array(record[1:5], dtype=np.float64),
            tvec=np.array(record[5:8], dtype=np.float64),
            points_xy=np.column_stack([observations["x"], observations["y"]]).astype(np.float64),
            point_ids=observations["point_id"].astype(np.int64),
        )
    cursor.finish()
    return images


def _read_points(cursor: _Cursor) -> ColmapPoints:
    records: list[tuple[float, ...]] = []
    tracks: list[np.ndarray] = []
    for _ in range(cursor.count(_POINT.size)):
        record = cursor.unpack(_POINT)
        if record[0] > _MAX_ID or int(record[-1]) * _TRACK_ELEMENT_BYTES > len(cursor.data):
            raise cursor.broken("a point has an impossible id or track")
        records.append(record)
        tracks.append(cursor.array(np.dtype("<i4"), 2 * int(record[-1])))
    cursor.finish()
    columns = list(zip(*records, strict=True)) if records else [() for _ in range(9)]
    track = np.concatenate(tracks) if tracks else np.empty(0, dtype=np.int64)
    return ColmapPoints(
        ids=np.array(columns[0], dtype=np.int64),
        xyz_in_world=np.array(columns[1:4], dtype=np.float64).reshape(3, -1).T.copy(),
        rgb=np.array(columns[4:7], dtype=np.uint8).reshape(3, -1).T.copy(),
        error_px=np.array(columns[7], dtype=np.float64),
        track_start=np.concatenate([[0], np.cumsum(columns[8])]).astype(np.int64),
        track=track.astype(np.int64).reshape(-1, 2),
    )


def write(folder: Path, model: ColmapModel) -> None:
    """Write the three files, ordered by id."""
    write_bytes(folder / "cameras.bin", _cameras_bytes(model))
    write_bytes(folder / "images.bin", _images_bytes(model))
    write_bytes(folder / "points3D.bin", _points_bytes(model.points))


def _cameras_bytes(model: ColmapModel) -> bytes:
    parts = [_COUNT.pack(len(model.cameras))]
    for camera_id, camera in sorted(model.cameras.items()):
        parts.append(_CAMERA.pack(camera_id, CAMERA_MODELS[camera.model][0], camera.width, camera.height))
        parts.append(camera.params.astype("<f8").tobytes())
    return b"".join(parts)


def _images_bytes(model: ColmapModel) -> bytes:
    parts = [_COUNT.pack(len(model.images))]
    for image_id, image in sorted(model.images.items()):
        parts.append(_POSE.pack(image_id, *image.qvec_wxyz, *image.tvec, image.camera_id))
        parts.append(image.name.encode("utf-8") + b"\0" + _COUNT.pack(len(image.points_xy)))
        observations = np.empty(len(image.points_xy), dtype=_OBSERVATION)
        observations["x"], observations["y"] = image.points_xy.T
        observations["point_id"] = image.point_ids
        parts.append(observations.tobytes())
    return b"".join(parts)


def _points_bytes(points: ColmapPoints) -> bytes:
    parts = [_COUNT.pack(len(points))]
    track = points.track.astype("<i4")
    for row in np.argsort(points.ids, kind="stable"):
        start, end = points.track_start[row], points.track_start[row + 1]
        xyz, rgb = points.xyz_in_world[row], points.rgb[row]
        parts.append(_POINT.pack(points.ids[row], *xyz, *rgb, points.error_px[row], end - start))
        parts.append(track[start:end].tobytes())
    return b"".join(parts)
