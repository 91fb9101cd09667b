"""Photos of a capture with its cameras and the length of a baseline of 1, and the way back out of the padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import camera_at, make_points, make_scene
from PIL import Image
from published_scene import publish_reconstruction

from gs_stereo.errors import InputError
from gs_stereo.io.colmap import model_from_sparse_scene
from gs_stereo.io.reconstruction import IMAGE_FOLDER, ReconstructionSummary, write_reconstruction
from gs_stereo.synthesis.framing import square_framing, whole_framing
from gs_stereo.synthesis.source_photos import photos_of_capture


def capture(folder: Path, metres: float | None, *, points: bool = True) -> Path:
    """One camera before points 2, 3 and 7 units away."""
    xyz = np.array([[0, 0, 2.0], [0.1, 0, 3], [0, 0.1, 7]])
    scene = make_scene([camera_at("a.png")], make_points(xyz if points else xyz[:0]), metres_per_unit=metres)
    (folder / IMAGE_FOLDER).mkdir(parents=True)
    Image.new("RGB", (scene.cameras[0].width, scene.cameras[0].height)).save(folder / IMAGE_FOLDER / "a.png")
    known = {"metres_per_unit": metres, "scale_source": "given" if metres else "unknown"}
    summary = ReconstructionSummary(source="photos", image_files={"a.png": "a.png"}, **known)
    write_reconstruction(folder, model_from_sparse_scene(scene), summary)
    return folder


def test_a_baseline_of_one_has_the_length_of_the_median_depth_or_a_metre(tmp_path: Path) -> None:
    (photo,) = photos_of_capture(capture(tmp_path / "scaled", 0.5), (), "median_depth")
    assert photo.unit == pytest.approx(3)
    assert photo.camera is not None
    assert photos_of_capture(tmp_path / "scaled", ("a.png",), "metres")[0].unit == 2
    assert photos_of_capture(capture(tmp_path / "unscaled", None), (), "metres")[0].unit is None
    with pytest.raises(InputError, match="sees no point of the capture"):
        photos_of_capture(capture(tmp_path / "empty", None, points=False), (), "median_depth")


def test_photos_are_taken_by_name(tmp_path: Path) -> None:
    publish_reconstruction(tmp_path)
    folder = tmp_path / "reconstruct"
    names = [photo.name for photo in photos_of_capture(folder, (), "metres")]
    assert [photo.name for photo in photos_of_capture(folder, (names[2], names[0]), "metres")] == [names[2], names[0]]
    with pytest.raises(InputError, match=r"x.png is no registered photo"):
        photos_of_capture(folder, ("x.png",), "metres")


@pytest.mark.parametrize("size", [(100, 66), (66, 100), (64, 64), (641, 480)])
def test_the_padding_comes_off_and_the_camera_still_fits(size: tuple[int, int]) -> None:
    framing = whole_framing(size, 80, 16)
    photo = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    own = framing.unpadded(framing.picture(photo))
    assert own.shape[1::-1] == framing.shown_wh == framing.resized_wh
    k = np.array([[90.0, 0, size[0] / 2], [0, 90, size[1] / 2], [0, 0, 1]])
    centre = framing.unpadded_intrinsics(k)[:2, 2]
    np.testing.assert_allclose(centre, np.array(framing.shown_wh) / 2, atol=0.51)
    assert framing.back(framing.picture(photo)).shape == photo.shape
    square = square_framing(size, 32)
    assert square.unpadded(square.picture(photo)).shape == (32, 32, 3)
    np.testing.assert_array_equal(square.unpadded_intrinsics(k), square.intrinsics(k))
