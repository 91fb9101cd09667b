"""A small good dataset: the textured room, both eyes rendered, with exact labels. It is rendered once a session."""

from __future__ import annotations

import numpy as np
import pytest
from builders import plain_sample

from gs_stereo.datasets.schema import ShardSample
from gs_stereo.quality.config import QualityConfig

VIEWS, WIDTH, HEIGHT, BASELINE_M = 4, 208, 156, 0.2


@pytest.fixture(scope="session")
def good_samples() -> tuple[ShardSample, ...]:
    from gs_stereo.worlds.render import render, stereo_truth
    from gs_stereo.worlds.rooms.plain_room import living_room
    from gs_stereo.worlds.rooms.walk import training_cameras

    room = living_room()
    world = room.world(0, WIDTH / 640)
    samples = []
    for camera in training_cameras(room, VIEWS, (WIDTH, HEIGHT), 0):
        left, right = render(world, camera, 2), render(world, camera.shifted(BASELINE_M), 2)
        truth = stereo_truth(world, left, BASELINE_M)
        samples.append(
            plain_sample(
                truth.disparity,
                sample_id=f"{camera.name}_b",
                view_id=camera.name,
                left=left.image,
                right=right.image,
                confidence=np.full((HEIGHT, WIDTH), 250, np.uint8),
                flags=truth.flags,
                intrinsics=camera.intrinsics,
                baseline=BASELINE_M,
                cam_from_world=camera.cam_from_world,
            )
        )
    return tuple(samples)


@pytest.fixture(scope="session")
def limits() -> QualityConfig:
    return QualityConfig()
