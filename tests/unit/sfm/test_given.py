"""What the user brings: names of photos as other programs write them."""

import unicodedata
from pathlib import Path

import pytest

from gs_stereo.errors import InputError
from gs_stereo.sfm.given import PhotosByName


@pytest.fixture
def photos(tmp_path: Path) -> PhotosByName:
    for name in ("left/IMG 1.JPG", "right/IMG 1.JPG", "Bu\u0308ro.png", "plain.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return PhotosByName(tmp_path)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("plain.png", "plain.png"),
        ("C:\\photos\\left\\img 1.jpg", "left/IMG 1.JPG"),
        ("/data/right/IMG 1.jpg", "right/IMG 1.JPG"),
        (unicodedata.normalize("NFC", "Bu\u0308ro.png"), "Bu\u0308ro.png"),
    ],
)
def test_a_photo_is_found_by_what_its_name_means(photos: PhotosByName, written: str, meant: str) -> None:
    assert photos.find(written) == meant


@pytest.mark.parametrize(
    ("written", "why"), [("img 1.jpg", "could be any of left/IMG 1.JPG"), ("no.png", "There is no image")]
)
def test_a_name_that_is_not_clear_is_refused(photos: PhotosByName, written: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        photos.find(written)
