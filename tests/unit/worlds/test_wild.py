"""Casual captures: what the phone does to a photo, who passes, and that the truth is the empty room's."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gs_stereo.benchmarks.exact import load_exact_scene
from gs_stereo.worlds.rooms.config import SampleConfig
from gs_stereo.worlds.rooms.wild import PhoneCamera, Shot, draw_shot, jpeg_bytes, uncovered
from gs_stereo.worlds.rooms.write import write_sample

PLAIN_PHONE = PhoneCamera(vignette=0.0, gamma=1.0, contrast=0.0, shot_noise=0.0, read_noise=0.0)


def _shot(**changes: object) -> Shot:
    values = {"exposure_ev": 0.0, "white_balance": (1.0, 1.0, 1.0), "blur_px": 0.0, "blur_deg": 0.0, "jpeg_quality": 95}
    return Shot(name="a.jpg", **{**values, **changes})


def _photo(light: np.ndarray, phone: PhoneCamera = PLAIN_PHONE, **changes: object) -> np.ndarray:
    data = jpeg_bytes(light.astype(np.float32), phone, _shot(**changes), seed=0)
    return np.asarray(Image.open(io.BytesIO(data)), float)


def test_exposure_white_balance_and_vignette_act_on_light():
    grey = np.full((48, 64, 3), 0.2)
    np.testing.assert_allclose(_photo(grey)[24, 32], 124, atol=2)  # sRGB of 0.2
    np.testing.assert_allclose(_photo(grey, exposure_ev=1.0)[24, 32], 170, atol=2)  # of 0.4
    red, green, blue = _photo(grey, white_balance=(1.1, 1.0, 0.9))[24, 32]
    assert red > green + 3 > blue + 6
    dim = _photo(grey, PhoneCamera(vignette=0.4, gamma=1.0, contrast=0.0, shot_noise=0.0, read_noise=0.0))
    np.testing.assert_allclose(dim[24, 32], 124, atol=2)
    np.testing.assert_allclose(dim[0, 0], 98, atol=3)  # of 0.2 x 0.6


def test_blur_runs_along_its_direction_and_noise_repeats():
    edge = np.zeros((48, 64, 3))
    edge[:, 32:] = 0.5
    across, along = (_photo(edge, blur_px=8.0, blur_deg=angle)[24, :, 1] for angle in (0.0, 90.0))
    mixed = [int(((row > 20) & (row < 170)).sum()) for row in (across, along)]
    assert mixed[0] >= 6
    assert mixed[1] <= 2
    noisy = PhoneCamera(vignette=0.0, gamma=1.0, contrast=0.0, shot_noise=1e-3, read_noise=1e-5)
    assert 2 < _photo(edge, noisy)[:, 40:].std() < 12
    np.testing.assert_array_equal(_photo(edge, noisy), _photo(edge, noisy))


def test_a_mask_covers_what_differs_and_what_blur_spreads_it_over():
    empty, visited = np.full((20, 40, 3), 0.3, np.float32), np.full((20, 40, 3), 0.3, np.float32)
    visited[:, 10:20] = 0.1
    still, shaken = (uncovered(empty, visited, _shot(blur_px=blur)) for blur in (0.0, 6.0))
    np.testing.assert_array_equal(np.flatnonzero(~still[0]), np.arange(10, 20))
    assert 13 <= (~shaken[0]).sum() <= 18


@pytest.fixture(scope="module")
def wild_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wild") / "wild"
    write_sample(folder, SampleConfig(views=4, test_views=1, width=128, height=96, wild=True), seed=0)
    return folder


def test_a_wild_capture_tells_what_was_done_and_keeps_it_from_the_photos(wild_folder):
    names = [f"{k:03d}.jpg" for k in range(4)]
    assert sorted(path.name for path in (wild_folder / "images").iterdir()) == names
    assert not (wild_folder / "masks").exists()
    told = json.loads((wild_folder / "gt/wild.json").read_text())["photos"]
    assert [photo["name"] for photo in told] == names
    assert [photo["exposure_ev"] for photo in told] == [draw_shot(name, 128, 0).exposure_ev for name in names]
    covered = [photo["covered_share"] for photo in told]
    assert sum(share > 0.01 for share in covered) == 2
    for name, share in zip(names, covered, strict=True):
        mask = np.asarray(Image.open(wild_folder / f"gt/masks/{name}.png").convert("L"))
        assert (mask == 0).mean() == pytest.approx(share, abs=1e-4)


def test_the_truth_of_a_wild_capture_is_that_of_the_empty_room(wild_folder):
    """Where somebody is, the photo differs from the clean one by more than the phone explains; depth does not."""
    scene = load_exact_scene(wild_folder)
    assert max(view.truth().z.max() for view in scene.train) > 200  # the sky
    for view in scene.train:
        photo, clean = (
            np.asarray(Image.open(path).convert("RGB"), float)
            for path in (view.image_path, wild_folder / f"gt/clean/{Path(view.name).stem}.png")
        )
        hidden = np.asarray(Image.open(wild_folder / f"gt/masks/{view.name}.png").convert("L")) == 0
        if hidden.any():
            # The phone's curve, by the median of the photo at each level of the clean one.
            level = clean.astype(int) // 16
            curve = np.array([np.median(photo[~hidden & (level[..., 1] == k)]) for k in range(16)])
            error = np.abs(photo[..., 1] - curve[level[..., 1]])
            assert np.nanmedian(error[hidden]) > 2 * np.nanmedian(error[~hidden])
        assert view.truth().z[hidden].size == 0 or view.truth().z[hidden].max() > 2.5
