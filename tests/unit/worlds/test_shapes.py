"""Shapes of the training scenes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gs_stereo.worlds import shapes
from gs_stereo.worlds.mesh import Piece, moved

SHAPES: dict[str, Callable[[np.random.Generator], Piece]] = {
    "box": lambda rng: shapes.box((1.0, 0.5, 2.0)),
    "cylinder": shapes.cylinder,
    "vase": shapes.vase,
    "torus": shapes.torus,
    "blob": shapes.blob,
    "sheet": shapes.sheet,
    "ground": lambda rng: shapes.ground(rng, 10.0, 0.3),
    "dome": lambda rng: shapes.dome(5.0),
    "leaves": lambda rng: shapes.leaves(rng, 20, 0.2),
    "rods": lambda rng: shapes.rods(rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), 0.02),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_sound(name: str) -> None:
    piece = SHAPES[name](np.random.default_rng(5))
    count = len(piece.points)
    assert piece.normals.shape == (count, 3)
    assert piece.uv.shape == (count, 2)
    assert piece.group.shape == (len(piece.triangles),)
    assert piece.group.min() == 0
    assert 0 <= piece.triangles.min() <= piece.triangles.max() == count - 1
    for values in (piece.points, piece.normals, piece.uv):
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    assert piece.radius < 15


def test_groups_separate_faces_rods_and_leaves() -> None:
    rng = np.random.default_rng(0)
    assert set(shapes.box((1.0, 1.0, 1.0)).group) == set(range(6))
    assert set(shapes.leaves(rng, 7, 0.2).group) == set(range(7))
    assert set(shapes.rods(rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), 0.1).group) == set(range(4))
    assert set(shapes.torus(rng).group) == {0}


def test_a_box_has_its_size_and_closed_sides() -> None:
    piece = shapes.box((1.0, 2.0, 3.0))
    np.testing.assert_allclose(piece.points.max(axis=0), (0.5, 1.0, 1.5))
    np.testing.assert_allclose(piece.points.min(axis=0), (-0.5, -1.0, -1.5))
    corners = piece.points[piece.triangles].astype(float)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert area == pytest.approx(2 * (2 + 3 + 6))
    assert set(map(tuple, np.abs(np.rint(piece.normals)).astype(int).tolist())) == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}


def test_rods_have_their_radius() -> None:
    start, end = np.array([[0.0, 0, 0]]), np.array([[3.0, 0, 4.0]])
    piece = shapes.rods(start, end, 0.25)
    axis = np.array([0.6, 0, 0.8])
    away = piece.points - (piece.points @ axis)[:, None] * axis
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), 0.25, atol=1e-6)


def test_moving_keeps_lengths_in_the_texture() -> None:
    piece = shapes.box((1.0, 1.0, 1.0))
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    placed = moved(piece, turn, np.array([1.0, 2, 3]), 2.0)
    np.testing.assert_allclose(placed.points.mean(axis=0), (1, 2, 3), atol=1e-6)
    np.testing.assert_allclose(placed.uv, 2 * piece.uv)
    assert placed.radius > piece.radius
