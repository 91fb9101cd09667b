"""Pair folders: lossless round trip, the same bytes for the same pair, all or nothing, and care with broken files."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace

import h5py
import numpy as np
import pytest
from builders import camera_at

from gs_stereo.core.hashing import sha256_file
from gs_stereo.errors import GsStereoError, InputError
from gs_stereo.imaging.sensor import sensed
from gs_stereo.imaging.sensor_config import SensorConfig
from gs_stereo.io import pairs as pairs_module
from gs_stereo.io.pairs import read_header, read_images, read_pair, write_pair
from gs_stereo.types import DepthMaps, DrawnObjects, StereoPair, StereoRig

FILES = {"pair.json", "left.png", "right.png", "geometry.h5"}


def _maps(rng: np.random.Generator, size: tuple[int, int]) -> DepthMaps:
    expected, median, variance, alpha = rng.uniform(size=(4, *size)).astype(np.float32)
    median[rng.uniform(size=size) < 0.2] = np.nan
    return DepthMaps(expected=expected, median=median, variance=variance, alpha=alpha)


def make_pair(extra: int = 0, seed: int = 0) -> StereoPair:
    rng = np.random.default_rng(seed)
    size = (24, 40)
    images = rng.integers(0, 256, size=(2 + extra, *size, 3)).astype(np.uint8)
    look = {"focal_px": (100 / 3, 33.0), "principal_px": (20.0, 12.1)}
    camera = camera_at("ünder/DSC 1.jpg", *rng.normal(size=3), size=size[::-1], **look)
    return StereoPair(
        sample_id="DSC_1_b0.1",
        view_id=camera.name,
        rig=StereoRig(left=camera, baseline=0.1 / 3),
        left=images[0],
        right=images[1],
        left_depth=_maps(rng, size),
        right_depth=_maps(rng, size),
        extra_views=tuple(images[2:]),
        extra_offsets=tuple(float(offset) for offset in rng.normal(size=extra)),
        extra_depth=tuple(_maps(rng, size).median for _ in range(extra)),
        left_cut_out=rng.random(size) < 0.5 if extra else None,
    )


def assert_equal(first: StereoPair, second: StereoPair) -> None:
    assert (first.sample_id, first.view_id) == (second.sample_id, second.view_id)
    assert first.rig.baseline == second.rig.baseline
    assert first.rig.left.name == second.rig.left.name
    assert first.rig.left.cam_from_world.tobytes() == second.rig.left.cam_from_world.tobytes()
    assert first.rig.left.intrinsics.tobytes() == second.rig.left.intrinsics.tobytes()
    assert first.extra_offsets == second.extra_offsets
    images = zip(
        (first.left, first.right, *first.extra_views), (second.left, second.right, *second.extra_views), strict=True
    )
    for a, b in images:
        np.testing.assert_array_equal(a, b)
        assert b.dtype == np.uint8
    np.testing.assert_array_equal(np.array(first.extra_depth), np.array(second.extra_depth))
    np.testing.assert_array_equal(first.left_cut_out, second.left_cut_out)
    for maps_a, maps_b in ((first.left_depth, second.left_depth), (first.right_depth, second.right_depth)):
        for item in fields(DepthMaps):
            a, b = getattr(maps_a, item.name), getattr(maps_b, item.name)
            assert a.dtype == b.dtype == np.float32
            assert a.tobytes() == b.tobytes()


def _bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_stack_that_lacks_the_depth_of_a_view_is_one_sentence(tmp_path):
    pair = make_pair(3)
    write_pair(tmp_path / "p", replace(pair, extra_depth=pair.extra_depth[:2]))
    with pytest.raises(InputError, match=r"geometry.h5 is missing or corrupt .*extra_02"):
        read_images(tmp_path / "p")


@pytest.mark.parametrize("extra", [0, 3])
def test_a_pair_comes_back_bit_by_bit(tmp_path, extra):
    pair = make_pair(extra)
    measures = {"left": {"covered_share": 0.5, "sharpness": None}, "baseline": 0.1}
    write_pair(tmp_path / "deep" / "p", pair, measures)
    assert_equal(pair, read_pair(tmp_path / "deep" / "p"))
    assert read_header(tmp_path / "deep" / "p").measures == measures
    assert {path.name for path in (tmp_path / "deep" / "p").iterdir()} == FILES | {
        f"extra_0{number}.png" for number in range(extra)
    }


def test_objects_come_back_bit_by_bit(tmp_path):
    pair, rng = make_pair(), np.random.default_rng(4)
    shape = pair.left.shape[:2]
    disparity = np.where(rng.random(shape) < 0.5, rng.random(shape), np.nan).astype(np.float32)
    objects = DrawnObjects(disparity=disparity, unseen=rng.random(shape) < 0.5, doubtful=rng.random(shape) < 0.5)
    write_pair(tmp_path / "p", replace(pair, objects=objects))
    back = read_pair(tmp_path / "p").objects
    for item in fields(DrawnObjects):
        assert getattr(back, item.name).tobytes() == getattr(objects, item.name).tobytes()
    assert make_pair().objects is None


def test_the_same_pair_gives_the_same_bytes_and_replaces_the_old_one(tmp_path):
    write_pair(tmp_path / "a", make_pair(1))
    write_pair(tmp_path / "b", make_pair(2, seed=5))
    write_pair(tmp_path / "b", make_pair(1))
    assert _bytes_of(tmp_path / "a") == _bytes_of(tmp_path / "b")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


@pytest.mark.parametrize("old", [False, True])
def test_a_failure_leaves_what_was_there_before(tmp_path, monkeypatch, old):
    folder = tmp_path / "p"
    if old:
        write_pair(folder, make_pair(seed=9))

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pairs_module, "write_bytes", full)
    with pytest.raises(GsStereoError, match="disk is full"):
        write_pair(folder, make_pair())
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == (["p"] if old else [])
    if old:
        assert_equal(make_pair(seed=9), read_pair(folder))


def test_leftovers_of_a_killed_writer_do_not_disturb(tmp_path):
    leftover = tmp_path / f".p.tmp-{os.getpid()}"
    leftover.mkdir()
    (leftover / "junk").write_text("x")
    write_pair(tmp_path / "p", make_pair())
    assert set(_bytes_of(tmp_path / "p")) == FILES


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "flipped", "a folder", "text"])
def test_a_damaged_file_is_an_input_error_that_names_it(tmp_path, name, damage):
    folder = tmp_path / "p"
    write_pair(folder, make_pair())
    path = folder / name
    data = bytearray(path.read_bytes())
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "missing":
        data[len(data) // 2] ^= 0xFF
        path.write_bytes({"empty": b"", "truncated": data[: len(data) // 2], "flipped": data, "text": b"x"}[damage])
    with pytest.raises(InputError, match=name) as caught:
        read_pair(folder)
    assert "\n" not in str(caught.value)


def _vouch_for(folder, name):
    """Write the checksum of a changed file, as an attacker would."""
    header = json.loads((folder / "pair.json").read_text(encoding="utf-8"))
    header["sha256"][name] = sha256_file(folder / name)
    (folder / "pair.json").write_text(json.dumps(header), encoding="utf-8")


@pytest.mark.parametrize("name", ["geometry.h5", "left.png"])
def test_hostile_files_with_right_checksums_end_in_an_input_error_or_a_whole_pair(tmp_path, name):
    folder = tmp_path / "p"
    write_pair(folder, make_pair())
    data = (folder / name).read_bytes()
    noticed = 0
    for place in range(0, len(data), max(1, len(data) // 60)):
        broken = bytearray(data)
        broken[place] ^= 0x55
        (folder / name).write_bytes(broken)
        with pytest.raises(InputError, match="is not the one that was written"):
            read_pair(folder)
        _vouch_for(folder, name)
        try:
            assert read_pair(folder).left.shape == (24, 40, 3)
        except InputError:
            noticed += 1
    assert noticed > 3


HEADER_CHANGES = {
    "format": "other",
    "format_version": 2,
    "sample_id": "",
    "view_id": 3,
    "baseline": "0.1",
    "extra_offsets": [None],
    "measures": [],
    "sha256": None,
    "left_camera": {"name": "x"},
}


@pytest.mark.parametrize("key", HEADER_CHANGES)
def test_a_wrong_header_is_an_input_error(tmp_path, key):
    folder = tmp_path / "p"
    write_pair(folder, make_pair())
    header = json.loads((folder / "pair.json").read_text(encoding="utf-8"))
    (folder / "pair.json").write_text(json.dumps({**header, key: HEADER_CHANGES[key]}), encoding="utf-8")
    with pytest.raises(InputError, match=r"pair\.json"):
        read_pair(folder)
    del header[key]
    (folder / "pair.json").write_text(json.dumps(header), encoding="utf-8")
    with pytest.raises(InputError, match=r"pair\.json"):
        read_pair(folder)


def test_an_image_of_another_size_is_an_input_error(tmp_path):
    write_pair(tmp_path / "p", make_pair())
    header = json.loads((tmp_path / "p/pair.json").read_text(encoding="utf-8"))
    header["left_camera"]["width"] = 41
    (tmp_path / "p/pair.json").write_text(json.dumps(header), encoding="utf-8")
    with pytest.raises(InputError, match="41"):
        read_pair(tmp_path / "p")


def test_geometry_that_lies_elsewhere_is_not_followed(tmp_path):
    write_pair(tmp_path / "other", make_pair())
    for kind in ("external", "soft", "virtual"):
        folder = tmp_path / kind
        write_pair(folder, make_pair())
        with h5py.File(folder / "geometry.h5", "r+") as file:
            del file["left_alpha"]
            if kind == "external":
                file["left_alpha"] = h5py.ExternalLink(str(tmp_path / "other/geometry.h5"), "left_alpha")
            elif kind == "soft":
                file["left_alpha"] = h5py.SoftLink("/right_alpha")
            else:
                layout = h5py.VirtualLayout(shape=(24, 40), dtype=np.float32)
                layout[:] = h5py.VirtualSource(str(tmp_path / "other/geometry.h5"), "left_alpha", shape=(24, 40))
                file.create_virtual_dataset("left_alpha", layout)
        _vouch_for(folder, "geometry.h5")
        with pytest.raises(InputError, match=r"geometry\.h5.*(a link to elsewhere|keeps its data in another file)"):
            read_pair(folder)


def test_a_pair_that_contradicts_itself_is_not_written(tmp_path):
    pair = make_pair()
    small = np.zeros((3, 3), dtype=np.float32)
    maps = DepthMaps(expected=small, median=small, variance=small, alpha=small)
    with pytest.raises(InputError, match="left expected"):
        write_pair(tmp_path / "p", replace(pair, left_depth=maps))
    with pytest.raises(InputError, match="offsets"):
        write_pair(tmp_path / "p", replace(pair, extra_offsets=(0.1,)))
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_an_input_error(tmp_path):
    if os.geteuid() == 0:
        (tmp_path / "file").write_text("x")
        with pytest.raises(GsStereoError, match="Cannot write"):
            write_pair(tmp_path / "file" / "p", make_pair())
        return
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="not writable"):
        write_pair(tmp_path / "p", make_pair())
    tmp_path.chmod(0o700)


def test_what_a_camera_sees_is_stored_beside_what_is_labelled(tmp_path):
    pair = make_pair()
    seen = sensed(pair.left, pair.right, SensorConfig(grey=True, read_noise=4, row_offset_px=2), 1)
    write_pair(tmp_path / "pair", pair, seen=seen)
    assert_equal(read_pair(tmp_path / "pair"), pair)
    images = read_images(tmp_path / "pair")
    np.testing.assert_array_equal(images.left, seen.left)
    np.testing.assert_array_equal(images.right, seen.right)
    assert (images.left != pair.left).any()
    (tmp_path / "pair" / "seen_right.png").unlink()
    with pytest.raises(InputError, match="seen_right"):
        read_images(tmp_path / "pair")
    write_pair(tmp_path / "pair", pair)
    np.testing.assert_array_equal(read_images(tmp_path / "pair").left, pair.left)
