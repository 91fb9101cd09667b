"""COLMAP models: round trips in both forms, equality with pycolmap, and no way for a broken file to do harm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import camera_at, make_points, make_scene
from hypothesis import given, settings
from hypothesis import strategies as st

from gs_stereo.errors import InputError
from gs_stereo.io.colmap import (
    find_model_folder,
    model_from_sparse_scene,
    read_best_model,
    read_model,
    sparse_scene_from_model,
    write_model,
)
from gs_stereo.io.colmap_model import (
    CAMERA_MODELS,
    ColmapCamera,
    ColmapImage,
    ColmapModel,
    ColmapPoints,
    check_image_name,
    check_model,
    without_dangling,
)
from gs_stereo.types import SparseScene

FILES = ("cameras.bin", "images.bin", "points3D.bin")


def small_model() -> ColmapModel:
    random = np.random.default_rng(1)
    quaternions = [q / np.linalg.norm(q) for q in random.normal(size=(2, 4))]
    cameras = {
        7: ColmapCamera(model="OPENCV", width=640, height=480, params=random.normal(size=8) ** 2 + 1e-3),
        2: ColmapCamera(model="SIMPLE_PINHOLE", width=321, height=123, params=np.array([300.0, 160.5, 61.5])),
    }
    images = {
        3: ColmapImage(
            name="été/b 1.jpg",
            camera_id=7,
            qvec_wxyz=quaternions[0],
            tvec=random.normal(size=3),
            points_xy=random.uniform(0, 400, (3, 2)),
            point_ids=np.array([5, -1, 9]),
        ),
        1: ColmapImage(
            name="a.jpg",
            camera_id=2,
            qvec_wxyz=quaternions[1],
            tvec=random.normal(size=3),
            points_xy=np.empty((0, 2)),
            point_ids=np.empty(0, dtype=np.int64),
        ),
    }
    points = ColmapPoints(
        ids=np.array([5, 9]),
        xyz_in_world=random.normal(size=(2, 3)),
        rgb=np.array([[0, 128, 255], [1, 2, 3]], dtype=np.uint8),
        error_px=np.array([0.25, -1.0]),
        track_start=np.array([0, 1, 2]),
        track=np.array([[3, 0], [3, 2]]),
    )
    return ColmapModel(cameras=cameras, images=images, points=points)


def assert_same(a: ColmapModel, b: ColmapModel) -> None:
    assert a.cameras.keys() == b.cameras.keys()
    assert a.images.keys() == b.images.keys()
    for camera_id, camera in a.cameras.items():
        other = b.cameras[camera_id]
        assert (camera.model, camera.width, camera.height) == (other.model, other.width, other.height)
        np.testing.assert_array_equal(camera.params, other.params)
    for image_id, image in a.images.items():
        twin = b.images[image_id]
        assert (image.name, image.camera_id) == (twin.name, twin.camera_id)
        for field in ("qvec_wxyz", "tvec", "points_xy", "point_ids"):
            np.testing.assert_array_equal(getattr(image, field), getattr(twin, field))
    for field in ("ids", "xyz_in_world", "rgb", "error_px", "track_start", "track"):
        np.testing.assert_array_equal(getattr(a.points, field), getattr(b.points, field))


@pytest.mark.parametrize("text", [False, True])
def test_round_trip_is_exact(tmp_path: Path, text: bool) -> None:
    model = small_model()
    write_model(tmp_path, model, text=text)
    assert_same(model, read_model(tmp_path))


def test_text_with_a_byte_order_mark_and_windows_line_ends_is_read(tmp_path: Path) -> None:
    write_model(tmp_path, small_model(), text=True)
    for file in tmp_path.iterdir():
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert {image.name for image in read_model(tmp_path).images.values()} == {"été/b 1.jpg", "a.jpg"}


@pytest.mark.parametrize("text", [False, True])
def test_a_model_without_points_is_read(tmp_path: Path, text: bool) -> None:
    write_model(tmp_path, small_model(), text=text)
    next(tmp_path.glob("points3D.*")).unlink()
    found = read_model(tmp_path)
    assert {image.name for image in found.images.values()} == {"été/b 1.jpg", "a.jpg"}
    assert len(found.points.ids) == 0
    assert found.dropped_observations == 2


def test_the_form_of_a_model_that_has_points_is_taken(tmp_path: Path) -> None:
    write_model(tmp_path, small_model(), text=True)
    for name in ("cameras.bin", "images.bin"):
        (tmp_path / name).write_bytes(b"the rest of another model")
    assert_same(read_model(tmp_path), small_model())


def test_colours_with_a_decimal_point_are_read(tmp_path: Path) -> None:
    write_model(tmp_path, small_model(), text=True)
    points = tmp_path / "points3D.txt"
    points.write_text(points.read_text().replace(" 0 128 255 ", " 0.0 128.000 2.55e2 "))
    assert_same(read_model(tmp_path), small_model())
    points.write_text(points.read_text().replace(" 128.000 ", " nan "))
    with pytest.raises(InputError, match="is broken"):
        read_model(tmp_path)


def test_bytes_do_not_depend_on_order(tmp_path: Path) -> None:
    model = small_model()
    turned = replace(model, images=dict(reversed(list(model.images.items()))))
    write_model(tmp_path / "a", model)
    write_model(tmp_path / "b", turned)
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in FILES)


@pytest.mark.parametrize("place", ["", "sparse", "sparse/0", "0"])
def test_usual_folders_are_found(tmp_path: Path, place: str) -> None:
    write_model(tmp_path / place, small_model())
    assert find_model_folder(tmp_path) == tmp_path / place


def test_missing_model_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no COLMAP model"):
        read_model(tmp_path)


def test_pycolmap_reads_what_we_write_and_we_read_what_it_writes(tmp_path: Path) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    write_model(tmp_path / "ours", small_model())
    theirs = pycolmap.Reconstruction(tmp_path / "ours")
    theirs.write_binary(tmp_path / "theirs")
    again = read_model(tmp_path / "theirs")
    for image_id, image in small_model().images.items():
        np.testing.assert_allclose(again.images[image_id].cam_from_world, image.cam_from_world, atol=1e-12)
        pose = theirs.image(image_id).cam_from_world().matrix()
        np.testing.assert_allclose(pose, image.cam_from_world[:3], atol=1e-12)
    np.testing.assert_array_equal(again.points.xyz_in_world, small_model().points.xyz_in_world)
    np.testing.assert_array_equal(again.points.track, small_model().points.track)


def test_camera_model_table_is_that_of_pycolmap() -> None:
    pycolmap = pytest.importorskip("pycolmap")
    for name, (model_id, count) in CAMERA_MODELS.items():
        theirs = pycolmap.CameraModelId.__members__[name]
        assert theirs.value == model_id
        assert len(pycolmap.Camera.create_from_model_id(1, theirs, 100.0, 64, 64).params) == count


@pytest.fixture(scope="module")
def good_bytes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("model")
    write_model(folder, small_model())
    return {file: (folder / file).read_bytes() for file in FILES}


def read_bytes(folder: Path, contents: dict[str, bytes]) -> ColmapModel:
    for file, data in contents.items():
        (folder / file).write_bytes(data)
    return read_model(folder)


@given(file=st.sampled_from(FILES), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_truncated_file_is_an_input_error(
    good_bytes: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, file: str, data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, len(good_bytes[file]) - 1))
    folder = tmp_path_factory.getbasetemp() / "truncated"
    folder.mkdir(exist_ok=True)
    with pytest.raises(InputError):
        read_bytes(folder, {**good_bytes, file: good_bytes[file][:length]})


@given(file=st.sampled_from(FILES), data=st.data())
@settings(max_examples=150, deadline=None)
def test_flipped_bytes_give_a_sound_model_or_an_input_error(
    good_bytes: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, file: str, data: st.DataObject
) -> None:
    broken = bytearray(good_bytes[file])
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.getbasetemp() / "flipped"
    folder.mkdir(exist_ok=True)
    try:
        model = read_bytes(folder, {**good_bytes, file: bytes(broken)})
    except InputError:
        return
    assert all(np.isfinite(image.cam_from_world).all() for image in model.images.values())
    assert np.isfinite(model.points.xyz_in_world).all()


@given(
    lines=st.lists(st.text(alphabet="0123456789.-einfa# \tPINHOLE", max_size=60), max_size=6), place=st.integers(0, 2)
)
@settings(max_examples=60, deadline=None)
def test_garbage_text_is_a_model_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], place: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "garbage"
    folder.mkdir(exist_ok=True)
    good = ("1 PINHOLE 64 48 50 50 32 24\n", "1 1 0 0 0 0 0 0 1 a.jpg\n3 4 2\n", "2 0 0 5 1 2 3 0.5 1 0\n")
    files = ("cameras.txt", "images.txt", "points3D.txt")
    for index, (file, text) in enumerate(zip(files, good, strict=True)):
        (folder / file).write_text("\n".join(lines) if index == place else text, encoding="utf-8")
    try:
        model = read_model(folder)
    except InputError:
        return
    assert np.isfinite(model.points.xyz_in_world).all()
    assert all(np.isfinite(image.cam_from_world).all() for image in model.images.values())


def test_nan_in_a_pose_is_an_input_error(tmp_path: Path) -> None:
    model = small_model()
    write_model(tmp_path, model, text=True)
    text = (tmp_path / "images.txt").read_text(encoding="utf-8")
    first = repr(model.images[1].tvec.tolist()[0])
    (tmp_path / "images.txt").write_text(text.replace(first, "nan"), encoding="utf-8")
    with pytest.raises(InputError, match="pose"):
        read_model(tmp_path)


def scene() -> SparseScene:
    look = {"size": (640, 480), "focal_px": (500.0, 505.0)}
    cameras = [camera_at(f"{k}.jpg", -0.3 * k, 0.0, -0.1, turn_deg=(0.0, 11.0 * k, 0.0), **look) for k in range(2)]
    points = make_points(
        [[0.0, 0, 4], [0.5, 0.2, 5], [-0.5, 0.1, 3]],
        rgb=[[1, 2, 3], [4, 5, 6], [7, 8, 9]],
        error_px=[0.1, np.nan, 0.3],
        track_length=[2, 1, 1],
    )
    visible = (np.array([0, 1]), np.array([0, 2]))
    return make_scene(cameras, points, visible_points=visible, metres_per_unit=1.0)


def test_scene_round_trip_keeps_poses_points_and_visibility(tmp_path: Path) -> None:
    write_model(tmp_path, model_from_sparse_scene(scene()))
    again = sparse_scene_from_model(read_model(tmp_path), 1.0)
    for before, after in zip(scene().cameras, again.cameras, strict=True):
        assert before.name == after.name
        np.testing.assert_allclose(after.cam_from_world, before.cam_from_world, atol=1e-12)
        np.testing.assert_array_equal(after.intrinsics, before.intrinsics)
    np.testing.assert_array_equal(again.points.error_px, scene().points.error_px)
    np.testing.assert_array_equal(again.points.track_length, [2, 1, 1])
    for before_ids, after_ids in zip(scene().visible_points, again.visible_points, strict=True):
        np.testing.assert_array_equal(before_ids, after_ids)


def test_a_distorted_camera_is_refused_with_the_fix() -> None:
    with pytest.raises(InputError, match="undistort"):
        sparse_scene_from_model(small_model())


@pytest.mark.parametrize("name", ["", "../a.jpg", "/etc/a.jpg", "a\\b.jpg", "c:/a.jpg", "a/../../b.jpg"])
def test_names_that_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="image"):
        check_image_name(name)


def test_observations_that_lead_nowhere_are_dropped_and_counted(tmp_path: Path) -> None:
    model = small_model()
    points = replace(model.points, track=np.array([[3, 0], [77, 2]]))  # the second point's image is gone
    first = model.images[3]
    ids = np.where(first.point_ids == 5, 123, first.point_ids)  # and so is a point that an image sees
    kept = without_dangling(replace(model, points=points, images={**model.images, 3: replace(first, point_ids=ids)}))
    check_model(kept, tmp_path)
    assert kept.dropped_observations == 1 + np.count_nonzero(first.point_ids == 5)
    assert kept.points.track.tolist() == [[3, 0]]
    assert kept.points.track_start.tolist() == [0, 1, 1]
    assert 123 not in kept.images[3].point_ids
    assert without_dangling(kept) is kept


def test_the_model_with_most_images_is_taken_and_a_larger_one_beside_it_is_named(tmp_path: Path) -> None:
    model = small_model()
    small = replace(model, images=dict(list(model.images.items())[:1]))
    write_model(tmp_path / "sparse/0", without_dangling(small))
    write_model(tmp_path / "sparse/1", model)
    taken, notes = read_best_model(tmp_path)
    assert len(taken.images) == len(model.images)
    assert "sparse/1" in notes[0]
    asked, notes = read_best_model(tmp_path / "sparse/0")
    assert len(asked.images) == 1
    assert f"sparse/1 has {len(model.images)}" in notes[-1]
