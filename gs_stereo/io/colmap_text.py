"""The text form of a COLMAP model: one record a line (two for an image). Used through io/colmap.py."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gs_stereo.core.atomic import write_text
from gs_stereo.errors import InputError
from gs_stereo.io.colmap_model import CAMERA_MODELS, ColmapCamera, ColmapImage, ColmapModel, ColmapPoints

_MAX_ID = (1 << 63) - 1
_MAX_INDEX = (1 << 31) - 1


def read(folder: Path) -> ColmapModel:
    """Read the files, of which points3D may be missing; InputError names the file and the line that is broken."""
    return ColmapModel(
        cameras=_read_cameras(folder / "cameras.txt"),
        images=_read_images(folder / "images.txt"),
        points=_read_points(points) if (points := folder / "points3D.txt").is_file() else ColmapPoints.none(),
    )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without comments. Blank lines are kept: an image without observations has one."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read {path} as text ({error}); export the model again.") from error
    for number, line in enumerate(text.split("\n"), 1):
        if not line.startswith("#"):
            yield number, line.strip()


def _broken(path: Path, number: int, error: Exception) -> InputError:
    return InputError(f"Line {number} of {path} is broken ({error}); export the model again.")


def _integer(text: str, largest: int = _MAX_INDEX) -> int:
    value = int(text)
    if not -1 <= value <= largest:
        raise ValueError(f"{text} is out of range")
    return value


def _read_cameras(path: Path) -> dict[int, ColmapCamera]:
    cameras: dict[int, ColmapCamera] = {}
    for number, line in _lines(path):
        if not line:
            continue
        try:
            camera_id, camera = _parse_camera(line)
            if camera_id in cameras:
                raise ValueError(f"camera {camera_id} comes twice")
        except (ValueError, OverflowError) as error:
            raise _broken(path, number, error) from error
        cameras[camera_id] = camera
    return cameras


def _parse_camera(line: str) -> tuple[int, ColmapCamera]:
    camera_id, model, width, height, *params = line.split()
    if model not in CAMERA_MODELS or len(params) != CAMERA_MODELS[model][1]:
        raise ValueError(f"the camera model {model} is unknown or has {len(params)} parameters")
    values = np.array([float(value) for value in params], dtype=np.float64)
    return _integer(camera_id), ColmapCamera(model=model, width=_integer(width), height=_integer(height), params=values)


def _read_images(path: Path) -> dict[int, ColmapImage]:
    images: dict[int, ColmapImage] = {}
    lines = _lines(path)
    for number, line in lines:
        if not line:
            continue
        observations = next(lines, (number, ""))[1]
        try:
            image_id, image = _parse_image(line, observations)
            if image_id in images:
                raise ValueError(f"image {image_id} comes twice")
        except (ValueError, OverflowError) as error:
            raise _broken(path, number, error) from error
        images[image_id] = image
    return images


def _parse_image(line: str, observations: str) -> tuple[int, ColmapImage]:
    image_id, *pose, camera_id, name = line.split(maxsplit=9)
    values = np.array([float(value) for value in pose], dtype=np.float64)
    table = observations.split()
    if len(table) % 3 or len(values) != 7:
        raise ValueError("a pose has 7 numbers, and an observation has 3")
    xy = np.array([table[0::3], table[1::3]], dtype=np.float64).reshape(2, -1).T.copy()
    ids = np.array([_integer(value, _MAX_ID) for value in table[2::3]], dtype=np.int64)
    return _integer(image_id), ColmapImage(
        name=name,
        camera_id=_integer(camera_id),
        qvec_wxyz=values[:4],
        tvec=values[4:],
        points_xy=xy,
        point_ids=ids,
    )


def _read_points(path: Path) -> ColmapPoints:
    ids: list[int] = []
    values: list[list[float]] = []
    tracks: list[list[int]] = []
    for number, line in _lines(path):
        if not line:
            continue
        try:
            point_id, numbers, track = _parse_point(line)
        except (ValueError, OverflowError) as error:
            raise _broken(path, number, error) from error
        ids.append(point_id)
        values.append(numbers)
        tracks.append(track)
    table = np.array(values, dtype=np.float64).reshape(-1, 7)
    flat = [value for track in tracks for value in track]
    return ColmapPoints(
        ids=np.array(ids, dtype=np.int64),
        xyz_in_world=table[:, :3].copy(),
        rgb=table[:, 3:6].astype(np.uint8),
        error_px=table[:, 6].copy(),
        track_start=np.cumsum([0, *(len(track) // 2 for track in tracks)], dtype=np.int64),
        track=np.array(flat, dtype=np.int64).reshape(-1, 2),
    )


def _parse_point(line: str) -> tuple[int, list[float], list[int]]:
    fields = line.split()
    if len(fields) < 8 or len(fields) % 2:
        raise ValueError("a point has 8 numbers and then pairs")
    colour = [round(float(value)) for value in fields[4:7]]  # other programs write 80.0
    if not all(0 <= value <= 255 for value in colour):
        raise ValueError("a colour is not in 0..255")
    numbers = [*(float(value) for value in fields[1:4]), *colour, float(fields[7])]
    return _integer(fields[0], _MAX_ID), numbers, [_integer(value) for value in fields[8:]]


def write(folder: Path, model: ColmapModel) -> None:
    """Write the three files, ordered by id. Numbers are written with every digit they need."""
    write_text(folder / "cameras.txt", "".join(_camera_lines(model)))
    write_text(folder / "images.txt", "".join(_image_lines(model)))
    write_text(folder / "points3D.txt", "".join(_point_lines(model.points)))


def _join(values: np.ndarray) -> str:
    return " ".join(repr(value) for value in values.tolist())


def _camera_lines(model: ColmapModel) -> Iterator[str]:
    yield "# CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]\n"
    for camera_id, camera in sorted(model.cameras.items()):
        yield f"{camera_id} {camera.model} {camera.width} {camera.height} {_join(camera.params)}\n"


def _image_lines(model: ColmapModel) -> Iterator[str]:
    yield "# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then X Y POINT3D_ID for each observation\n"
    for image_id, image in sorted(model.images.items()):
        yield f"{image_id} {_join(image.qvec_wxyz)} {_join(image.tvec)} {image.camera_id} {image.name}\n"
        rows = zip(image.points_xy.tolist(), image.point_ids.tolist(), strict=True)
        yield " ".join(f"{x!r} {y!r} {point_id}" for (x, y), point_id in rows) + "\n"


def _point_lines(points: ColmapPoints) -> Iterator[str]:
    yield "# POINT3D_ID X Y Z R G B ERROR, then IMAGE_ID POINT2D_IDX for each observation\n"
    for row in np.argsort(points.ids, kind="stable"):
        start, end = points.track_start[row], points.track_start[row + 1]
        track = " ".join(str(value) for value in points.track[start:end].ravel().tolist())
        head = f"{points.ids[row]} {_join(points.xyz_in_world[row])} {_join(points.rgb[row])}"
        yield f"{head} {float(points.error_px[row])!r} {track}".rstrip() + "\n"
