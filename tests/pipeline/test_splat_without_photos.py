"""A splat from elsewhere and no photos: pairs at cameras from a file or beside the .ply, labels, report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from builders import camera_at, true_gaussians
from typer.testing import CliRunner

from gs_stereo.cli.main import app
from gs_stereo.core.records import write_record
from gs_stereo.datasets.samples import DatasetSamples
from gs_stereo.datasets.torch_reader import StereoDataset
from gs_stereo.geometry.disparity import depth_from_disparity
from gs_stereo.io.pair_index import read_pair_index
from gs_stereo.io.ply import save_splat
from gs_stereo.io.views import CameraRecord, ViewsFile

CAMERAS = [camera_at(f"v{x}", x / 10, size=(96, 64), focal_px=80.0) for x in range(3)]


def gsstereo(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """As the 3DGS reference code leaves it, without its cameras.json."""
    folder = tmp_path / "scene"
    (folder / "point_cloud/iteration_7000").mkdir(parents=True)
    save_splat(folder / "point_cloud/iteration_7000/point_cloud.ply", true_gaussians())
    return folder


def import_splat(scene: Path) -> str:
    return gsstereo("import", scene, "--splat", scene / "point_cloud/iteration_7000/point_cloud.ply")


def test_from_a_file_of_views_to_a_report(scene: Path, tmp_path: Path) -> None:
    import_splat(scene)
    told = gsstereo("render-pairs", scene, "--baseline", 0.1, code=3)
    assert "needs none: go on with `gsstereo render-pairs" in gsstereo("run", scene, code=3)
    assert "no photos or cameras to take views from; give `--views FILE`" in told
    write_record(tmp_path / "views.json", ViewsFile(views=tuple(map(CameraRecord.of, CAMERAS))))
    pairs = ("render-pairs", scene, "--views", tmp_path / "views.json", "--baseline", 0.1, "--workers", 1)
    gsstereo(*pairs)
    assert "up to date" in gsstereo(*pairs)
    for expert in ("splat", "fused"):
        gsstereo("label", scene, "--expert", expert, "--workers", 1)
        data = StereoDataset(scene / "gsstereo/dataset" / expert)
        assert len(data) == len(CAMERAS)
        assert float(data[0]["valid"].float().mean()) > 0.3
    assert "Verdict" in gsstereo("report", scene, "--workers", 1)


def test_stacks_with_depth_are_labelled_shown_trained_on_and_judged(scene: Path, tmp_path: Path) -> None:
    import_splat(scene)
    write_record(tmp_path / "views.json", ViewsFile(views=tuple(map(CameraRecord.of, CAMERAS))))
    named = ("--name", "stacks", "--workers", 1)
    gsstereo("render-pairs", scene, "--views", tmp_path / "views.json", "--stack-views", 5, *named)
    gsstereo("label", scene, "--pairs", "stacks", "--expert", "splat", *named)
    folder = scene / "gsstereo/dataset/stacks"
    samples = DatasetSamples(folder)
    stack = samples.read(0)
    assert stack.views is not None
    assert stack.offsets is not None
    assert stack.view_depth is not None
    assert (stack.views.shape, stack.view_depth.shape) == ((5, 64, 96, 3), (5, 64, 96))
    np.testing.assert_array_equal(stack.views[2], stack.left)
    np.testing.assert_array_equal(stack.views[4], stack.right)
    assert stack.offsets[4] == stack.baseline
    label = depth_from_disparity(stack.disparity.astype(np.float64), stack.rig.focal_times_baseline)
    known = np.isfinite(label) & np.isfinite(stack.view_depth[2])
    assert known.mean() > 0.3
    np.testing.assert_allclose(label[known], stack.view_depth[2][known], rtol=1e-4)
    gsstereo("report", scene, "--workers", 1)
    assert 'class="pane of-stack"' in (scene / "gsstereo/report/index.html").read_text()
    table = gsstereo("evaluate-synthesis", "warp", "--root", folder, "--limit", 1, "--set", "targets=1")
    assert "warp, oracle depth" in table
    tiny = ("--set", 'model={"widths": [16, 24], "attention": [false, true]}', "--set", "device=cpu", "--steps", 1)
    size = ("--batch-size", 1, "--set", "width=64", "--set", "height=64")
    assert "done" in gsstereo("train-synthesis", tmp_path / "runs", "--data", folder, *tiny, *size)


def test_cameras_of_the_splats_own_photos_are_found_and_guard_the_views(scene: Path) -> None:
    entries = [
        {
            "id": number,
            "img_name": camera.name,
            "width": camera.width,
            "height": camera.height,
            "position": camera.centre_in_world.tolist(),
            "rotation": camera.world_from_cam[:3, :3].tolist(),
            "fx": 80.0,
            "fy": 80.0,
        }
        for number, camera in enumerate(CAMERAS)
    ]
    (scene / "cameras.json").write_text(json.dumps(entries))
    import_splat(scene)
    gsstereo("render-pairs", scene, "--baseline", 0.1, "--workers", 1)
    made = read_pair_index(scene / "gsstereo/pairs/default")
    assert [pair.view_id for pair in made] == [camera.name for camera in CAMERAS]
    assert np.isfinite(made[0].measures["left"]["photo_distance"])
    gsstereo("render-pairs", scene, "--views", "interpolate", "--baseline", 0.1, "--name", "between", "--workers", 1)


def test_a_cameras_file_of_another_program_is_no_reason_to_refuse_the_splat(
    scene: Path,
) -> None:
    (scene / "cameras.json").write_text('{"cameras": 1}')
    assert "is not used" in import_splat(scene)
