"""Planning pairs: order, ids, sizes, seeds."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from plane_rasterizer import plane_scene, view_at

from gs_stereo.config import parse_config
from gs_stereo.core.records import write_record
from gs_stereo.errors import InputError
from gs_stereo.io.views import CameraRecord, ViewsFile
from gs_stereo.splat.pair_planner import TargetDisparity, plan_pairs, safe_names
from gs_stereo.splat.pairs_config import PairsConfig

NAMES = ["DSC_0001.jpg", "DSC_0002.jpg", "é1.jpg", "ö1.jpg", "cam1/x.png", "cam2/x.png", "y.jpg", "y.png", "Y.JPG"]


def _same(first, second) -> bool:
    return all(
        (a.sample_id, a.view_id, a.baseline, a.left.name) == (b.sample_id, b.view_id, b.baseline, b.left.name)
        and np.array_equal(a.left.cam_from_world, b.left.cam_from_world)
        for a, b in zip(first, second, strict=True)
    )


def test_ids_are_unique_safe_and_in_order():
    plans = plan_pairs(plane_scene(NAMES), PairsConfig(baselines=(0.1, 1e-07, 0.3)), 0)
    ids = [plan.sample_id for plan in plans]
    assert [plan.view_id for plan in plans] == [name for name in NAMES for _ in range(3)]
    assert ids[:3] == ["DSC_0001_b0.1", "DSC_0001_b1e-07", "DSC_0001_b0.3"]
    assert len({sample_id.lower() for sample_id in ids}) == len(ids)
    for sample_id in ids:
        assert sample_id.isascii()
        assert set(sample_id) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
        assert not sample_id.startswith((".", "-"))
        assert len(sample_id) < 128


def test_a_dot_or_separators_never_leave_the_folder():
    names = ["../../etc/passwd", "..", "/abs.jpg", "a\x00b", "c" * 300, "c" * 301, "-rf"]
    made = safe_names(names)
    assert len(set(made)) == len(names)
    assert all("/" not in name and "\x00" not in name and not name.startswith(("-", ".")) for name in made)


def test_target_disparity_is_in_the_id_and_defaults_to_a_share_of_the_width():
    default = plan_pairs(plane_scene(["a.jpg"]), PairsConfig(), 0)[0]
    assert default.baseline == TargetDisparity(pytest.approx(0.06 * 64))
    assert default.sample_id == "a_d3.84"


def test_each_view_comes_once_for_each_target_disparity():
    config = parse_config(PairsConfig, {"target_disparity_px": [4, 8.5]}, where="test")
    plans = plan_pairs(plane_scene(["a.jpg", "b.jpg"]), config, 0)
    assert [plan.sample_id for plan in plans] == ["a_d4", "a_d8.5", "b_d4", "b_d8.5"]
    assert [plan.baseline for plan in plans] == [TargetDisparity(4), TargetDisparity(8.5)] * 2
    assert parse_config(PairsConfig, {"target_disparity_px": 4}, where="test").target_disparity_px == (4.0,)


def test_all_views_have_the_most_common_size():
    scene = plane_scene(["a.jpg", "b.jpg", "c.jpg"])
    odd = replace(scene.cameras[1].resized(48, 64), name="b.jpg")
    scene = replace(scene, cameras=(scene.cameras[0], odd, scene.cameras[2]))
    plans = plan_pairs(scene, PairsConfig(), 0)
    assert {(plan.left.width, plan.left.height) for plan in plans} == {(64, 48)}
    assert plan_pairs(scene, PairsConfig(width=32), 0)[0].left.height == 24
    assert plan_pairs(scene, PairsConfig(width=30, height=40), 0)[0].left.width == 30


@pytest.mark.parametrize("views", ["train", "interpolate", "perturb"])
def test_the_same_seed_gives_the_same_plans(views):
    scene = plane_scene([f"{number}.jpg" for number in range(6)])
    config = PairsConfig(views=views, view_count=None if views == "train" else 9)
    first, again = plan_pairs(scene, config, 7), plan_pairs(scene, config, 7)
    assert _same(first, again)
    assert len({plan.sample_id for plan in first}) == len(first) == (6 if views == "train" else 9)
    other = plan_pairs(scene, config, 8)
    assert _same(first, other) == (views != "perturb")


def test_a_perturbed_view_depends_on_its_own_number_only():
    scene = plane_scene([f"{number}.jpg" for number in range(6)])
    many = plan_pairs(scene, PairsConfig(views="perturb", view_count=12), 7)
    more = plan_pairs(scene, PairsConfig(views="perturb", view_count=18), 7)
    assert _same(many, more[:12])


def test_plans_survive_a_process_boundary():
    plans = plan_pairs(plane_scene(NAMES), PairsConfig(extra_offsets=(2.0,)), 0)
    assert _same(plans, pickle.loads(pickle.dumps(plans)))


def test_views_from_a_file_keep_their_poses(tmp_path):
    cameras = [view_at(0.1, name="left one"), view_at(0.7, 0.1, name="b")]
    write_record(tmp_path / "views.json", ViewsFile(views=tuple(map(CameraRecord.of, cameras))))
    config = PairsConfig(views="file", views_file=str(tmp_path / "views.json"), baselines=(0.1,))
    plans = plan_pairs(plane_scene([]), config, 0)
    assert [plan.view_id for plan in plans] == ["left one", "b"]
    for plan, camera in zip(plans, cameras, strict=True):
        assert plan.left.cam_from_world.tobytes() == camera.cam_from_world.tobytes()


@pytest.mark.parametrize(("views", "count"), [("train", 0), ("interpolate", 0), ("interpolate", 1), ("perturb", 1)])
def test_too_few_photos_are_an_input_error(views, count):
    with pytest.raises(InputError, match="photos"):
        plan_pairs(plane_scene(["a.jpg"][:count]), PairsConfig(views=views), 0)


RIG = "{width: 48, height: 32, fx: 50, cx: 20, cy: 15, baseline_m: 0.12, doffs: 2}"


def test_a_rig_says_size_intrinsics_and_baseline_in_scene_units(tmp_path, caplog):
    path = tmp_path / "rig.yaml"
    path.write_text(RIG)
    scene = replace(plane_scene(["a.jpg", "b.jpg"]), metres_per_unit=0.5)
    plans = plan_pairs(scene, PairsConfig(rig=str(path)), 0)
    assert [plan.baseline for plan in plans] == [0.24, 0.24]
    for plan, camera in zip(plans, scene.cameras, strict=True):
        assert (plan.left.width, plan.left.height, plan.left.name) == (48, 32, camera.name)
        assert plan.left.intrinsics.tolist() == [[50, 0, 20.5], [0, 50, 15.5], [0, 0, 1]]
        assert plan.left.cam_from_world is camera.cam_from_world
    assert "2.00 px more" in caplog.text
    [plan] = plan_pairs(plane_scene(["a.jpg"]), PairsConfig(rig=str(path), target_disparity_px=(5,)), 0)
    assert plan.baseline == TargetDisparity(5)


def test_a_rig_needs_a_scale_and_its_own_size(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text(RIG)
    with pytest.raises(InputError, match=r"0\.12 m, but the scene has no scale; .*--known-distance"):
        plan_pairs(plane_scene(["a.jpg"]), PairsConfig(rig=str(path)), 0)
    with pytest.raises(ValueError, match="a rig says the size"):
        PairsConfig(rig=str(path), width=64)
