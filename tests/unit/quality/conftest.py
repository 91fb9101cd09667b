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
    from gs_stereo.worlds.rooms.plain_room import living_room
    from gs_stereo.worlds.rooms.render import render_photo, render_truth
    from gs_stereo.worlds.rooms.world import build_world
    from gs_stereo.worlds.walk import training_cameras

    design = living_room()
    world = build_world(design, 0, WIDTH / 640)
    samples = []
    for camera in training_cameras(design, VIEWS, (WIDTH, HEIGHT), 0):
        truth = render_truth(world, camera, (BASELINE_M,))
        samples.append(
            plain_sample(
                camera.focal_px * BASELINE_M / truth.z,
                sample_id=f"{camera.name}_b",
                view_id=camera.name,
                left=render_photo(world, camera, 2),
                right=render_photo(world, camera.shifted(BASELINE_M), 2),
                confidence=np.full(truth.z.shape, 250, np.uint8),
                flags=truth.occlusion[BASELINE_M].astype(np.uint16),
                intrinsics=camera.intrinsics,
                baseline=BASELINE_M,
                cam_from_world=camera.cam_from_world,
            )
        )
    return tuple(samples)


@pytest.fixture(scope="session")
def limits() -> QualityConfig:
    return QualityConfig()
