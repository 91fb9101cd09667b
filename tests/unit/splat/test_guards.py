"""Guards: each measure on a constructed case, each reason, and that good views pass."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from plane_rasterizer import PlaneRasterizer, no_gaussians, plane_scene, turned, view_at

from gs_stereo.config import parse_config
from gs_stereo.core.records import json_text
from gs_stereo.splat.guards import REFUSAL_REASONS, Capture, EyeMeasures, ViewMeasures, measure_eye, refusal
from gs_stereo.splat.pairs import SplatRenderer
from gs_stereo.splat.pairs_config import GuardsConfig
from gs_stereo.splat.raster.protocol import RenderSettings

CONFIG = GuardsConfig()
GOOD = EyeMeasures(
    covered_share=1.0,
    median_depth=4.0,
    ambiguous_share=0.0,
    near_share=0.0,
    seen_share=1.0,
    photo_distance=0.0,
    photo_angle_deg=0.0,
    sharpness=1.0,
)
BAD = {
    "low_alpha": {"covered_share": 0.5},
    "turned_away": {"photo_angle_deg": 90.0},
    "unseen_surface": {"seen_share": 0.1},
    "near_plane": {"near_share": 0.5},
    "ambiguous_depth": {"ambiguous_share": 0.9},
    "blurred": {"sharpness": 0.05},
}


def _rendered(rasterizer, camera):
    source = SplatRenderer(rasterizer=rasterizer, gaussians=no_gaussians(), settings=RenderSettings())
    return source.render([camera])[0]


def _measured(camera, *, rasterizer=None, scene=None, photos=None) -> EyeMeasures:
    view = _rendered(rasterizer or PlaneRasterizer(), camera)
    scene = scene or plane_scene(["a", "b", "c", "d", "e"])
    return measure_eye(camera, view.image, view.depth, Capture(scene=scene, photos=photos), CONFIG)


def _reason(eye: EyeMeasures) -> str | None:
    return refusal(ViewMeasures(left=eye), CONFIG)


def _photos(scene, rasterizer=None):
    images = {camera.name: _rendered(rasterizer or PlaneRasterizer(), camera).image for camera in scene.cameras}
    return images.__getitem__


def test_a_photo_pose_passes_with_perfect_measures():
    scene = plane_scene(["a", "b", "c"])
    eye = _measured(scene.cameras[1], scene=scene, photos=_photos(scene))
    assert eye.covered_share == 1.0
    assert eye.seen_share == 1.0
    assert eye.near_share == 0.0
    assert eye.ambiguous_share == 0.0
    assert eye.photo_distance == 0.0
    assert eye.photo_angle_deg == pytest.approx(0.0, abs=1e-5)
    assert eye.sharpness == 1.0
    assert eye.median_depth == pytest.approx(4.0)
    assert _reason(eye) is None


def test_a_view_between_photos_passes():
    assert _reason(_measured(view_at(0.75, 0.1, 0.2))) is None


@pytest.mark.parametrize("reason", BAD)
def test_every_bad_measure_is_refused_by_its_name_in_both_eyes(reason):
    bad = replace(GOOD, **BAD[reason])
    assert refusal(ViewMeasures(left=bad), CONFIG) == reason
    assert refusal(ViewMeasures(left=GOOD, right=bad), CONFIG) == reason
    assert reason in REFUSAL_REASONS


def test_a_distant_eye_is_named_by_its_side():
    far = replace(GOOD, photo_distance=2.0)
    assert refusal(ViewMeasures(left=far), CONFIG) == "far_from_photos"
    assert refusal(ViewMeasures(left=GOOD, right=far), CONFIG) == "baseline_too_wide"


def test_unknown_measures_refuse_nothing_and_disabled_guards_refuse_nothing():
    unknown = EyeMeasures(**dict.fromkeys(EyeMeasures.__dataclass_fields__, float("nan")))
    assert refusal(ViewMeasures(left=unknown, right=unknown), CONFIG) is None
    off = parse_config(GuardsConfig, {"enabled": False}, where="test")
    assert refusal(ViewMeasures(left=replace(GOOD, **BAD["low_alpha"])), off) is None


def test_measures_are_json_with_null_for_unknown():
    values = json.loads(json_text(ViewMeasures(left=replace(GOOD, sharpness=float("nan")))))
    assert values["right"] is None
    assert values["left"]["sharpness"] is None
    assert values["left"]["seen_share"] == 1.0


def test_alpha_coverage_is_the_covered_share_of_the_image():
    eye = _measured(view_at(), rasterizer=PlaneRasterizer(half_width=1.0))
    assert eye.covered_share == pytest.approx(2.0 * 60 / 4 / 64, abs=0.02)
    assert _reason(eye) == "low_alpha"


def test_ambiguity_counts_pixels_whose_mean_and_median_depth_disagree():
    assert _measured(view_at(), rasterizer=PlaneRasterizer(mean_shift=0.28)).ambiguous_share == 0.0
    eye = _measured(view_at(), rasterizer=PlaneRasterizer(mean_shift=0.32))
    assert eye.ambiguous_share == 1.0
    assert _reason(eye) == "ambiguous_depth"


def test_distance_is_measured_in_median_depths():
    eye = _measured(view_at(-1.0))
    assert eye.photo_distance == pytest.approx(1.0 / 4.0)
    assert _reason(_measured(view_at(-3.0))) == "far_from_photos"
    assert _reason(_measured(view_at(0.0, -9.0))) == "far_from_photos"


def test_turning_to_what_no_photo_saw_is_refused():
    scene = plane_scene(["a"])
    eye = _measured(turned(scene.cameras[0], 20.0), scene=scene)
    assert eye.photo_angle_deg == pytest.approx(20.0)
    # A horizontal view of 56 degrees turned by 20 leaves less than two thirds of the image on known surface.
    assert 0.4 < eye.seen_share < 0.75
    assert _reason(eye) == "unseen_surface"
    assert _reason(_measured(turned(scene.cameras[0], 50.0), scene=scene)) == "turned_away"


def test_looking_from_behind_is_not_seen():
    scene = plane_scene(["a", "b"])
    behind = turned(view_at(0.25, 0.0, 8.0), 180.0)
    eye = _measured(behind, scene=scene)
    assert eye.covered_share == 1.0
    assert eye.seen_share == 0.0


def test_coming_much_closer_than_any_photo_is_not_seen():
    close = view_at(0.0, 0.0, 3.0)
    assert _measured(close).seen_share == 0.0
    # Fewer pixels show the surface no larger than the photo did.
    small = close.resized(16, 12)
    assert _measured(small).seen_share > 0.95


def test_a_floater_before_the_lens_is_intrusive():
    # The plane is rendered at a quarter of the depth at which the sparse points lie.
    eye = _measured(view_at(), rasterizer=PlaneRasterizer(plane_z=1.0))
    assert eye.near_share == 1.0
    # Without sparse points nobody knows what is near.
    assert np.isnan(_measured(view_at(), scene=plane_scene(["a"], point_count=0)).near_share)


def test_blur_is_measured_against_the_nearest_photo():
    scene = plane_scene(["a", "b"])
    faint = PlaneRasterizer(detail=0.1)
    eye = _measured(scene.cameras[1], rasterizer=faint, scene=scene, photos=_photos(scene))
    assert eye.sharpness < 0.2
    assert _reason(eye) == "blurred"
    blank = np.full((48, 64, 3), 128, dtype=np.uint8)
    assert np.isnan(_measured(scene.cameras[1], scene=scene, photos=lambda name: blank).sharpness)


def test_the_photo_is_brought_to_the_size_of_the_render():
    scene = plane_scene(["a", "b"])
    big = replace(scene, cameras=tuple(camera.resized(256, 192) for camera in scene.cameras))
    cropped = view_at(0.5, name="b", size=(64, 48))
    eye = _measured(cropped, scene=big, photos=_photos(big))
    assert eye.sharpness == pytest.approx(1.0, abs=0.1)


def test_without_photos_and_points_only_the_image_is_judged():
    eye = _measured(view_at(), scene=plane_scene([], point_count=0))
    assert np.isnan([eye.seen_share, eye.photo_distance, eye.photo_angle_deg, eye.near_share, eye.sharpness]).all()
    assert _reason(eye) is None


def test_a_view_of_nothing_is_refused_without_warnings():
    eye = _measured(view_at(), rasterizer=PlaneRasterizer(half_width=-1.0))
    assert eye.covered_share == 0.0
    assert np.isnan(eye.median_depth)
    assert _reason(eye) == "low_alpha"
