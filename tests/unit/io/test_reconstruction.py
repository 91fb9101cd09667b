"""The folder that reconstruct publishes: names, round trip, and files that were damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import camera_at, make_points, make_scene

from gs_stereo.errors import InputError
from gs_stereo.io.colmap import model_from_sparse_scene
from gs_stereo.io.reconstruction import (
    ReconstructionSummary,
    image_file_names,
    image_path,
    load_sparse_scene,
    load_summary,
    write_reconstruction,
)
from gs_stereo.types import SparseScene


def publish(folder: Path) -> SparseScene:
    names = ["b/ü.JPG", "a.tif"]
    cameras = [camera_at(name, size=(64, 48), focal_px=50.0 + index) for index, name in enumerate(names)]
    points = make_points([0, 0, 2.0], rgb=0, error_px=0.5, track_length=1)
    scene = make_scene(cameras, points, visible_points=(np.array([0]), np.empty(0, dtype=np.int64)))
    summary = ReconstructionSummary(
        source="photos",
        metres_per_unit=2.0,
        scale_source="given",
        image_files=image_file_names(names),
        failed={"x.jpg": "no"},
    )
    write_reconstruction(folder, model_from_sparse_scene(scene), summary)
    return scene


def test_cameras_come_back_under_the_names_of_their_photos(tmp_path: Path) -> None:
    publish(tmp_path)
    scene = load_sparse_scene(tmp_path)
    assert [camera.name for camera in scene.cameras] == ["a.tif", "b/ü.JPG"]
    assert [camera.focal_px for camera in scene.cameras] == [51.0, 50.0]
    assert [seen.tolist() for seen in scene.visible_points] == [[], [0]]
    assert scene.metres_per_unit == 2.0
    assert image_path(tmp_path, scene.cameras[1]) == tmp_path / "images" / "b" / "ü.png"
    assert load_summary(tmp_path).sentence() == "2 of 3 photos registered, 0 points."


def test_a_rewritten_summary_is_read_again(tmp_path: Path) -> None:
    publish(tmp_path)
    assert load_summary(tmp_path).metres_per_unit == 2.0
    text = (tmp_path / "reconstruction.json").read_text(encoding="utf-8")
    (tmp_path / "reconstruction.json").write_text(text.replace("2.0", "3.25"), encoding="utf-8")
    assert load_summary(tmp_path).metres_per_unit == 3.25


def test_file_names_never_clash() -> None:
    assert image_file_names(["a.jpg", "b.PNG"]) == {"a.jpg": "a.png", "b.PNG": "b.png"}
    assert image_file_names(["a.jpg", "a.tif", "c.jpg"]) == {
        "a.jpg": "a.jpg.png",
        "a.tif": "a.tif.png",
        "c.jpg": "c.png",
    }
    numbered = image_file_names(["a.jpg", "A.jpg", "A.JPG"])
    assert len({file.casefold() for file in numbered.values()}) == 3
    assert all(file.startswith(f"{photo}-") for photo, file in numbered.items())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"version": 1', '"version": 2'),
        ('"metres_per_unit": 2.0', '"metres_per_unit": -2.0'),
        ('"metres_per_unit": 2.0', '"metres_per_unit": NaN'),
        ('"a.png"', '"../a.png"'),
        ('"a.png"', "7"),
        ('"source"', '"sauce"'),
        ("{", "["),
    ],
)
def test_damaged_summary_is_an_input_error(tmp_path: Path, old: str, new: str) -> None:
    publish(tmp_path)
    text = (tmp_path / "reconstruction.json").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "reconstruction.json").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_sparse_scene(tmp_path)
    assert "\n" not in str(caught.value)


def test_missing_folder_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gsstereo reconstruct"):
        load_sparse_scene(tmp_path)


def test_image_of_an_unknown_camera(tmp_path: Path) -> None:
    scene = publish(tmp_path)
    with pytest.raises(InputError, match="not registered"):
        image_path(tmp_path, scene.cameras[0].shifted(0.1, name="other"))


def test_few_registered_photos_get_advice_and_broken_files_do_not_count() -> None:
    def summary(**failed: str) -> ReconstructionSummary:
        files = {f"{number}.jpg": f"{number}.png" for number in range(6)}
        return ReconstructionSummary(
            source="photos", metres_per_unit=None, scale_source="none", image_files=files, failed=failed
        )

    placed = "It matches 4 other photos, but could not be placed with the rest."
    assert summary(a="It matches no other photo.").advice is None
    assert summary(a="It is the same picture as b.", b="The photo b cannot be read.", c="x", d="y").advice is None
    alone = summary(a="It matches no other photo.", b="It matches no other photo.").advice
    assert alone is not None
    assert "2 of 8 photos" in alone
    assert "--matcher exhaustive" in alone
    apart = summary(a=placed, b=placed).advice
    assert apart is not None
    assert "--mapper global" in apart
