"""Captures of phones as folders: Polycam's raw data and Record3D's frames, with poses of ARKit, in metres.

Polycam (github.com/PolyCam/polyform, README): `keyframes/cameras/TIME.json` beside `keyframes/images/TIME.jpg`, and
`corrected_` ones of both where the app has adjusted them, which are better. Record3D (threads 27, 36, 83 and 93 of
github.com/marek-simonik/record3d): `metadata` or `metadata.json`, and `rgb/NUMBER.jpg` or, in a `.r3d`, which is a zip,
`rgbd/NUMBER.jpg`.
Poses are of the camera in the world with OpenGL's axes, so both are read like a transforms.json.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from gs_stereo.core.records import OpenRecord, read_object, read_record
from gs_stereo.errors import InputError
from gs_stereo.geometry.rotations import matrix_from_quaternion
from gs_stereo.io.transforms import Transforms, transforms_of

_MOST_FRAMES = 150
"""Of a recording with 30 to 60 frames a second; as many as of a video."""
_FIX = "export it again from the app"

Number = Annotated[float, Field(allow_inf_nan=False)]
Pose = Annotated[tuple[Number, ...], Field(min_length=7, max_length=7)]
Coefficients = Annotated[tuple[Number, ...], Field(min_length=4, max_length=4)]


@dataclass(frozen=True, kw_only=True)
class _Recording(OpenRecord):
    """Record3D's metadata. K: 3x3, column by column. poses: quaternion xyzw, then position, of each frame.

    perFrameIntrinsicCoeffs: fx, fy, cx, cy of each frame.
    """

    w: Annotated[int, Field(gt=0)]
    h: Annotated[int, Field(gt=0)]
    K: Annotated[tuple[Number, ...], Field(min_length=9, max_length=9)]
    poses: Annotated[tuple[Pose, ...], Field(min_length=1)]
    perFrameIntrinsicCoeffs: tuple[Coefficients, ...] | None = None  # noqa: N815


def capture_files(folder: Path) -> list[Path]:
    """What a capture is read from, photos aside; empty if the folder is no capture."""
    if (folder / "keyframes/cameras").is_dir():
        return sorted((folder / "keyframes" / f"{_polycam_prefix(folder)}cameras").glob("*.json"))
    return [path for name in ("metadata.json", "metadata") if (path := folder / name).is_file()][:1]


def read_capture(folder: Path) -> Transforms:
    """Read a folder of Polycam or Record3D; InputError if it is neither, or if no frame can be used."""
    files = capture_files(folder)
    if not files:
        raise InputError(
            f"{folder} is no capture: Polycam's raw data has keyframes/cameras, Record3D's frames have a "
            "metadata.json; give such a folder, unpacked."
        )
    polycam = (folder / "keyframes").is_dir()
    frames, notes = (_polycam(folder), ()) if polycam else _record3d(folder, files[0])
    read = transforms_of({"frames": frames}, folder / "keyframes" if polycam else files[0])
    return replace(read, notes=(*read.notes, *notes), metres_per_unit=1.0)


def _polycam_prefix(folder: Path) -> str:
    corrected = all((folder / "keyframes" / f"corrected_{kind}").is_dir() for kind in ("cameras", "images"))
    return "corrected_" if corrected else ""


def _polycam(folder: Path) -> list[dict[str, Any]]:
    kind = _polycam_prefix(folder)
    frames = []
    for path in sorted((folder / "keyframes" / f"{kind}cameras").glob("*.json")):
        said = read_object(path, fix=_FIX)
        names = {"fl_x": "fx", "fl_y": "fy", "cx": "cx", "cy": "cy", "w": "width", "h": "height"}
        frames.append(
            {
                "file_path": f"keyframes/{kind}images/{path.stem}.jpg",
                "transform_matrix": [[said.get(f"t_{row}{column}") for column in range(4)] for row in range(3)],
                **{key: said.get(name) for key, name in names.items()},
            }
        )
    return frames


def _record3d(folder: Path, metadata: Path) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    said = read_record(_Recording, metadata, fix=_FIX)
    photos = {
        int(path.stem): path
        for pattern in ("rgb/*.jpg", "rgb/*.png", "rgbd/*.jpg")
        for path in folder.glob(pattern)
        if path.stem.isdecimal()
    }
    numbers = sorted(number for number in photos if number < len(said.poses))
    if not numbers:
        raise InputError(
            f"There is no rgb/0.jpg or rgbd/0.jpg beside {metadata}; export the frames too, or unpack them."
        )
    kept = [numbers[row] for row in np.unique(np.linspace(0, len(numbers) - 1, _MOST_FRAMES).round().astype(int))]
    each = said.perFrameIntrinsicCoeffs
    frames = []
    for number in kept:
        x, y, z, w, *position = said.poses[number]
        turn = matrix_from_quaternion(np.array([w, x, y, z]))
        fx, fy, cx, cy = each[number] if each and number < len(each) else (said.K[0], said.K[4], said.K[6], said.K[7])
        lens = {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "w": said.w, "h": said.h}
        frames.append(
            {
                "file_path": photos[number].relative_to(folder).as_posix(),
                "transform_matrix": np.column_stack([turn, position]).tolist(),
                **lens,
            }
        )
    notes = (f"{len(kept)} of {len(numbers)} frames are used, evenly spread.",) if len(kept) < len(numbers) else ()
    return frames, notes
