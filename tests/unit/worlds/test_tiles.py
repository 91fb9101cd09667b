"""Textures: kinds, mip levels, reflection, recolouring."""

from __future__ import annotations

import numpy as np
import pytest
from twins.shading import lookup

from gs_stereo.worlds.textures.canvas import Canvas
from gs_stereo.worlds.textures.tiles import KINDS, BoxLayout, Tiles, boxed, scene_tiles, texture_bank


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_every_kind_of_texture_is_an_image(number: int) -> None:
    rng = np.random.default_rng(number)
    picture = KINDS[number](rng)(Canvas(rng, (64, 64), (1.0, 1.0)))
    assert picture.shape == (64, 64, 3)
    assert np.isfinite(picture).all()
    assert -0.5 < picture.min() < picture.max() < 2.0


def test_the_spectrum_of_noise_falls_as_asked() -> None:
    noise = Canvas(np.random.default_rng(0), (256, 256), (1.0, 1.0)).coloured(1.0)
    power = np.abs(np.fft.fft2(noise)) ** 2
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None])
    low, high = (power[(frequency > f * 0.9) & (frequency < f * 1.1)].mean() for f in (0.05, 0.2))
    assert low / high == pytest.approx(16, rel=0.3)  # power 1 / f^2 over two octaves
    assert noise.mean() == pytest.approx(0, abs=1e-5)
    assert noise.std() == pytest.approx(1, abs=1e-5)


def test_the_bank_is_the_same_for_the_same_seed_and_only_then() -> None:
    first = [box.copy() for box in texture_bank(3, 3, 32)]
    texture_bank(4, 3, 32)
    again = texture_bank(3, 3, 32)
    other = texture_bank(4, 3, 32)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def ramp_tiles(side: int = 32) -> Tiles:
    """Two textures: black, and red that grows to the right and green that grows downwards."""
    steps = np.arange(side, dtype=np.uint8) * 4
    picture = np.zeros((side, side, 3), np.uint8)
    picture[..., 0], picture[..., 1] = steps[None], steps[:, None]
    layout = BoxLayout(side)
    boxes = [boxed(image, layout) for image in (np.zeros_like(picture), picture)]
    origins = np.array([(0, 0), (layout.width, 0)], np.float32)
    return Tiles(texels=np.concatenate(boxes, axis=1), origins=origins, layout=layout)


def look(found: Tiles, u: object, v: object, level: int = 0) -> np.ndarray:
    places = [np.atleast_1d(np.asarray(axis, np.float32)) for axis in (u, v)]
    count = len(places[0])
    return lookup(found, np.full(count, 1), *places, np.full(count, level))


def test_texel_centres_give_texels() -> None:
    centres = (np.arange(32) + 0.5) / 32
    values = look(ramp_tiles(), centres, centres[::-1])
    np.testing.assert_array_equal(values[:, 0], np.arange(32) * 4)
    np.testing.assert_array_equal(values[:, 1], np.arange(32)[::-1] * 4)


def test_a_texture_repeats_by_reflection() -> None:
    inside = look(ramp_tiles(), [0.2, 0.7], [0.4, 0.9])
    for u, v in (([-0.2, 1.3], [0.4, 0.9]), ([2.2, 2.7], [-0.4, 1.1]), ([1.8, -0.7], [2.4, 4.9])):
        np.testing.assert_allclose(look(ramp_tiles(), u, v).astype(int), inside.astype(int), atol=1)


@pytest.mark.parametrize("level", range(4))
def test_every_level_shows_the_same_picture(level: int) -> None:
    """The middle of a linear ramp is the same at all resolutions."""
    np.testing.assert_allclose(look(ramp_tiles(), [0.5], [0.5], level)[0, :2], 62, atol=1.5)


def test_scene_tiles_have_colours_of_their_own() -> None:
    bank = texture_bank(0, 4, 32)
    found = scene_tiles(np.random.default_rng(1), bank, 32, 6)
    assert len(found.origins) == 6
    means = [look_mean(found, index) for index in range(6)]
    assert len({tuple(np.round(mean).astype(int)) for mean in means}) == 6


def look_mean(found: Tiles, index: int) -> np.ndarray:
    left, top = found.origins[index].astype(int)
    return found.texels[top + 2 : top + 34, left + 2 : left + 34].mean(axis=(0, 1))
