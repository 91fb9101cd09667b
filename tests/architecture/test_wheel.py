"""A wheel carries all that is compiled: it installs and renders where there is no compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "build", "demo", "__pycache__", "*.so", "*.egg-info")
RENDER = """
import sys
from pathlib import Path

import numpy as np
import torch

import gs_stereo
from gs_stereo.mvs.kernels import LIBRARY as matcher
from gs_stereo.splat.engine import ENGINE
from gs_stereo.splat.raster.cpu import CpuRasterizer
from gs_stereo.splat.raster.protocol import RenderSettings
from gs_stereo.types import Camera
from gs_stereo.types.gaussians import Gaussians
from gs_stereo.worlds.light.lamp import LIBRARY as shading

assert Path(gs_stereo.__file__).parents[1] == Path(sys.argv[1]), gs_stereo.__file__
matcher.open(), shading.open()
gaussians = Gaussians(
    means=torch.tensor([[0.0, 0, 2]]), quats_wxyz=torch.tensor([[1.0, 0, 0, 0]]), log_scales=torch.full((1, 3), -1.0),
    opacity_logits=torch.tensor([5.0]), sh=torch.ones(1, 1, 3),
)
intrinsics = np.array([[16.0, 0, 8], [0, 16, 6], [0, 0, 1]])
camera = Camera(name="tiny", width=16, height=12, intrinsics=intrinsics, cam_from_world=np.eye(4))
levels = ENGINE.available_levels()
for level in levels:
    image = CpuRasterizer(level=level).render(gaussians, [camera], RenderSettings()).rgb[0]
    assert image[:, 6, 8].min() > 0.5 > image[:, 0, 0].max(), image
print(len(levels), "levels")
"""


@pytest.mark.slow
def test_a_wheel_renders_without_a_compiler(tmp_path: Path) -> None:
    tree, site, empty = tmp_path / "tree", tmp_path / "site", tmp_path / "empty"
    shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
    empty.mkdir()
    tools = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    bare = {**os.environ, "PATH": str(empty), "PYTHONPATH": str(site)}

    def run(environment: dict[str, str], *arguments: str | Path) -> str:
        command = [sys.executable, *map(str, arguments)]
        result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=900)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    run(tools, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, tree)
    (wheel,) = tmp_path.glob("*.whl")
    assert "-py3-none-" in wheel.name
    assert not list((tree / "gs_stereo").rglob("*.so")), "a wheel leaves the source tree alone"
    run(bare, "-m", "pip", "install", "--no-deps", "--no-index", "--target", site, wheel)
    assert run(bare, "-c", RENDER, site).split()[0] != "0"
    assert (site / "share/gs_stereo/configs/fit/fast.yaml").exists()
