"""Photos whose background is transparent: an object alone, from import to the verdict."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from builders import noise
from PIL import Image
from typer.testing import CliRunner

from gs_stereo.cli.main import app
from gs_stereo.datasets.samples import DatasetSamples
from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.types import LabelFlag

SIZE, FOCAL_PX, VIEWS, DISTANCE = 112, 130.0, 14, 3.2
GL = np.diag([1.0, -1.0, -1.0, 1.0])


def gsstereo(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def world_from_cam(turn: float) -> np.ndarray:
    """On a ring around the origin, looking at it; y of the world is down."""
    forward = np.array([math.sin(turn), 0.25 * math.sin(3 * turn), math.cos(turn)])
    forward /= np.linalg.norm(forward)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(forward, right), forward, -DISTANCE * forward], axis=1)
    return pose


def ball(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A textured ball of radius 1 as RGB, and where it is."""
    xy = (pixel_centres(SIZE, SIZE) - SIZE / 2) / FOCAL_PX
    rays = np.concatenate([xy, np.ones((SIZE, SIZE, 1))], axis=-1) @ pose[:3, :3].T
    a, b = (rays**2).sum(-1), rays @ pose[:3, 3]
    root = b**2 - a * (pose[:3, 3] @ pose[:3, 3] - 1)
    hit = root > 0
    point = pose[:3, 3] + rays * ((-b - np.sqrt(np.maximum(root, 0))) / a)[..., None]
    texture = noise((160, 480), 5, 2.0).astype(np.float32)
    texture = np.clip((texture - 128) * 4 + 128, 0, 255)
    column = ((np.arctan2(point[..., 0], point[..., 2]) / (2 * np.pi) + 0.5) * 479).astype(int)
    row = ((np.clip(point[..., 1], -1, 1) + 1) * 79.5).astype(int)
    return np.where(hit[..., None], texture[row, column], 0).astype(np.uint8), hit


@pytest.mark.slow
@pytest.mark.parametrize("views", ["train", "interpolate"])
def test_only_the_object_is_labelled(tmp_path: Path, views: str) -> None:
    scene, frames = tmp_path / "object", []
    scene.mkdir()
    for number in range(VIEWS):
        pose = world_from_cam(2 * math.pi * number / VIEWS)
        rgb, hit = ball(pose)
        Image.fromarray(np.dstack([rgb, np.where(hit, 255, 0).astype(np.uint8)])).save(scene / f"{number:02d}.png")
        frames.append({"file_path": f"{number:02d}.png", "transform_matrix": (pose @ GL).tolist()})
    (scene / "transforms.json").write_text(json.dumps({"fl_x": FOCAL_PX, "frames": frames}))
    assert f"{VIEWS} photos are transparent in part" in gsstereo("import", scene, "--transforms", "transforms.json")
    gsstereo("fit", scene, "--iterations", 300, "--set", "test_every=0")
    gsstereo("render-pairs", scene, "--views", views)
    gsstereo("label", scene, "--workers", 1)
    assert "Verdict: FAIL" not in gsstereo("report", scene, "--workers", 1)
    samples = DatasetSamples(scene / "gsstereo/dataset/fused")
    assert len(samples.texts("sample_id")) > VIEWS // 2
    for number in range(len(samples.texts("sample_id"))):
        sample = samples.read(number)
        pose = np.linalg.inv(sample.cam_from_world)
        hit = ball(pose)[1]
        labelled, flagged = np.isfinite(sample.disparity), (sample.flags & LabelFlag.CUT_OUT) > 0
        assert labelled[~hit].mean() < 0.05
        assert labelled[hit].mean() > 0.6
        assert flagged[~hit].mean() > 0.8
