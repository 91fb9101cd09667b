"""Exposure, colour and vignette: what was done to photos is found from the points and undone; clean photos stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import textured_wall
from published_scene import publish_fit, publish_reconstruction

from gs_stereo.core.records import write_record
from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.imaging.light import light_from_srgb, srgb_from_light
from gs_stereo.imaging.png import write_gray_png
from gs_stereo.splat import appearance as module
from gs_stereo.splat.appearance import APPEARANCE_NAME, Appearance, PhotoAppearance, find_appearance
from gs_stereo.splat.folder import FOLDER, TRANSIENTS_NAME, load_photos
from gs_stereo.types import SparseScene
from gs_stereo.types.photo_source import PhotoSource

GAINS_EV = np.array([[0.3, 0.1, 0.2], [-0.4, -0.3, -0.3], [0.2, 0.3, 0.1], [0.0, 0.05, -0.1], [-0.1, -0.15, 0.1]])
FALLOFF_EV = (-0.6, -0.1, 0.0)


@pytest.fixture(scope="module")
def wall() -> tuple[SparseScene, PhotoSource]:
    """A wall in middle tones, so that no photo of it is clipped."""
    scene, photos = textured_wall(len(GAINS_EV))
    middle = {camera.name: (70 + 0.35 * photos(camera.name)).astype(np.uint8) for camera in scene.cameras}
    return scene, middle.__getitem__


def developed(photo: np.ndarray, gains_ev: np.ndarray, falloff_ev: tuple[float, ...] = (0.0,)) -> np.ndarray:
    """The photo with its light changed, written plainly."""
    height, width = photo.shape[:2]
    squared = np.square(pixel_centres(width, height) - [width / 2, height / 2]).sum(axis=-1)
    squared /= (width / 2) ** 2 + (height / 2) ** 2
    lens = sum(ev * squared ** (power + 1) for power, ev in enumerate(falloff_ev))
    light = light_from_srgb(photo / 255.0) * 2.0 ** (gains_ev + np.asarray(lens)[..., None])
    return np.rint(255 * srgb_from_light(np.clip(light, 0, 1))).astype(np.uint8)


def taken(wall: tuple[SparseScene, PhotoSource], falloff_ev: tuple[float, ...] = (0.0,)) -> dict[str, np.ndarray]:
    scene, photos = wall
    pairs = zip(scene.cameras, GAINS_EV, strict=True)
    return {camera.name: developed(photos(camera.name), gains, falloff_ev) for camera, gains in pairs}


def gains_of(found: Appearance) -> np.ndarray:
    gains = np.array([photo.gains_ev for photo in found.photos])
    return gains - gains.mean(axis=0)


def test_light_and_srgb_are_inverse_and_the_curve_is_that_of_the_standard() -> None:
    levels = np.linspace(0, 1, 256)
    np.testing.assert_allclose(srgb_from_light(light_from_srgb(levels)), levels, atol=1e-6)
    assert srgb_from_light(np.array(0.18)) == pytest.approx(0.4614, abs=1e-4)


def test_gains_are_found_to_a_fiftieth_of_a_stop(wall: tuple[SparseScene, PhotoSource]) -> None:
    found = find_appearance(wall[0], taken(wall).__getitem__)
    np.testing.assert_allclose(gains_of(found), GAINS_EV - GAINS_EV.mean(axis=0), atol=0.02)
    assert {photo.falloff_ev for photo in found.photos} == {(0.0, 0.0, 0.0)}
    assert found.disagreement[1] < 0.2 * found.disagreement[0]


def test_photos_agree_when_all_is_undone(wall: tuple[SparseScene, PhotoSource]) -> None:
    """With a vignette too; they agree with the clean photos up to one exposure, which keeps their mean light."""
    scene, clean = wall
    photos = taken(wall, FALLOFF_EV)
    found = find_appearance(scene, photos.__getitem__)
    ratios = []
    for camera in scene.cameras:
        undone = light_from_srgb(found.undone(camera.name, photos[camera.name]) / 255.0)
        ratios.append(np.log2(undone / light_from_srgb(clean(camera.name) / 255.0)))
    assert np.std(ratios) < 0.05
    assert np.ptp([ratio[..., channel].mean() for ratio in ratios for channel in range(3)]) < 0.25
    mean_before = np.mean([np.log2(light_from_srgb(photo / 255.0)) for photo in photos.values()])
    mean_after = np.mean(ratios) + np.mean([np.log2(light_from_srgb(clean(name) / 255.0)) for name in photos])
    assert mean_after == pytest.approx(mean_before, abs=0.1)


def test_things_that_stand_in_one_photo_change_nothing(wall: tuple[SparseScene, PhotoSource]) -> None:
    photos = taken(wall)
    photos["1.png"][20:40, 30:50] = 30, 200, 40
    found = find_appearance(wall[0], photos.__getitem__)
    np.testing.assert_allclose(gains_of(found), GAINS_EV - GAINS_EV.mean(axis=0), atol=0.03)


def test_clean_noisy_photos_stay_as_they_are(wall: tuple[SparseScene, PhotoSource]) -> None:
    scene, photos = wall
    random = np.random.default_rng(0)

    def noisy(name: str) -> np.ndarray:
        return np.clip(photos(name) + random.normal(0, 6, photos(name).shape), 0, 255).astype(np.uint8)

    found = find_appearance(scene, {camera.name: noisy(camera.name) for camera in scene.cameras}.__getitem__)
    assert found.photos == ()
    assert found.disagreement[0] == found.disagreement[1] > 0
    assert found.undone("0.png", photos("0.png")) is photos("0.png")


def test_too_few_points_say_nothing(wall: tuple[SparseScene, PhotoSource]) -> None:
    scene = replace(wall[0], visible_points=tuple(rows[:5] for rows in wall[0].visible_points))
    assert find_appearance(scene, taken(wall).__getitem__) == Appearance()


def test_two_lenses_have_a_falloff_each(wall: tuple[SparseScene, PhotoSource], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second photo was taken with a lens of another focal length and without vignette."""
    monkeypatch.setattr(module, "_PHOTOS_A_LENS", 2)
    scene, clean = wall
    photos, cameras = {}, []
    for row, camera in enumerate(scene.cameras):
        wide = row % 2 == 1
        zoomed = np.diag([0.9, 0.9, 1.0]) @ camera.intrinsics
        zoomed[:2, 2] = camera.intrinsics[:2, 2]
        matrix = zoomed @ np.linalg.inv(camera.intrinsics)
        shown = cv2.warpPerspective(clean(camera.name), matrix, (96, 64), borderMode=cv2.BORDER_REFLECT)
        cameras.append(replace(camera, intrinsics=zoomed) if wide else camera)
        photos[camera.name] = developed(
            shown if wide else clean(camera.name), GAINS_EV[row], (0.0,) if wide else FALLOFF_EV
        )
    found = find_appearance(replace(scene, cameras=tuple(cameras)), photos.__getitem__).photos
    assert sum(found[0].falloff_ev) == pytest.approx(sum(FALLOFF_EV), abs=0.15)
    assert sum(found[1].falloff_ev) == pytest.approx(0.0, abs=0.15)
    assert found[0].falloff_ev == found[2].falloff_ev != found[1].falloff_ev == found[3].falloff_ev


def test_what_was_undone_is_read_back_and_undone_for_later_stages(tmp_path: Path) -> None:
    publish_reconstruction(tmp_path)
    publish_fit(tmp_path)
    reconstruction, fit = tmp_path / "reconstruct", tmp_path / FOLDER
    plain, name = load_photos(reconstruction, None), "001.png"
    assert np.array_equal(load_photos(reconstruction, fit)(name), plain(name))
    found = Appearance(photos=(PhotoAppearance(name=name, gains_ev=(-1.0, -1.0, -1.0)),), disagreement=(0.2, 0.1))
    write_record(fit / APPEARANCE_NAME, found)
    photos = load_photos(reconstruction, fit)
    assert np.array_equal(photos(name), found.undone(name, plain(name)))
    assert photos(name).mean() > 1.2 * plain(name).mean()
    assert photos.mask(name) is None
    transient = np.zeros(plain(name).shape[:2], np.uint8)
    transient[:5] = 255
    write_gray_png(fit / TRANSIENTS_NAME / name, transient)
    assert np.array_equal(load_photos(reconstruction, fit).hidden(name), transient > 0)
    assert np.array_equal(load_photos(reconstruction, fit).mask(name), transient == 0)
    (fit / APPEARANCE_NAME).write_text("{")
    with pytest.raises(InputError, match="run `gsstereo fit --force` again"):
        load_photos(reconstruction, fit)
