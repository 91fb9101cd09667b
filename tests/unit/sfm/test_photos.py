"""Which photos are usable, which share a camera, which pairs are matched."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import photo_size, write_png
from gs_stereo.sfm import retrieval
from gs_stereo.sfm.config import ReconstructConfig
from gs_stereo.sfm.job import ignore_progress
from gs_stereo.sfm.pairs import choose_pairs, natural_key, pairs_by_pose, sequential_pairs
from gs_stereo.sfm.photos import Photo, camera_groups, find_photos, prepare_photos
from gs_stereo.sfm.retrieval import similar_pairs


def grey(path: Path, width: int = 200, height: int = 100) -> None:
    write_png(path, np.full((height, width, 3), 100, dtype=np.uint8))


def test_working_images_are_small_and_named_safely(tmp_path: Path) -> None:
    grey(tmp_path / "in" / "ä b.png")
    grey(tmp_path / "in" / "sub" / "c.png", 100, 200)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no")
    grey(tmp_path / "in" / "tiny.png", 20, 20)
    photos = find_photos(tmp_path / "in", tmp_path / "frames", ReconstructConfig())
    usable, failed = prepare_photos(photos, tmp_path / "work", ReconstructConfig(max_image_size=80), ignore_progress)
    assert sorted(photo.name for photo in usable) == ["sub/c.png", "ä b.png"]
    assert {photo_size(tmp_path / "work" / photo.file) for photo in usable} == {(80, 40), (40, 80)}
    assert all(photo.file.isascii() for photo in usable)
    assert sorted(failed) == ["broken.jpg", "tiny.png"]
    assert "too few" in failed["tiny.png"]


def test_of_equal_pictures_the_first_is_used_however_they_are_stored(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    almost = photo.copy()
    almost[5, 5, 0] ^= 1
    write_png(tmp_path / "in/a.png", photo)
    write_png(tmp_path / "in/b.png", almost)
    Image.fromarray(photo).save(tmp_path / "in/c.bmp")
    write_png(tmp_path / "in/later/a.png", photo)
    write_png(tmp_path / "in/turned.png", photo.reshape(96, 64, 3))  # the same bytes in another shape
    photos = find_photos(tmp_path / "in", tmp_path / "frames", ReconstructConfig())
    usable, failed = prepare_photos(photos, tmp_path / "work", ReconstructConfig(), ignore_progress)
    assert [photo.name for photo in usable] == ["a.png", "b.png", "turned.png"]
    assert failed == dict.fromkeys(["later/a.png", "c.bmp"], "It is the same picture as a.png.")


def test_no_photo_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photos"):
        find_photos(tmp_path, tmp_path / "frames", ReconstructConfig())


def test_one_photo_is_an_input_error(tmp_path: Path) -> None:
    grey(tmp_path / "in" / "a.png")
    grey(tmp_path / "in" / "copy.png")
    photos = find_photos(tmp_path / "in", tmp_path / "frames", ReconstructConfig())
    with pytest.raises(InputError, match="Only 1 of 2 photos .*same picture as a.png"):
        prepare_photos(photos, tmp_path / "work", ReconstructConfig(), ignore_progress)


def test_frames_of_a_video_are_photos_in_order(tmp_path: Path) -> None:
    import cv2

    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (96, 64))
    for index in range(12):
        writer.write(np.full((64, 96, 3), 20 * index, dtype=np.uint8))
    writer.release()
    photos = find_photos(tmp_path / "v.avi", tmp_path / "frames", ReconstructConfig(max_frames=4))
    assert photos.is_video
    assert [photos.name(path) for path in photos.paths] == [f"frame_{index:06d}.png" for index in (0, 3, 6, 9)]


def test_a_file_that_is_no_video_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputError, match="no video"):
        find_photos(tmp_path / "a.txt", tmp_path / "frames", ReconstructConfig())


BASE = Photo(
    name="a/1.jpg", path=Path("x"), file="0.png", width=4000, height=3000, camera="C", focal_over_edge=0.8, gps=None
)


def groups(*photos: Photo, **settings: str) -> list[tuple[int, bool]]:
    numbered = [replace(photo, file=f"{index}.png") for index, photo in enumerate(photos)]
    found = camera_groups(numbered, ReconstructConfig.model_validate(settings))
    return [(len(group.names), group.prior) for group in found]


def test_cameras_are_shared_where_photos_agree() -> None:
    elsewhere = replace(BASE, name="b/1.jpg")
    portrait = replace(BASE, name="a/2.jpg", width=3000, height=4000)
    no_exif = replace(BASE, focal_over_edge=None)
    assert groups(BASE, BASE, elsewhere) == [(3, True)]
    assert groups(BASE, elsewhere, portrait) == [(1, True), (1, True), (1, True)]
    assert groups(no_exif, no_exif) == [(2, False)]
    assert groups(BASE, BASE, single_camera="never") == [(2, True)]  # same name, so the same photo
    assert groups(BASE, elsewhere, single_camera="never") == [(1, True), (1, True)]
    with pytest.raises(InputError, match="differ in size"):
        groups(BASE, portrait, single_camera="always")


def test_exif_focal_length_is_the_first_guess_at_the_working_size() -> None:
    (group,) = camera_groups([BASE], ReconstructConfig(max_image_size=800))
    assert (group.width, group.height) == (800, 600)
    assert group.params == [640.0, 400.0, 300.0, 0.0]


NAMES = [f"img{index}.png" for index in range(40)]


def test_natural_order() -> None:
    assert sorted(["img10", "img2", "a3b10", "a3b9"], key=natural_key) == ["a3b9", "a3b10", "img2", "img10"]


def test_rules_of_matching() -> None:
    everything = list(itertools.combinations(NAMES, 2))
    assert choose_pairs(NAMES, ReconstructConfig(), is_video=False) == (everything, 0)
    assert choose_pairs(NAMES, ReconstructConfig(exhaustive_limit=39), is_video=False) == ([], 20)
    pairs, similar = choose_pairs(NAMES, ReconstructConfig(), is_video=True)
    assert ("img0.png", "img10.png") in pairs
    assert ("img0.png", "img16.png") in pairs
    assert ("img0.png", "img11.png") not in pairs
    assert similar == 20


def test_sequential_pairs_join_all_photos() -> None:
    assert sequential_pairs(["c", "a", "b"], 1) == [("a", "b"), ("b", "c")]


def test_pairs_by_pose_prefer_near_cameras_that_look_the_same_way() -> None:
    poses = {}
    for index in range(30):
        poses[f"{index:02d}"] = np.eye(4)
        poses[f"{index:02d}"][0, 3] = -index
    poses["back"] = np.diag([-1.0, 1.0, -1.0, 1.0])
    pairs = pairs_by_pose(poses, exhaustive_limit=10, per_photo=4)
    assert ("00", "01") in pairs
    assert ("00", "29") not in pairs
    # Who looks the other way is matched with the two before it in name order only, to see whether poses are right.
    assert [pair for pair in pairs if "back" in pair] == [("28", "back"), ("29", "back")]


def features_of(place: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints and descriptors of a photo: the 60 largest are those of its place, the others noise."""
    shared = np.random.default_rng(place).integers(0, 256, (60, 128), dtype=np.uint8)
    noise = random.integers(0, 256, (100, 128), dtype=np.uint8)
    keypoints = np.column_stack([random.uniform(0, 9, (160, 2)), np.r_[np.full(60, 9.0), np.ones(100)]])
    return keypoints, np.concatenate([shared, noise])


def test_retrieval_finds_photos_with_common_features() -> None:
    random = np.random.default_rng(0)
    pairs = similar_pairs([features_of(place, random) for place in (0, 1, 0, 1, 2)], 1, lambda _: None)
    assert {(0, 2), (1, 3)} <= pairs
    assert len(pairs) <= 3


def test_retrieval_among_many_photos_compares_few_and_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random, compared = np.random.default_rng(0), []
    count = retrieval.match_count
    monkeypatch.setattr(retrieval, "match_count", lambda a, b: compared.append(1) or count(a, b))
    photos = [features_of(number % 8, random) for number in range(40)]
    pairs = similar_pairs(photos, 4, lambda _: None)
    assert pairs == {(i, j) for i in range(40) for j in range(i + 1, 40) if i % 8 == j % 8}
    assert len(compared) < 40 * 12
    empty = (np.zeros((0, 4)), np.zeros((0, 128), np.uint8))
    assert similar_pairs([empty] * 40, 4, lambda _: None) == set()
