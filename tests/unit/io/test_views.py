"""Files of views: exact round trip, and one clear sentence for everything that can be wrong in one."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from builders import camera_at
from hypothesis import given
from hypothesis import strategies as st

from gs_stereo.core.records import json_text, json_values, record_from_json, write_record
from gs_stereo.errors import InputError
from gs_stereo.io.views import CameraRecord, ViewsFile, read_views
from gs_stereo.types import Camera


def camera(name: str = "a", seed: int = 0) -> Camera:
    rng = np.random.default_rng(seed)
    look = {"focal_px": (500 / 3, 510.1), "principal_px": (100 / 7, 33.3), "turn_deg": rng.normal(size=3) * 60}
    return camera_at(name, *(rng.normal(size=3) * 1e3), size=(640, 480), **look)


@given(st.integers(0, 2**32 - 1))
def test_a_camera_comes_back_bit_by_bit(seed):
    before = camera("näme/1.jpg", seed)
    after = record_from_json(CameraRecord, json_text(CameraRecord.of(before))).camera
    assert (after.name, after.width, after.height) == (before.name, before.width, before.height)
    assert after.intrinsics.tobytes() == before.intrinsics.tobytes()
    assert after.cam_from_world.tobytes() == before.cam_from_world.tobytes()


def test_a_file_of_views_keeps_names_and_order(tmp_path):
    path = tmp_path / "views.json"
    cameras = (camera("b", 1), camera("日本", 2), camera("a", 3))
    write_record(path, ViewsFile(views=tuple(map(CameraRecord.of, cameras))))
    views = read_views(path)
    assert [view.name for view in views] == ["b", "日本", "a"]
    assert views[2].cam_from_world.tobytes() == camera("a", 3).cam_from_world.tobytes()
    first = path.read_bytes()
    write_record(path, ViewsFile(views=tuple(map(CameraRecord.of, views))))
    assert path.read_bytes() == first


GOOD = {"format": "gs_stereo.views", "format_version": 1, "views": [json_values(CameraRecord.of(camera()))]}


def _changed(*keys, value):
    values = copy.deepcopy(GOOD)
    target = values
    for key in keys[:-1]:
        target = target[key]
    target[keys[-1]] = value
    return values


BROKEN = {
    "not an object": [1, 2],
    "other format": _changed("format", value="something"),
    "other version": _changed("format_version", value=2),
    "no views": _changed("views", value=[]),
    "views no list": _changed("views", value={"a": 1}),
    "camera no object": _changed("views", 0, value=7),
    "unknown field": _changed("views", 0, "fov", value=7),
    "missing field": {**GOOD, "views": [{"name": "a"}]},
    "empty name": _changed("views", 0, "name", value=" "),
    "number as name": _changed("views", 0, "name", value=3),
    "zero width": _changed("views", 0, "width", value=0),
    "half a pixel": _changed("views", 0, "width", value=3.5),
    "true as width": _changed("views", 0, "width", value=True),
    "huge height": _changed("views", 0, "height", value=10**9),
    "short intrinsics": _changed("views", 0, "intrinsics", value=[[1, 0], [0, 1]]),
    "text in intrinsics": _changed("views", 0, "intrinsics", 0, 0, value="500"),
    "skew": _changed("views", 0, "intrinsics", 0, 1, value=0.1),
    "negative focal length": _changed("views", 0, "intrinsics", 0, 0, value=-5.0),
    "last row of intrinsics": _changed("views", 0, "intrinsics", 2, 2, value=2.0),
    "nan": _changed("views", 0, "intrinsics", 0, 2, value=float("nan")),
    "infinity": _changed("views", 0, "cam_from_world", 0, 3, value=float("inf")),
    "beyond float": _changed("views", 0, "cam_from_world", 0, 3, value=10**400),
    "scaled rotation": _changed("views", 0, "cam_from_world", 0, value=[9.0, 9.0, 9.0, 0.0]),
    "last row of the pose": _changed("views", 0, "cam_from_world", 3, value=[0, 0, 0.1, 1]),
    "mirrored": _changed("views", 0, "cam_from_world", value=[[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    "same name twice": {**GOOD, "views": GOOD["views"] * 2},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_wrong_file_is_an_input_error_that_names_it(tmp_path, name):
    path = tmp_path / "views.json"
    path.write_text(json.dumps(BROKEN[name]), encoding="utf-8")
    with pytest.raises(InputError, match=r"views\.json") as caught:
        read_views(path)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b'{"a": 1' + b"9" * 6000 + b"}"])
def test_bytes_that_are_no_json_are_an_input_error(tmp_path, data):
    path = tmp_path / "views.json"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"views\.json"):
        read_views(path)


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="There is no .*none.json"):
        read_views(tmp_path / "none.json")
