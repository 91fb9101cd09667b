"""Cameras that the user brings: kept to the last bit, undistorted where needed, triangulated where points lack."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_points
from PIL import Image

from gs_stereo.errors import InputError
from gs_stereo.geometry.projection import project
from gs_stereo.imaging.images import read_photo, resize_to, write_png
from gs_stereo.imaging.png import write_gray_png
from gs_stereo.io.colmap import model_from_sparse_scene, read_model, sparse_scene_from_model, write_model
from gs_stereo.io.colmap_model import ColmapCamera, ColmapModel, with_tracks
from gs_stereo.io.reconstruction import PhotosOfReconstruction, image_path, load_summary
from gs_stereo.sfm.config import ImportConfig
from gs_stereo.sfm.importers import import_capture, import_colmap, import_transforms
from gs_stereo.types import SparseScene
from gs_stereo.types.photo_source import cut_out_of_photo, hidden_of, mask_of

GL = np.diag([1.0, -1.0, -1.0, 1.0])
BENT = (-0.15, 0.03, 0.001, -0.002)


def truth_model(capture: Any) -> ColmapModel:
    """The exact cameras with points on the wall, each seen by the cameras whose image it falls into."""
    xyz = np.column_stack([np.random.default_rng(0).uniform(-1.2, 1.2, (30, 2)), np.full(30, 5.0)])
    visible = []
    for camera in capture.cameras:
        xy, _ = project(camera, xyz)
        visible.append(np.flatnonzero(((xy > 1) & (xy < [camera.width - 1, camera.height - 1])).all(axis=1)))
    tracks = np.bincount(np.concatenate(visible), minlength=30)
    points = make_points(xyz, rgb=9, error_px=0.25, track_length=tracks)
    return model_from_sparse_scene(SparseScene(cameras=capture.cameras, points=points, visible_points=tuple(visible)))


@pytest.mark.parametrize("text", [False, True])
def test_pinhole_colmap_model_is_kept_exactly(capture: Any, tmp_path: Path, text: bool) -> None:
    model = truth_model(capture)
    write_model(tmp_path / "model" / "sparse" / "0", model, text=text)
    result = import_colmap(tmp_path / "model", capture.folder, tmp_path / "out", ImportConfig(metres_per_unit=0.5))
    expected = sparse_scene_from_model(model)
    for found, given in zip(result.scene.cameras, expected.cameras, strict=True):
        assert found.name == given.name
        np.testing.assert_array_equal(found.cam_from_world, given.cam_from_world)
        np.testing.assert_array_equal(found.intrinsics, given.intrinsics)
        np.testing.assert_array_equal(
            read_photo(image_path(tmp_path / "out", found)), read_photo(capture.folder / found.name)
        )
    np.testing.assert_array_equal(result.scene.points.xyz_in_world, expected.points.xyz_in_world)
    for found_ids, given_ids in zip(result.scene.visible_points, expected.visible_points, strict=True):
        np.testing.assert_array_equal(found_ids, given_ids)
    assert result.scene.metres_per_unit == 0.5
    assert result.summary.scale_source == "given"


def test_points_that_a_model_lacks_are_made_of_matches(capture: Any, tmp_path: Path) -> None:
    write_model(tmp_path / "model", truth_model(capture))
    (tmp_path / "model/points3D.bin").unlink()
    result = import_colmap(tmp_path / "model", capture.folder, tmp_path / "out", ImportConfig(refine="off"))
    assert len(result.scene.points) > 20
    assert any("The model has no points" in note for note in result.summary.notes)


def test_poses_survive_a_second_import_of_the_output(capture: Any, tmp_path: Path) -> None:
    write_model(tmp_path / "model", truth_model(capture))
    first = import_colmap(tmp_path / "model", capture.folder, tmp_path / "a", ImportConfig())
    second = import_colmap(tmp_path / "a", tmp_path / "a" / "images", tmp_path / "b", ImportConfig())
    for one, two in zip(first.scene.cameras, second.scene.cameras, strict=True):
        np.testing.assert_array_equal(one.cam_from_world, two.cam_from_world)


def test_smaller_images_get_smaller_intrinsics(capture: Any, tmp_path: Path) -> None:
    write_model(tmp_path / "model", truth_model(capture))
    result = import_colmap(tmp_path / "model", capture.folder, tmp_path / "out", ImportConfig(max_image_size=160))
    for found, given in zip(result.scene.cameras, capture.cameras, strict=True):
        assert (found.width, found.height) == (160, 120)
        np.testing.assert_allclose(found.intrinsics, given.resized(160, 120).intrinsics)
        np.testing.assert_allclose(found.cam_from_world, given.cam_from_world, atol=1e-12)


def test_images_resized_after_the_poses_were_found_are_fitted(capture: Any, tmp_path: Path) -> None:
    write_model(tmp_path / "model", truth_model(capture))
    for camera in capture.cameras:
        write_png(tmp_path / "half" / camera.name, resize_to(read_photo(capture.folder / camera.name), 160, 120))
    result = import_colmap(tmp_path / "model", tmp_path / "half", tmp_path / "out", ImportConfig())
    np.testing.assert_allclose(result.scene.cameras[0].intrinsics, capture.cameras[0].resized(160, 120).intrinsics)


def test_missing_broken_and_alien_images_are_listed(capture: Any, tmp_path: Path) -> None:
    write_model(tmp_path / "model", truth_model(capture))
    names = [camera.name for camera in capture.cameras]
    for name in names[:3]:
        write_png(tmp_path / "in" / name, read_photo(capture.folder / name))
    data = (capture.folder / names[3]).read_bytes()
    (tmp_path / "in" / names[3]).write_bytes(data[: len(data) // 2])
    write_png(tmp_path / "in" / names[2], np.zeros((50, 320, 3), dtype=np.uint8))
    result = import_colmap(tmp_path / "model", tmp_path / "in", tmp_path / "out", ImportConfig())
    assert [camera.name for camera in result.scene.cameras] == names[:2]
    assert "its camera 320 x 240" in result.summary.failed[names[2]]
    assert "cannot be read" in result.summary.failed[names[3]]
    assert "There is no image" in result.summary.failed[names[4]]
    assert len(load_summary(tmp_path / "out").failed) == 3


def test_stored_pixels_are_used_where_the_camera_is_for_them(capture: Any, tmp_path: Path) -> None:
    """COLMAP ignores the EXIF orientation; so must we, where its cameras are for the stored pixels."""
    write_model(tmp_path / "model", truth_model(capture))
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "in").mkdir()
    for camera in capture.cameras:
        Image.open(capture.folder / camera.name).save(tmp_path / "in" / camera.name, exif=exif)
    result = import_colmap(tmp_path / "model", tmp_path / "in", tmp_path / "out", ImportConfig())
    for camera in result.scene.cameras:
        written = read_photo(image_path(tmp_path / "out", camera))
        np.testing.assert_array_equal(written, read_photo(capture.folder / camera.name))


def test_a_lens_that_no_pinhole_image_can_replace_is_refused(capture: Any, tmp_path: Path) -> None:
    model = truth_model(capture)
    fisheye = ColmapCamera(model="THIN_PRISM_FISHEYE", width=320, height=240, params=np.full(12, 100.0))
    write_model(tmp_path / "model", replace(model, cameras=dict.fromkeys(model.cameras, fisheye)))
    with pytest.raises(InputError, match="undistort"):
        import_colmap(tmp_path / "model", capture.folder, tmp_path / "out", ImportConfig())


def test_wrong_observations_of_a_model_do_not_condemn_its_poses(capture: Any, tmp_path: Path) -> None:
    model = truth_model(capture)
    shuffled = replace(model, points=replace(model.points, xyz_in_world=model.points.xyz_in_world[::-1].copy()))
    write_model(tmp_path / "model", shuffled)
    result = import_colmap(tmp_path / "model", capture.folder, tmp_path / "out", ImportConfig())
    assert len(result.scene.cameras) == 5
    assert any("own observations of its points do not fit" in note for note in result.summary.notes)


def test_no_images_at_all(capture: Any, tmp_path: Path) -> None:
    write_model(tmp_path / "model", truth_model(capture))
    with pytest.raises(InputError, match="Only 0 of 5 images"):
        import_colmap(tmp_path / "model", tmp_path, tmp_path / "out", ImportConfig())


def write_images(folder: Path, capture: Any) -> None:
    for camera in capture.cameras:
        write_png(folder / camera.name, read_photo(capture.folder / camera.name))


def write_transforms(folder: Path, capture: Any, **values: Any) -> Path:
    frames = [
        {"file_path": f"./{c.name}", "transform_matrix": (c.world_from_cam @ GL).tolist()} for c in capture.cameras
    ]
    k = capture.cameras[0].intrinsics
    lens = {"fl_x": k[0, 0], "fl_y": k[1, 1], "cx": k[0, 2], "cy": k[1, 2], "w": 320, "h": 240, **values}
    (folder / "transforms.json").write_text(json.dumps({**lens, "frames": frames}), encoding="utf-8")
    return folder / "transforms.json"


def test_distorted_transforms_keep_poses_and_get_true_points_and_pictures(
    make_capture: Any, capture: Any, tmp_path: Path
) -> None:
    bent = make_capture(tmp_path, 5, BENT)
    path = write_transforms(tmp_path, bent, **dict(zip(("k1", "k2", "p1", "p2"), BENT, strict=True)))
    result = import_transforms(path, tmp_path / "out", ImportConfig())
    for found, given in zip(result.scene.cameras, bent.cameras, strict=True):
        assert found.name == given.name
        np.testing.assert_allclose(found.cam_from_world, given.cam_from_world, atol=1e-12)
    z = result.scene.points.xyz_in_world[:, 2]
    assert len(z) > 200
    assert np.median(np.minimum(np.abs(z - 5.0), np.abs(z - 3.5))) < 0.02
    assert load_summary(tmp_path / "out").mean_reprojection_error_px < 0.6
    model = read_model(tmp_path / "out")
    assert {camera.model for camera in model.cameras.values()} == {"PINHOLE"}


@pytest.mark.parametrize("max_image_size", [320, 160])
def test_undistorted_picture_is_what_its_pinhole_camera_sees(
    make_capture: Any, tmp_path: Path, render_scene: Any, max_image_size: int
) -> None:
    """Compared with a rendering by that camera, and with one whose principal point is off by half a pixel."""
    bent = make_capture(tmp_path, 2, BENT)
    model = truth_model(bent)
    lens = np.array([300.0, 300.0, 160.0, 120.0, *BENT])
    camera = ColmapCamera(model="OPENCV", width=320, height=240, params=lens)
    write_model(tmp_path / "model", replace(model, cameras=dict.fromkeys(model.cameras, camera)))
    result = import_colmap(tmp_path / "model", tmp_path, tmp_path / "out", ImportConfig(max_image_size=max_image_size))
    found = result.scene.cameras[0]
    assert found.width == max_image_size
    picture = read_photo(image_path(tmp_path / "out", found)).astype(float)
    errors = []
    for shift_px in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (-0.5, 0.0), (0.0, -0.5)):
        intrinsics = found.intrinsics.copy()
        intrinsics[:2, 2] += shift_px
        errors.append(np.abs(picture - render_scene(replace(found, intrinsics=intrinsics))).mean())
    assert errors[0] < 0.6 * min(errors[1:])


def test_poses_that_fit_no_match_are_an_input_error(capture: Any, tmp_path: Path) -> None:
    for index, camera in enumerate(capture.cameras):
        noise = np.random.default_rng(index).integers(0, 256, (240, 320, 3), dtype=np.uint8)
        write_png(tmp_path / camera.name, noise)
    with pytest.raises(InputError, match="no feature matches"):
        import_transforms(write_transforms(tmp_path, capture), tmp_path / "out", ImportConfig())


def test_map_coordinates_are_kept_and_their_points_are_as_good(make_capture: Any, tmp_path: Path) -> None:
    capture, away = make_capture(tmp_path, 5), np.array([450000.0, 5600000.0, 120.0])
    near = import_transforms(write_transforms(tmp_path, capture), tmp_path / "near", ImportConfig())
    moved = replace(capture, cameras=tuple(camera.around(tuple(-away)) for camera in capture.cameras))
    far = import_transforms(write_transforms(tmp_path, moved), tmp_path / "far", ImportConfig())
    for found, given in zip(far.scene.cameras, moved.cameras, strict=True):
        np.testing.assert_allclose(found.centre_in_world, given.centre_in_world, atol=1e-8)
    xyz = far.scene.points.xyz_in_world - away
    assert len(xyz) == pytest.approx(len(near.scene.points.xyz_in_world), rel=0.02)
    assert np.median(np.minimum(np.abs(xyz[:, 2] - 5.0), np.abs(xyz[:, 2] - 3.5))) < 0.02
    assert np.abs(np.array(far.summary.local_origin) - away).max() < 5
    assert near.summary.local_origin == (0.0, 0.0, 0.0)
    assert any("far from the origin" in note for note in far.summary.notes)


def test_what_photos_cut_out_is_masked_and_gives_no_points(capture: Any, tmp_path: Path) -> None:
    """The left half of every photo is transparent, with all its texture still underneath."""
    frames = []
    for camera in capture.cameras:
        photo = Image.open(capture.folder / camera.name).convert("RGBA")
        alpha = np.full((camera.height, camera.width), 255, np.uint8)
        alpha[:, : camera.width // 2] = 0
        photo.putalpha(Image.fromarray(alpha))
        photo.save(tmp_path / camera.name)
        frames.append({"file_path": camera.name, "transform_matrix": (camera.world_from_cam @ GL).tolist()})
    k = capture.cameras[0].intrinsics
    document = {"fl_x": k[0, 0], "fl_y": k[1, 1], "cx": k[0, 2], "cy": k[1, 2], "frames": frames}
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    result = import_transforms(tmp_path / "transforms.json", tmp_path / "out", ImportConfig(max_image_size=160))
    assert "5 photos are transparent in part" in result.summary.notes[-1]
    photos = PhotosOfReconstruction(tmp_path / "out")
    assert len(result.scene.points) > 20
    for row, camera in enumerate(result.scene.cameras):
        mask = mask_of(photos, camera.name)
        assert mask is not None
        assert mask.shape == (120, 160)
        assert not mask[:, :79].any()
        assert mask[:, 81:].all()
        seen, _ = project(camera, result.scene.points.xyz_in_world[result.scene.visible_points[row]])
        assert (seen[:, 0] > 78).all()


def test_a_mask_hides_what_moved_from_one_photo_only(capture: Any, tmp_path: Path) -> None:
    """The first frame has a mask_path, of its left half; the second one a mask of another shape."""
    write_images(tmp_path, capture)
    path = write_transforms(tmp_path, capture)
    document = json.loads(path.read_text())
    white = np.full((240, 320), 255, np.uint8)
    white[:, :160] = 0
    for frame, values in zip(document["frames"], (white, white[:, :200]), strict=False):
        frame["mask_path"] = f"masks/{frame['file_path']}"
        write_gray_png(tmp_path / frame["mask_path"], values)
    path.write_text(json.dumps(document))
    result = import_transforms(path, tmp_path / "out", ImportConfig())
    first, second = (camera.name for camera in capture.cameras[:2])
    assert "has 200 x 240 pixels" in result.summary.failed[second]
    assert result.summary.masked_shares == {first: 0.5}
    assert "Masks hide 50% of 1 photos" in result.summary.notes[-1]
    photos = PhotosOfReconstruction(tmp_path / "out")
    hidden = hidden_of(photos, first)
    np.testing.assert_array_equal(hidden, white == 0)
    assert cut_out_of_photo(photos, first) is None
    row = next(row for row, camera in enumerate(result.scene.cameras) if camera.name == first)
    seen, _ = project(result.scene.cameras[row], result.scene.points.xyz_in_world[result.scene.visible_points[row]])
    assert len(seen) > 10
    assert (seen[:, 0] > 158).all()
    plain = import_transforms(path, tmp_path / "plain", ImportConfig(masks="off"))
    assert not plain.summary.failed
    assert not plain.summary.masked_shares


def test_given_points_help_but_are_no_witnesses(capture: Any, tmp_path: Path) -> None:
    """Of no photo (a PLY of nerfstudio), or of one photo each (a network's): points are triangulated besides."""
    write_images(tmp_path, capture)
    path = write_transforms(tmp_path, capture)
    vertices = "".join(f"{x} 0 4.5 10 20 30\n" for x in (0, 1, "nan"))
    kinds = "".join(f"property float {name}\n" for name in "xyz") + "".join(
        f"property uchar {name}\n" for name in ("red", "green", "blue")
    )
    (tmp_path / "sparse_pc.ply").write_text(f"ply\nformat ascii 1.0\nelement vertex 3\n{kinds}end_header\n{vertices}")
    path.write_text(json.dumps({**json.loads(path.read_text()), "ply_file_path": "sparse_pc.ply"}))
    result = import_transforms(path, tmp_path / "out", ImportConfig(max_image_size=160))
    points = result.scene.points
    given = points.track_length < 2
    np.testing.assert_array_equal(points.xyz_in_world[given], [[0, 0, 4.5], [1, 0, 4.5]])
    np.testing.assert_array_equal(points.rgb[given], [[10, 20, 30], [10, 20, 30]])
    assert len(points.witnesses) > 20
    assert any("2 of 2 points of sparse_pc.ply" in note for note in result.summary.notes)
    (tmp_path / "sparse_pc.ply").write_text("ply\n")
    broken = import_transforms(path, tmp_path / "broken", ImportConfig(max_image_size=160))
    assert len(broken.scene.points) == len(points.witnesses)
    assert any("are not used: The point cloud" in note for note in broken.summary.notes)

    xyz = np.column_stack([np.linspace(-0.3, 0.3, 5), np.zeros(5), np.full(5, 3.5)])
    one_each = SparseScene(
        cameras=capture.cameras,
        points=make_points(xyz, rgb=9, error_px=0.0, track_length=1),
        visible_points=tuple(np.array([row]) for row in range(5)),
    )
    write_model(tmp_path / "model", model_from_sparse_scene(one_each))
    network = import_colmap(tmp_path / "model", capture.folder, tmp_path / "net", ImportConfig(max_image_size=160))
    predicted = np.flatnonzero(network.scene.points.track_length == 1)
    np.testing.assert_array_equal(network.scene.points.xyz_in_world[predicted], xyz)
    assert len(network.scene.points.witnesses) > 20
    assert all(row in seen for row, seen in zip(predicted, network.scene.visible_points, strict=True))


def test_copies_of_a_posed_picture_are_left_out(capture: Any, tmp_path: Path) -> None:
    write_images(tmp_path, capture)
    path = write_transforms(tmp_path, capture)
    document = json.loads(path.read_text())
    first = document["frames"][0]
    write_png(tmp_path / "z_copy.png", read_photo(tmp_path / first["file_path"]))
    path.write_text(json.dumps({**document, "frames": [*document["frames"], {**first, "file_path": "z_copy.png"}]}))
    result = import_transforms(path, tmp_path / "out", ImportConfig())
    assert len(result.scene.cameras) == len(capture.cameras)
    assert "same picture as" in result.summary.failed["z_copy.png"]


def test_a_network_guesses_a_lens_for_each_photo(capture: Any, tmp_path: Path) -> None:
    model, ids = truth_model(capture), range(1, 6)
    cameras = {
        key: ColmapCamera(model="PINHOLE", width=320, height=240, params=np.array([294.0 + 3 * key, 300, 160, 120]))
        for key in ids
    }
    images = {key: replace(image, camera_id=key) for key, image in zip(ids, model.images.values(), strict=True)}
    points = with_tracks(model.points, images)
    write_model(tmp_path / "model", replace(model, cameras=cameras, images=images, points=points))
    config = ImportConfig(share_intrinsics=True, metres_per_unit=1.0, scale_source="model")
    result = import_colmap(tmp_path / "model", capture.folder, tmp_path / "out", config)
    assert [camera.intrinsics[0, 0] for camera in result.scene.cameras] == [303.0] * 5
    assert result.summary.scale_source == "model"
    assert any("5 photos share 1 cameras" in note for note in result.summary.notes)


def test_a_phone_measures_metres(capture: Any, tmp_path: Path) -> None:
    k = capture.cameras[0].intrinsics
    lens = {"fx": k[0, 0], "fy": k[1, 1], "cx": k[0, 2], "cy": k[1, 2], "width": 320, "height": 240}
    for index, camera in enumerate(capture.cameras):
        rows = camera.world_from_cam @ GL
        pose = {f"t_{row}{column}": rows[row, column] for row in range(3) for column in range(4)}
        for kind in ("cameras", "images"):
            (tmp_path / "keyframes" / kind).mkdir(parents=True, exist_ok=True)
        (tmp_path / f"keyframes/cameras/{index}.json").write_text(json.dumps({**lens, **pose}))
        Image.open(capture.folder / camera.name).save(tmp_path / f"keyframes/images/{index}.jpg", quality=95)
    result = import_capture(tmp_path, tmp_path / "out", ImportConfig(max_image_size=160))
    assert result.summary.scale_source == "device"
    assert result.scene.metres_per_unit == 1.0
    for found, given in zip(result.scene.cameras, capture.cameras, strict=True):
        np.testing.assert_allclose(found.cam_from_world, given.cam_from_world, atol=1e-12)
    assert len(result.scene.points.witnesses) > 20
