"""Photos at the trainer's side: sizes, levels and the held-out split."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from builders import HEIGHT, WIDTH, camera_at

from gs_stereo.errors import InputError
from gs_stereo.splat.config import ResolutionConfig
from gs_stereo.splat.photos import CheckedPhotos, TrainingViews, blur_weights, split_names


def test_every_eighth_sorted_name_is_held_out() -> None:
    names = [f"{i:02d}" for i in range(20)]
    training, held_out = split_names(names[::-1], 8)
    assert held_out == ["00", "08", "16"]
    assert training == [name for name in names if name not in held_out]


@pytest.mark.parametrize(("count", "held_out"), [(1, 0), (3, 0), (4, 0), (5, 1), (11, 1), (13, 2), (15, 2)])
def test_small_captures_keep_enough_photos(count: int, held_out: int) -> None:
    training, held = split_names([f"{i:02d}" for i in range(count)], 8)
    assert (len(held), len(training)) == (held_out, count - held_out)
    assert held == ["04", "12"][:held_out] if count < 15 else ["00", "08"]


def test_zero_holds_out_none() -> None:
    assert split_names(["a", "b", "c", "d"], 0) == (["a", "b", "c", "d"], [])


@pytest.mark.parametrize(
    "photo",
    [np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH, 3))],
)
def test_a_photo_that_does_not_fit_its_camera_is_refused(photo: np.ndarray) -> None:
    photos = CheckedPhotos(lambda name: photo, [camera_at("a.png", 0.0)])
    with pytest.raises(InputError, match=r"a\.png"):
        photos("a.png")


def test_levels_halve_photo_and_camera_together() -> None:
    photo = np.full((HEIGHT, WIDTH, 3), [10, 100, 200], np.uint8)
    views = TrainingViews(
        [camera_at("a.png", 0.0)], lambda name: photo, {}, ResolutionConfig(min_edge_px=8), torch.device("cpu")
    )
    for level in (0, 1, 2):
        view = views.at(0, level)
        camera, image = view.camera, view.photo
        assert image.shape == (3, camera.height, camera.width) == (3, HEIGHT >> level, WIDTH >> level)
        assert camera.focal_px == pytest.approx(40.0 / 2**level)
        assert image[:, 0, 0].tolist() == pytest.approx([10 / 255, 100 / 255, 200 / 255])


def test_no_level_is_smaller_than_the_shortest_edge() -> None:
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    views = TrainingViews(
        [camera_at("a.png", 0.0)], lambda name: photo, {}, ResolutionConfig(min_edge_px=16), torch.device("cpu")
    )
    assert views.at(0, 4).camera.height == 16


def test_blurred_photos_weigh_less_and_masks_do_not_count() -> None:
    """Four sharp photos, one shaken, and one that is only blurred where a mask hides it."""
    sharp = np.kron(np.random.default_rng(0).integers(0, 256, (12, 16, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    shaken = cv2.GaussianBlur(sharp, (0, 0), 2.0)
    seen = dict.fromkeys("abcd", sharp) | {"e": shaken, "f": sharp.copy()}
    seen["f"][:, :80] = shaken[:, :80]
    cameras = [camera_at(name, size=(160, 120)) for name in seen]

    class Photos:
        def __call__(self, name: str) -> np.ndarray:
            return seen[name]

        def mask(self, name: str) -> np.ndarray | None:
            return np.tile(np.arange(160) >= 80, (120, 1)) if name == "f" else None

    weights = blur_weights(cameras, Photos())
    assert list(weights) == ["e"]
    assert weights["e"] == pytest.approx(1 / 5, abs=0.08), "2 px of blur"
    views = TrainingViews(cameras, Photos(), {}, ResolutionConfig(), torch.device("cpu"), weights)
    assert [views.at(index, 0).weight for index in (0, 4)] == [1.0, weights["e"]]
