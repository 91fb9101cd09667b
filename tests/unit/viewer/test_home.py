"""The first view and the scale, from whichever parts a scene has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import camera_at, tiny_scene
from published_scene import BASELINE, renderer, wall_sample

from gs_stereo.errors import InputError
from gs_stereo.types import StereoRig
from gs_stereo.viewer.contents import SceneContents, ViewedDataset
from gs_stereo.viewer.home import find_home

RIGS = {"default": (StereoRig(left=camera_at("a", 0.0), baseline=BASELINE),)}


def dataset() -> dict[str, ViewedDataset]:
    return {"splat": ViewedDataset(sample_ids=("s",), read=lambda index: wall_sample())}


@pytest.mark.parametrize(
    ("parts", "distance"),
    [
        ({"sparse": tiny_scene(3)[0]}, 2.2),
        ({"renderer": renderer()}, 2.2),
        ({"datasets": dataset()}, 2.2),
        ({"rigs": RIGS}, 1.0),
        ({"rigs": RIGS, "datasets": dataset()}, 2.2),
    ],
    ids=["reconstruction", "splat", "label", "rigs", "rigs and label"],
)
def test_one_look_ahead_shows_the_wall(parts: dict, distance: float) -> None:
    home = find_home(SceneContents(name="wall", **parts))
    if parts.keys() != {"renderer"}:  # a splat alone says nothing about where its photos were
        assert 1.0 / home.frame.display_per_unit == pytest.approx(distance, rel=0.2)
    assert home.target_in_world[2] > home.position_in_world[2]
    np.testing.assert_allclose(home.frame.up_in_world, [0, -1, 0], atol=1e-12)


def test_a_broken_data_set_does_not_keep_the_viewer_from_starting() -> None:
    def broken(index: int):
        raise InputError("The shard is corrupt.")

    only = {"splat": ViewedDataset(sample_ids=("s",), read=broken)}
    home = find_home(SceneContents(name="x", datasets=only))
    assert home.frame.display_per_unit == 1.0
    empty = find_home(SceneContents(name="x", datasets={"splat": replace(only["splat"], sample_ids=())}))
    assert np.isfinite(empty.position_in_world).all()
