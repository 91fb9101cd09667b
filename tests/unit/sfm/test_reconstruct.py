"""From photos to a published folder, on a small capture with exact cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gs_stereo.errors import GsStereoError, InputError
from gs_stereo.geometry.projection import project
from gs_stereo.imaging.images import photo_size, read_photo, write_png
from gs_stereo.io.colmap import read_model, sparse_scene_from_model
from gs_stereo.io.reconstruction import image_path, load_sparse_scene, load_summary
from gs_stereo.sfm.config import ReconstructConfig
from gs_stereo.sfm.job import Progress
from gs_stereo.sfm.publish import ReconstructionResult
from gs_stereo.sfm.reconstruct import reconstruct
from gs_stereo.sfm.scale import umeyama


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def positions(capture: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("positions") / "positions.csv"
    lines = [",".join([c.name, *(repr(float(v)) for v in c.centre_in_world)]) for c in capture.cameras]
    path.write_text("name,x,y,z\n" + "\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(
    capture: Any, positions: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ReconstructionResult, Path, list[Progress]]:
    """One run with true camera positions, on photos of which one is broken and one shows something else."""
    source, work = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("work") / "reconstruct"
    for camera in capture.cameras:
        (source / camera.name).write_bytes((capture.folder / camera.name).read_bytes())
    (source / "kaputt.jpg").write_bytes(b"\xff\xd8\xff no photo")
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    write_png(source / "sub" / "other.png", noise)
    seen: list[Progress] = []
    config = ReconstructConfig(camera_positions=str(positions))
    before = content(source)
    result = reconstruct(source, work, config, seed=5, on_progress=seen.append)
    assert content(source) == before
    return result, work, seen


def test_all_photos_of_the_scene_are_registered_and_the_others_explained(run: Any, capture: Any) -> None:
    result, work, _ = run
    assert [camera.name for camera in result.scene.cameras] == sorted(camera.name for camera in capture.cameras)
    assert sorted(result.summary.failed) == ["kaputt.jpg", "sub/other.png"]
    assert "cannot be read" in result.summary.failed["kaputt.jpg"]
    assert "matches no other photo" in result.summary.failed["sub/other.png"]
    assert result.summary.sentence().startswith("5 of 7 photos registered")
    assert result.summary.mean_reprojection_error_px < 1.0
    assert load_summary(work) == result.summary


def test_cameras_are_the_true_ones_in_metres(run: Any, capture: Any) -> None:
    result, _, _ = run
    assert result.scene.metres_per_unit == 1.0
    for found, truth in zip(result.scene.cameras, sorted(capture.cameras, key=lambda c: c.name), strict=True):
        assert np.linalg.norm(found.centre_in_world - truth.centre_in_world) < 0.02
        assert found.focal_px == pytest.approx(truth.focal_px, rel=0.05)


def test_folder_holds_images_model_and_summary_only(run: Any) -> None:
    result, work, _ = run
    assert sorted(path.name for path in work.iterdir()) == ["images", "reconstruction.json", "sparse"]
    for camera in result.scene.cameras:
        assert photo_size(image_path(work, camera)) == (camera.width, camera.height) == (320, 240)
    in_model = {image.name for image in read_model(work).images.values()}
    assert in_model == {path.relative_to(work / "images").as_posix() for path in (work / "images").rglob("*.png")}


def test_observations_are_where_the_points_project(run: Any) -> None:
    _, work, _ = run
    model = read_model(work)
    scene = sparse_scene_from_model(model)
    images = sorted(model.images.values(), key=lambda image: image.name)
    row_of = {int(point_id): row for row, point_id in enumerate(np.sort(model.points.ids))}
    for camera, image in zip(scene.cameras, images, strict=True):
        rows = [row_of[int(point_id)] for point_id in image.point_ids]
        xy, _ = project(camera, scene.points.xyz_in_world[rows])
        assert np.median(np.linalg.norm(xy - image.points_xy, axis=1)) < 0.7


def test_points_lie_on_the_true_surfaces(run: Any) -> None:
    result, _, _ = run
    z = result.scene.points.xyz_in_world[:, 2]
    assert len(z) > 200
    assert np.median(np.minimum(np.abs(z - 5.0), np.abs(z - 3.5))) < 0.05


def test_progress_names_every_step(run: Any) -> None:
    _, _, seen = run
    assert list(dict.fromkeys(progress.step for progress in seen)) == [
        "photos",
        "features",
        "pairs",
        "registered",
        "undistorted",
    ]
    assert all(0 <= progress.done <= progress.total for progress in seen)


def test_a_second_run_writes_the_same_bytes(run: Any, capture: Any, positions: Path, tmp_path: Path) -> None:
    """Also with another number of threads."""
    _, work, _ = run
    for camera in capture.cameras:
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / camera.name).write_bytes((capture.folder / camera.name).read_bytes())
    config = ReconstructConfig(camera_positions=str(positions), max_image_size=256, threads=1)
    reconstruct(tmp_path / "in", tmp_path / "a", config, seed=1)
    reconstruct(tmp_path / "in", tmp_path / "b", config.model_copy(update={"threads": 2}), seed=1)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert content(tmp_path / "a") != content(work)
    scene = load_sparse_scene(tmp_path / "a")
    assert {(camera.width, camera.height) for camera in scene.cameras} == {(256, 192)}


def test_global_mapper_on_retrieved_pairs_agrees_with_the_truth(capture: Any, tmp_path: Path) -> None:
    config = ReconstructConfig(mapper="global", matcher="retrieval")
    result = reconstruct(capture.folder, tmp_path / "out", config)
    assert len(result.scene.cameras) == 5
    assert result.scene.metres_per_unit is None
    truth = {camera.name: camera.centre_in_world for camera in capture.cameras}
    old = np.array([camera.centre_in_world for camera in result.scene.cameras])
    new = np.array([truth[camera.name] for camera in result.scene.cameras])
    assert np.abs(umeyama(old, new)(old) - new).max() < 0.05


def test_photos_that_do_not_overlap_are_an_input_error(tmp_path: Path) -> None:
    for index in range(3):
        noise = np.random.default_rng(index).integers(0, 256, (120, 160, 3), dtype=np.uint8)
        write_png(tmp_path / "in" / f"{index}.png", noise)
    with pytest.raises(InputError, match="None of the 3 photos could be placed, because only 0 match"):
        reconstruct(tmp_path / "in", tmp_path / "out", ReconstructConfig())
    assert not list((tmp_path / "out").iterdir())


def test_photos_from_one_place_are_an_input_error(capture: Any, tmp_path: Path) -> None:
    """They match well, but nothing can be triangulated from them."""
    for index in range(3):
        photo = read_photo(capture.folder / capture.cameras[2].name)
        write_png(tmp_path / "in" / f"{index}.png", np.clip(photo.astype(int) + index, 0, 255).astype(np.uint8))
    with pytest.raises(InputError, match=r"although all match .* further apart"):
        reconstruct(tmp_path / "in", tmp_path / "out", ReconstructConfig())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"known_distance": ("a.png", "b.png", 1.0)}, "a.png"), ({"camera_positions": "/nowhere.csv"}, "nowhere.csv")],
)
def test_wrong_scale_source_is_found_before_the_work(
    capture: Any, tmp_path: Path, settings: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        reconstruct(capture.folder, tmp_path / "out", ReconstructConfig(**settings))


def test_a_folder_that_cannot_be_written_is_an_input_error(capture: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(GsStereoError, match=r"Cannot write .*file"):
        reconstruct(capture.folder, tmp_path / "file" / "out", ReconstructConfig())


def test_upright_photo_shows_what_its_camera_sees(run: Any, capture: Any) -> None:
    """The undistorted image, sampled by the found camera, looks like the exact rendering."""
    result, work, _ = run
    truth = {camera.name: capture.folder / camera.name for camera in capture.cameras}
    for camera in result.scene.cameras:
        difference = read_photo(image_path(work, camera)).astype(float) - read_photo(truth[camera.name])
        assert np.abs(difference[20:-20, 20:-20]).mean() < 12


def zoomed(photo: np.ndarray, factor: float) -> np.ndarray:
    """The middle of a photo, enlarged: what a lens of a longer focal length sees."""
    height, width = photo.shape[:2]
    map_x, map_y = np.meshgrid(np.arange(width), np.arange(height))
    x, y = ((m + 0.5 - s / 2) / factor + s / 2 - 0.5 for m, s in ((map_x, width), (map_y, height)))
    return cv2.remap(photo, x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC)


@pytest.mark.parametrize("factor", [1.25, pytest.param(1.5, marks=pytest.mark.slow)])
def test_a_zoom_that_no_exif_tells_is_found_out(make_capture: Any, tmp_path: Path, factor: float) -> None:
    capture = make_capture(tmp_path / "photos", 8)
    for camera in capture.cameras[::2]:
        path = tmp_path / "photos" / camera.name
        write_png(path, zoomed(read_photo(path), factor))
    result = reconstruct(tmp_path / "photos", tmp_path / "out", ReconstructConfig())
    assert any("each photo got one of its own" in note for note in result.summary.notes)
    found = {camera.name: camera.focal_px for camera in result.scene.cameras}
    long, short = ([found[camera.name] for camera in capture.cameras[k::2]] for k in (0, 1))
    assert np.median(long) / np.median(short) == pytest.approx(factor, rel=0.05)
    always = reconstruct(tmp_path / "photos", tmp_path / "always", ReconstructConfig(single_camera="always"))
    assert len({camera.focal_px for camera in always.scene.cameras}) == 1
    assert result.summary.mean_reprojection_error_px < 0.7 * always.summary.mean_reprojection_error_px
