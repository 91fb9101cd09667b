"""Which mask file belongs to which photo."""

from __future__ import annotations

from pathlib import Path

import pytest

from gs_stereo.errors import InputError
from gs_stereo.sfm.config import ReconstructConfig
from gs_stereo.sfm.masks import masks_of

NAMES = ["a.jpg", "b.jpg", "left/a.jpg"]


def files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_masks_are_named_as_colmap_or_as_nerfstudio_names_them(tmp_path: Path) -> None:
    files(tmp_path / "masks", "a.jpg.png", "b.png", "left/a.png")
    (tmp_path / "images").mkdir()
    found = masks_of(tmp_path / "images", NAMES, ReconstructConfig(invert_masks=True, mask_black="empty"))
    assert {name: mask.path.relative_to(tmp_path / "masks").as_posix() for name, mask in found.by_name.items()} == {
        "a.jpg": "a.jpg.png",
        "b.jpg": "b.png",
        "left/a.jpg": "left/a.png",
    }
    assert all(mask.inverted and mask.empty for mask in found.by_name.values())
    assert found.notes == ()
    assert not masks_of(tmp_path / "images", NAMES, ReconstructConfig(masks="off")).by_name


def test_photos_without_mask_and_masks_without_photo_are_counted(tmp_path: Path) -> None:
    files(tmp_path / "m", "a.png", "c.png", "b.jpg", ".DS_Store")
    found = masks_of(tmp_path, NAMES, ReconstructConfig(masks="m").near(tmp_path))
    assert list(found.by_name) == ["a.jpg"]
    assert found.notes[0].startswith("2 of 3 photos have no mask")
    assert found.notes[1].startswith("2 files")


def test_masks_beside_the_folder_of_a_scene_are_of_something_else(tmp_path: Path) -> None:
    files(tmp_path / "masks", "a.png")
    (tmp_path / "room").mkdir()
    assert not masks_of(tmp_path / "room", NAMES, ReconstructConfig()).by_name
    files(tmp_path / "room/masks", "a.png")
    assert list(masks_of(tmp_path / "room", NAMES, ReconstructConfig()).by_name) == ["a.jpg"]


def test_a_mask_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder .*elsewhere"):
        masks_of(tmp_path, NAMES, ReconstructConfig(masks="elsewhere").near(tmp_path))
