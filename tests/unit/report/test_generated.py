"""Pairs with a generated eye on the page: which eye, from where the truth is rendered, and its tab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import camera_at, plain_sample

from gs_stereo.report.facts import ShownSample
from gs_stereo.report.generated import GeneratedEyes, TrueEyes
from gs_stereo.report.pictures import stack_sheet
from gs_stereo.report.samples_section import viewer
from gs_stereo.splat.pairs import RenderedView
from gs_stereo.types import Camera, DepthMaps

SHAPE = (6, 8)
SHOWN = ShownSample(
    sample_id="a",
    rank="best 1",
    **dict.fromkeys(("left", "right", "anaglyph", "disparity", "confidence"), "data:x"),
    disparity_range_px=(1.0, 2.0),
    depth_range=(2.0, 1.0),
    size=(8, 6),
    notes=(),
)


class Renderer:
    """Everything is 4 units away where it is opaque, which is the left half."""

    def __init__(self) -> None:
        self.asked: list[Camera] = []

    def render(self, cameras: Sequence[Camera]) -> list[RenderedView]:
        self.asked += cameras
        depth, alpha = np.full(SHAPE, 4.0, np.float32), np.ones(SHAPE, np.float32)
        depth[:, 4:], alpha[:, 4:] = 100.0, 0.1
        maps = DepthMaps(expected=depth, median=depth, variance=depth, alpha=alpha)
        return [RenderedView(image=np.full((*SHAPE, 3), 7, np.uint8), depth=maps)]


def eyes(unit: str, baselines: tuple[float, ...]) -> GeneratedEyes:
    return GeneratedEyes(maker={"name": "maker", "settings": {"baseline_unit": unit}}, baselines=baselines)


def true_eyes(unit: str, *, baselines: tuple[float, ...] = (0.1, -0.1), metres: float | None = None) -> Any:
    cameras = {"photo.png": camera_at("photo.png")}
    renderer: Any = Renderer()
    return TrueEyes(eyes=eyes(unit, baselines), renderer=renderer, cameras=cameras, metres_per_unit=metres)


def sample(name: str, view: str = "photo.png") -> Any:
    return plain_sample(np.ones(SHAPE, np.float32), sample_id=name, view_id=view, baseline=0.1)


@pytest.mark.parametrize(
    ("unit", "metres", "name", "moved"),
    [
        ("median_depth", None, "0000-0_photo", 0.4),
        ("median_depth", None, "0000-1_photo", -0.4),
        ("metres", 0.5, "0000-0_photo", 0.2),
    ],
)
def test_the_truth_is_rendered_from_the_generated_eye(unit: str, metres: float | None, name: str, moved: float) -> None:
    truth = true_eyes(unit, metres=metres)
    picture = truth(sample(name))
    assert picture.shape == (*SHAPE, 3)
    camera, photo = truth.renderer.asked[-1], truth.cameras["photo.png"]
    assert (camera.width, camera.height) == (8, 6)
    np.testing.assert_array_equal(camera.intrinsics, sample(name).intrinsics)
    assert photo.cam_from_world[0, 3] - camera.cam_from_world[0, 3] == pytest.approx(moved)


def test_a_pair_in_the_frame_of_its_capture_says_itself_where_its_eyes_are() -> None:
    truth = true_eyes("median_depth")
    truth.eyes.maker["settings"]["cameras"] = "of the capture"
    for name, eye in (("0000-0_photo", "right"), ("0000-1_photo", "left")):
        pair = sample(name)
        truth(pair)
        pose = getattr(pair.rig, eye).cam_from_world
        np.testing.assert_array_equal(truth.renderer.asked[-1].cam_from_world, pose)
    assert len(truth.renderer.asked) == 2


def test_nothing_is_rendered_where_the_place_is_unknown() -> None:
    assert true_eyes("metres")(sample("0000-0_photo")) is None
    assert true_eyes("median_depth")(sample("0000-0_other", "other.png")) is None


def test_the_truth_has_a_tab_of_its_own() -> None:
    assert "rendered truth" not in viewer(SHOWN, 0, "m")
    page = viewer(replace(SHOWN, made="data:made", truth="data:truth"), 0, "m")
    assert page.count('class="pane of-') == 5
    assert 'id="viewer0-truth" class="truth"' in page
    assert page.index("data:made") < page.index("data:truth")


def test_a_stack_has_a_tab_with_all_its_views_above_their_depth() -> None:
    views = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((3, 4, 5, 3), np.uint8)
    depth = np.full((3, 4, 5), 2.0, np.float32)
    depth[:, :, 0], depth[1, 0, 0] = 1.0, np.nan
    sheet = stack_sheet(views, depth)
    assert sheet.shape == (8, 15, 3)
    np.testing.assert_array_equal(sheet[:4], np.concatenate(list(views), axis=1))
    assert (sheet[5, 0] == sheet[5, 5]).all()
    assert (sheet[5, 0] != sheet[5, 1]).any()
    assert "data:stack" not in viewer(SHOWN, 0, "m")
    page = viewer(replace(SHOWN, stack="data:stack"), 0, "m")
    assert 'id="viewer0-stack" class="stack"' in page
    assert 'class="pane of-stack"><img src="data:stack"' in page
