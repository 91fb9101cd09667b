"""Fits on real and exact captures, short enough for every test run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gs_stereo.imaging.images import read_photo, resize_to
from gs_stereo.io.colmap import read_model, sparse_scene_from_model
from gs_stereo.io.ply import load_splat, save_splat
from gs_stereo.splat import FitConfig, evaluate_views, fit_gaussians, make_rasterizer
from gs_stereo.types import SparseScene

_WIDTH, _HEIGHT = 160, 120


@pytest.fixture(scope="module")
def room(shared_data: Path) -> tuple[Path, SparseScene, dict[str, np.ndarray]]:
    root = shared_data / "exact_gt" / "room_a"
    if not root.is_dir():
        pytest.skip(f"the exact scene {root} is not there")
    scene = sparse_scene_from_model(read_model(root / "sparse" / "0"))
    photos = {c.name: resize_to(read_photo(root / "images" / c.name), _WIDTH, _HEIGHT) for c in scene.cameras}
    return root, replace(scene, cameras=tuple(c.resized(_WIDTH, _HEIGHT) for c in scene.cameras)), photos


@pytest.mark.slow
def test_a_short_fit_of_the_exact_room_sees_and_measures_it(
    room: tuple[Path, SparseScene, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    root, scene, photos = room
    config = FitConfig.model_validate({"iterations": 250, "max_gaussians": 20_000, "init": {"pixels": 8000}})
    result = fit_gaussians(scene, photos.__getitem__, config)
    assert result.held_out.psnr_db > 26
    assert result.photos.psnr_db > 27

    rasterizer = make_rasterizer("auto")
    camera = next(c for c in scene.cameras if c.name == result.held_out_names[0])
    with torch.no_grad():
        output = rasterizer.render(result.gaussians, [camera], result.settings)
    truth = np.load(root / "gt" / "train" / f"{Path(camera.name).stem}.npz")["z"][2::4, 2::4]
    relative = np.abs(output.median_depth[0].numpy() / truth - 1)
    assert np.isfinite(relative).mean() > 0.97
    assert np.nanmedian(relative) < 0.02

    save_splat(tmp_path / "room.ply", result.gaussians)
    splat = load_splat(tmp_path / "room.ply")
    again = evaluate_views(rasterizer, splat, [camera], photos.__getitem__, result.settings)
    assert again.psnr_db == pytest.approx(result.held_out.views[0].psnr_db)
