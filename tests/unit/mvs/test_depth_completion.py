"""Guesses of depth where a plane sweep is not sure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import HEIGHT, WIDTH, camera_at

from gs_stereo.mvs.depth_completion import completed
from gs_stereo.mvs.swept_view import SweptView

_NEAR, _FAR = 2.0, 8.0


def _view(depth: np.ndarray, name: str = "a", x: float = 0.0) -> SweptView:
    return SweptView(
        camera=camera_at(name, x),
        gray=np.where(np.arange(WIDTH) < WIDTH // 2, 0.2, 0.8) * np.ones((HEIGHT, 1)),
        inverse_depths=np.linspace(1 / 10.0, 1 / 1.25, 64),
        depth=depth,
        guess=np.full_like(depth, np.nan),
    )


def _walls() -> np.ndarray:
    return np.where(np.arange(WIDTH) < WIDTH // 2, _NEAR, _FAR) * np.ones((HEIGHT, 1))


def test_sure_pixels_keep_their_depth() -> None:
    view = _view(_walls())
    assert np.array_equal(completed(view, []).guess, view.depth)


def test_depth_spreads_to_the_photos_edge() -> None:
    depth = _walls()
    depth[:, WIDTH // 4 : 3 * WIDTH // 4] = np.nan
    found = completed(_view(depth), [])
    assert found.guess == pytest.approx(_walls(), rel=0.1)
    assert np.array_equal(found.depth, depth, equal_nan=True)


def test_what_another_view_is_sure_of_is_carried_over() -> None:
    depth = np.full((HEIGHT, WIDTH), _NEAR)
    depth[:, WIDTH // 2 :] = np.nan
    other = _view(np.full((HEIGHT, WIDTH), _FAR), "b", 0.3)
    alone = completed(_view(depth), [])
    helped = completed(_view(depth), [other])
    assert np.nanmedian(alone.guess[:, WIDTH // 2 :]) == pytest.approx(_NEAR, rel=0.1)
    assert np.nanmedian(helped.guess[:, WIDTH // 2 :]) == pytest.approx(_FAR, rel=0.01)


def test_the_nearer_of_two_carried_surfaces_hides_the_other() -> None:
    unknown = np.full((HEIGHT, WIDTH), np.nan)
    others = [_view(np.full((HEIGHT, WIDTH), depth), f"{depth}") for depth in (_FAR, _NEAR)]
    for order in (others, others[::-1]):
        assert completed(_view(unknown), order).guess == pytest.approx(np.full((HEIGHT, WIDTH), _NEAR), rel=0.01)


def test_a_view_that_knows_nothing_gets_a_depth_of_its_planes() -> None:
    view = _view(np.full((HEIGHT, WIDTH), np.nan))
    behind = replace(_view(np.full((HEIGHT, WIDTH), _NEAR), "b"), camera=camera_at("b", 1e6))
    guess = completed(view, [behind]).guess
    assert np.isfinite(guess).all()
    assert ((guess > 1.24) & (guess < 10.01)).all()
