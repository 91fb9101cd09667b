"""Masks: of transparent parts, of files beside photos, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import read_photo, shrink_to_edge
from gs_stereo.imaging.masks import EMPTY, HIDDEN, SHOWN, GivenMask, filled_smoothly, read_mask, resampled

_ORIENTATION = 0x0112
PICTURE = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
LEFT_IS_BLACK = np.repeat([[0] * 24 + [1] * 24], 32, axis=0).astype(np.uint8)  # 1 is not black, however dark


def half_transparent(orientation: int = 1) -> tuple[Image.Image, Image.Exif]:
    image = Image.fromarray(PICTURE).convert("RGBA")
    alpha = np.zeros((32, 48), np.uint8)
    alpha[:, 24:] = 200
    image.putalpha(Image.fromarray(alpha))
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    return image, exif


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_what_is_transparent_is_masked(tmp_path: Path, mode: str) -> None:
    image = half_transparent()[0]
    path = tmp_path / ("a.tif" if mode == "PA" else "a.png")
    (image if mode == "PA" else image.convert(mode)).save(path)
    mask = read_mask(path)
    assert mask is not None
    assert (mask[:, 24:] == SHOWN).all()
    assert (mask[:, :24] == EMPTY).all()


def test_a_palette_with_a_transparent_colour_is_masked(tmp_path: Path) -> None:
    image = Image.new("P", (4, 2), 1)
    image.putpalette([0, 0, 0, 9, 9, 9])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "a.png", transparency=0)
    mask = read_mask(tmp_path / "a.png")
    assert mask is not None
    assert np.argwhere(mask == EMPTY).tolist() == [[0, 0]]


def test_a_mask_is_turned_upright_with_its_photo(tmp_path: Path) -> None:
    image, exif = half_transparent(6)
    image.save(tmp_path / "a.png", exif=exif)
    mask = read_mask(tmp_path / "a.png")
    assert mask is not None
    assert mask.shape == read_photo(tmp_path / "a.png").shape[:2] == (48, 32)
    assert (mask[24:] == SHOWN).all()
    assert (mask[:24] == EMPTY).all()


def test_photos_without_transparent_pixels_have_no_mask(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).convert("RGBA").save(tmp_path / "a.png")
    Image.fromarray(PICTURE).save(tmp_path / "b.jpg")
    assert read_mask(tmp_path / "a.png") is None
    assert read_mask(tmp_path / "b.jpg") is None


def given(folder: Path, values: np.ndarray, **options: bool) -> GivenMask:
    Image.fromarray(values).save(folder / "mask.png")
    return GivenMask(path=folder / "mask.png", **options)


@pytest.mark.parametrize(
    "values",
    [LEFT_IS_BLACK, LEFT_IS_BLACK.astype(bool), LEFT_IS_BLACK.astype(np.uint16), np.stack([LEFT_IS_BLACK] * 3, -1)],
)
def test_what_is_not_black_in_a_mask_file_is_used_and_the_rest_is_hidden(tmp_path: Path, values: np.ndarray) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        read_mask(tmp_path / "a.png", given(tmp_path, values)), np.where(LEFT_IS_BLACK > 0, SHOWN, HIDDEN)
    )


def test_black_may_be_used_or_mean_that_nothing_is_there(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    inverted = read_mask(tmp_path / "a.png", given(tmp_path, LEFT_IS_BLACK, inverted=True))
    np.testing.assert_array_equal(inverted, np.where(LEFT_IS_BLACK > 0, HIDDEN, SHOWN))
    empty = read_mask(tmp_path / "a.png", given(tmp_path, LEFT_IS_BLACK, empty=True))
    np.testing.assert_array_equal(empty, np.where(LEFT_IS_BLACK > 0, SHOWN, EMPTY))


def test_nothing_is_where_a_photo_is_transparent_whatever_its_mask_hides(tmp_path: Path) -> None:
    half_transparent()[0].save(tmp_path / "a.png")
    mask = read_mask(tmp_path / "a.png", given(tmp_path, np.repeat([[0], [1]], 16, axis=0).repeat(48, 1).astype("u1")))
    assert mask is not None
    assert (mask[:, :24] == EMPTY).all()
    assert (mask[:16, 24:] == HIDDEN).all()
    assert (mask[16:, 24:] == SHOWN).all()


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_stored_pixels_is_turned_with_its_photo(tmp_path: Path, orientation: int) -> None:
    """The photo itself is the mask: it must be black where it is black."""
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    corner = np.zeros((32, 48), np.uint8)
    corner[:10, :20] = 255
    Image.fromarray(corner).save(tmp_path / "a.png", exif=exif)
    mask = read_mask(tmp_path / "a.png", given(tmp_path, corner))
    np.testing.assert_array_equal(mask == SHOWN, read_photo(tmp_path / "a.png")[..., 0] > 0)


def test_a_mask_of_a_smaller_copy_fits_and_one_of_another_shape_is_refused(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    mask = read_mask(tmp_path / "a.png", given(tmp_path, np.ascontiguousarray(LEFT_IS_BLACK[::2, ::2])))
    np.testing.assert_array_equal(mask, np.where(LEFT_IS_BLACK > 0, SHOWN, HIDDEN))
    with pytest.raises(InputError, match="has 40 x 32 pixels, its photo 48 x 32"):
        read_mask(tmp_path / "a.png", given(tmp_path, LEFT_IS_BLACK[:, :40]))


def test_a_mask_that_leaves_nothing_is_refused_and_the_advice_helps(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="invert_masks=true"):
        read_mask(tmp_path / "a.png", given(tmp_path, np.zeros((32, 48), np.uint8)))
    assert read_mask(tmp_path / "a.png", given(tmp_path, np.zeros((32, 48), np.uint8), inverted=True)) is None


def test_a_mask_shrinks_with_its_photo(tmp_path: Path) -> None:
    mask = np.full((40, 60), SHOWN, np.uint8)
    mask[:, :20], mask[:10, 20:40] = HIDDEN, EMPTY
    small = resampled(mask, lambda picture: shrink_to_edge(picture, 30))
    np.testing.assert_array_equal(small, mask[::2, ::2])


def test_a_fill_is_smooth_and_leaves_the_rest_alone() -> None:
    ramp = np.repeat(np.linspace(60, 180, 64).astype(np.uint8)[None, :, None], 48, axis=0).repeat(3, axis=2)
    shown = np.ones((48, 64), bool)
    shown[10:30, 20:50] = False
    noisy = np.where(shown[..., None], ramp, PICTURE[:1, :1])
    filled = filled_smoothly(noisy, shown)
    np.testing.assert_array_equal(filled[shown], ramp[shown])
    assert np.abs(filled.astype(int) - ramp).max() < 40
    assert filled_smoothly(ramp, None) is ramp
