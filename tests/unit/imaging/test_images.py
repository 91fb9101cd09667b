"""Photos in every form that cameras and people make, and files that are no photos."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import camera_at
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.imaging.exif import read_metadata
from gs_stereo.imaging.images import (
    fitting_scale,
    fitting_size,
    list_photos,
    photo_size,
    read_photo,
    resize_to,
    shrink_to_edge,
    unused_files,
    videos_of_live_photos,
    write_png,
)
from gs_stereo.sfm.source import find_source

_ORIENTATION = 0x0112


def picture(width: int = 48, height: int = 32) -> np.ndarray:
    """A smooth colour picture in which every corner differs."""
    xy = pixel_centres(width, height)
    red, green = 255 * xy[..., 0] / width, 255 * xy[..., 1] / height
    return np.stack([red, green, 128 + 0 * red], axis=-1).astype(np.uint8)


def test_png_round_trip_is_exact_and_deterministic(tmp_path: Path) -> None:
    image = picture()
    write_png(tmp_path / "ünï" / "a.png", image)
    write_png(tmp_path / "b.png", image)
    np.testing.assert_array_equal(read_photo(tmp_path / "ünï" / "a.png"), image)
    assert (tmp_path / "ünï" / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.png", "ünï"]


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp"])
def test_lossless_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"写真.{suffix}"
    Image.fromarray(picture()).save(path, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(read_photo(path), picture())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "rgba.tif"])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](picture())
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    path = tmp_path / f"photo.{suffix}"
    options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    image = Image.fromarray(np.ascontiguousarray(stored))
    (image.convert("RGBA") if suffix == "rgba.tif" else image).save(path, exif=exif, **options)
    upright = read_photo(path)
    assert upright.shape == picture().shape
    assert np.abs(upright.astype(int) - picture()).max() <= 8
    assert photo_size(path) == (48, 32)
    if not suffix.endswith("tif"):
        assert read_photo(path, upright=False).shape == stored.shape
        assert photo_size(path, upright=False) == stored.shape[1::-1]


def test_broken_exif_does_not_cost_the_photo(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert read_photo(tmp_path / "a.jpg").shape == (32, 48, 3)


def test_16_bit_gray_is_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 48 * 32).reshape(32, 48).astype(np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
        np.testing.assert_array_equal(read_photo(tmp_path / name)[..., 1], np.rint(values / 257.0).astype(np.uint8))


def test_16_bit_colour(tmp_path: Path) -> None:
    import cv2

    values = picture().astype(np.uint16) * 257
    for suffix in (".png", ".tiff"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(cv2.imencode(suffix, values[:, :, ::-1])[1].tobytes())
        assert np.abs(read_photo(path).astype(int) - picture()).max() <= 1


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    Image.fromarray(picture()).convert(mode).save(tmp_path / "a.png")
    image = read_photo(tmp_path / "a.png")
    assert image.shape == (32, 48, 3)
    assert image.dtype == np.uint8
    if mode == "RGBA":
        np.testing.assert_array_equal(image, picture())
    if mode in ("L", "LA"):
        np.testing.assert_array_equal(image[..., 0], image[..., 2])


def test_transparent_pixels_keep_their_colour(tmp_path: Path) -> None:
    rgba = np.dstack([picture(), np.zeros((32, 48), dtype=np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png"), picture())


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_becomes_rgb(tmp_path: Path, suffix: str) -> None:
    flat = np.full((32, 48, 3), (200, 60, 30), dtype=np.uint8)
    Image.fromarray(flat).convert("CMYK").save(tmp_path / f"a.{suffix}")
    assert np.abs(read_photo(tmp_path / f"a.{suffix}").astype(int) - flat).max() <= 4


def test_floating_point_is_refused(tmp_path: Path) -> None:
    Image.fromarray(picture()[..., 0].astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="floating-point"):
        read_photo(tmp_path / "a.tif")


def jpeg_bytes(tmp_path: Path) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    return (tmp_path / "whole.jpg").read_bytes()


def bad_files(tmp_path: Path) -> dict[str, bytes]:
    jpeg = jpeg_bytes(tmp_path)
    return {
        "empty.jpg": b"",
        "truncated.jpg": jpeg[: len(jpeg) // 2],
        "header.jpg": jpeg[:20],
        "text.png": b"this is no image",
        "page.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    }


@pytest.mark.parametrize("name", ["empty.jpg", "truncated.jpg", "header.jpg", "text.png", "page.eps", "missing.jpg"])
def test_bad_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    data = bad_files(tmp_path).get(name)
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=name) as caught:
        read_photo(tmp_path / name)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"this is no image", "it is no JPEG"),
        (b"<html><body>log in</body></html>", "it is a web page"),
    ],
)
def test_no_image_is_told_apart_without_the_decoder_of_heic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, why: str
) -> None:
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(InputError, match=f"a.jpg cannot be read .{why}"):
        read_photo(tmp_path / "a.jpg")


def test_wrong_suffix_is_read_by_content(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", picture())
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_photo(tmp_path / "a.jpg"), picture())


def test_decompression_bomb_is_refused_before_decoding(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(InputError, match="more than 512 megapixels"):
        read_photo(tmp_path / "bomb.png")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_flipped_bytes_never_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "flipped_photos"
    folder.mkdir(exist_ok=True)
    broken = bytearray(jpeg_bytes(folder))
    for _ in range(8):
        broken[data.draw(st.integers(0, min(700, len(broken) - 1)))] = data.draw(st.integers(0, 255))
    (folder / "a.jpg").write_bytes(bytes(broken))
    with contextlib.suppress(InputError):
        assert read_photo(folder / "a.jpg").dtype == np.uint8


def test_list_photos_is_sorted_recursive_and_skips_what_is_not_ours(tmp_path: Path) -> None:
    wanted = ["B.JPG", "a/1.png", "a/2.tiff", "été.webp"]
    others = [".hidden.jpg", ".cache/x.jpg", "gsstereo/reconstruct/images/x.png", "notes.txt", "a/model.bin"]
    for name in wanted + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in list_photos(tmp_path)] == wanted


def test_list_photos_of_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        list_photos(tmp_path / "nothing")


def centroid(image: np.ndarray) -> np.ndarray:
    """Brightness-weighted mean position on the image plane."""
    weight = image[..., 0].astype(np.float64)
    return (pixel_centres(image.shape[1], image.shape[0]) * weight[..., None]).sum(axis=(0, 1)) / weight.sum()


def spot(width: int, height: int, centre: np.ndarray) -> np.ndarray:
    distance = np.linalg.norm(pixel_centres(width, height) - centre, axis=-1)
    return np.repeat((250 * np.exp(-0.5 * (distance / 12) ** 2)).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize(("width", "height"), [(80, 60), (107, 61), (160, 120), (320, 240)])
def test_resizing_agrees_with_camera_resized(width: int, height: int) -> None:
    camera = camera_at("a", size=(160, 120), focal_px=100.0, principal_px=(70.0, 50.0))
    small = camera.resized(width, height)
    image = resize_to(spot(160, 120, np.array([70.0, 50.0])), width, height)
    np.testing.assert_allclose(centroid(image), small.intrinsics[:2, 2], atol=0.05)


@pytest.mark.parametrize(
    ("width", "height", "edge"), [(1536, 1024, 800), (301, 200, 100), (200, 333, 97), (90, 110, 200)]
)
def test_shrinking_is_by_one_factor(width: int, height: int, edge: int) -> None:
    centre = np.array([width * 0.4, height * 0.55])
    small = shrink_to_edge(spot(width, height, centre), edge)
    assert small.shape[1::-1] == fitting_size(width, height, edge)
    assert max(small.shape[:2]) == min(edge, max(width, height))
    np.testing.assert_allclose(centroid(small), centre * fitting_scale(width, height, edge), atol=0.05)


def test_heic_without_its_extra_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400))
    with pytest.raises(InputError, match=r"gs_stereo\[heic\]"):
        read_photo(tmp_path / "IMG_1.HEIC")


@pytest.mark.parametrize("orientation", [1, 6])
def test_heic_is_read_upright_with_its_exif(tmp_path: Path, orientation: int) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    heif.register_heif_opener()
    exif = Image.Exif()
    exif[_ORIENTATION], exif[0x010F] = orientation, "a phone"
    stored = picture() if orientation == 1 else np.ascontiguousarray(np.rot90(picture()))
    Image.fromarray(stored).save(tmp_path / "a.heic", exif=exif.tobytes(), quality=95)
    assert photo_size(tmp_path / "a.heic") == (48, 32)
    np.testing.assert_allclose(read_photo(tmp_path / "a.heic").astype(int), picture(), atol=12)
    assert read_metadata(tmp_path / "a.heic").camera == "a phone"
    broken = (tmp_path / "a.heic").read_bytes()
    (tmp_path / "b.heic").write_bytes(broken[: len(broken) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        read_photo(tmp_path / "b.heic")


def test_converted_photos_replace_heic_and_videos_of_live_photos_are_left_out(tmp_path: Path) -> None:
    for name in ("IMG_1.HEIC", "IMG_1.jpg", "IMG_1.MOV", "IMG_2.heic", "IMG_2.mov", "clip.mov", "x.avif"):
        (tmp_path / name).touch()
    assert [path.name for path in list_photos(tmp_path)] == ["IMG_1.jpg", "IMG_2.heic"]
    assert {path.name for path in videos_of_live_photos(tmp_path)} == {"IMG_1.MOV", "IMG_2.mov"}
    told = unused_files(tmp_path)
    assert told is not None
    assert "1 .mov videos are not used" in told
    assert "2 videos belong to Live Photos" in told
    assert find_source(tmp_path, None) == tmp_path / "clip.mov"


def test_links_to_nothing_are_no_photos_and_are_counted(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", picture())
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "c.png").symlink_to(tmp_path / "gone.png")
    assert [path.name for path in list_photos(tmp_path)] == ["a.png", "b.png"]
    told = unused_files(tmp_path)
    assert told is not None
    assert "1 links to photos that are not there" in told
