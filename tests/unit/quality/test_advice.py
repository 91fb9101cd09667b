"""Where the next photos should be taken: before a wall of which one end has too few witnesses."""

from __future__ import annotations

import html
from dataclasses import replace
from types import SimpleNamespace

import builders
import numpy as np
import pytest

from gs_stereo.core.records import json_values
from gs_stereo.errors import InputError
from gs_stereo.geometry.projection import inside, project
from gs_stereo.io.reconstruction import ReconstructionSummary
from gs_stereo.quality.advice import LabelOfView, advise, advised_camera
from gs_stereo.report.capture_section import advice_section
from gs_stereo.report.facts import CaptureFacts
from gs_stereo.types import SparsePoints, SparseScene

DEPTH = 4.0


def wall_before(places: list[float]) -> SparseScene:
    """Cameras at x that look straight at the wall z = 4; its points are a grid."""
    cameras = []
    for number, x in enumerate(places):
        camera = builders.camera_at(f"{number}.jpg", size=(120, 90), focal_px=100.0)
        pose = np.eye(4)
        pose[0, 3] = -x
        cameras.append(replace(camera, cam_from_world=pose))
    grid = np.stack(np.meshgrid(np.linspace(-4, 8, 60), np.linspace(-2, 2, 20)), axis=-1).reshape(-1, 2)
    xyz = np.column_stack([grid, np.full(len(grid), DEPTH)])
    visible = tuple(np.flatnonzero(inside(camera, project(camera, xyz)[0])) for camera in cameras)
    points = builders.make_points(xyz, rgb=9, error_px=0.2, track_length=3)
    return SparseScene(cameras=tuple(cameras), points=points, visible_points=visible, metres_per_unit=1.0)


ONE_FAR_OUT = wall_before([-0.4, -0.2, 0.0, 0.2, 0.4, 4.2])


def test_the_next_photos_go_to_what_one_photo_alone_sees() -> None:
    advice = advise(ONE_FAR_OUT, count=2)
    photo = advice.photos[0]
    assert photo.beside == "5.jpg"
    camera = advised_camera(photo, ONE_FAR_OUT)
    assert camera.centre_in_world[0] == pytest.approx(4.2, abs=0.8)
    assert np.linalg.norm(camera.centre_in_world - [4.2, 0, 0]) > 0.1, "from elsewhere, for parallax"
    image_xy, _ = project(camera, np.array([[4.2, 0.0, DEPTH]]))
    assert inside(camera, image_xy).all()
    assert "Beside 5.jpg" in photo.sentence
    places = [advised_camera(photo, ONE_FAR_OUT).centre_in_world for photo in advice.photos]
    assert np.linalg.norm(places[0] - places[1]) > 0.1
    assert advice.confirmed_share < advice.confirmed_share_then < 1
    assert len(json_values(advice)["photos"]) == 2
    assert advice.to_text().count("\n") == 2


def test_directions_are_those_of_the_photographer() -> None:
    for photo in advise(ONE_FAR_OUT, count=4).photos:
        camera = advised_camera(photo, ONE_FAR_OUT)
        beside = ONE_FAR_OUT.cameras[int(photo.beside[0])]
        offset = camera.centre_in_world - beside.centre_in_world
        np.testing.assert_allclose([photo.right, -photo.up, photo.forward], offset, atol=1e-9)
        ahead = camera.cam_from_world[2, :3]
        assert photo.turn_right_deg == pytest.approx(np.degrees(np.arctan2(ahead[0], ahead[2])))
        assert ("to the left" in photo.sentence) or photo.right > -0.01 * DEPTH or "turned" in photo.sentence


def test_what_has_a_label_counts_less_and_what_needs_none_nothing() -> None:
    """With everything labelled that only photo 5 sees, the gap is elsewhere."""
    depth, wanted = np.full((90, 120), DEPTH), np.ones((90, 120), bool)
    labelled = LabelOfView(depth=depth, wanted=wanted)
    needless = LabelOfView(depth=np.full((90, 120), np.nan), wanted=~wanted)
    bare = LabelOfView(depth=np.full((90, 120), np.nan), wanted=wanted)
    for done in (labelled, needless):
        labels = {"5.jpg": done} | {f"{number}.jpg": bare for number in range(5)}
        assert all(photo.beside != "5.jpg" for photo in advise(ONE_FAR_OUT, labels, count=1).photos)


def test_the_page_shows_the_places_and_says_them() -> None:
    summary = ReconstructionSummary(source="photos", metres_per_unit=1.0, scale_source="given")
    advice = advise(ONE_FAR_OUT, count=2)
    facts = SimpleNamespace(capture=CaptureFacts(summary=summary, scene=ONE_FAR_OUT), advice=advice)
    page = str(advice_section(facts))  # type: ignore[arg-type]
    assert page.count('class="camera used"') == 2
    assert all(html.escape(photo.sentence) in page for photo in advice.photos)
    assert advice_section(SimpleNamespace(capture=facts.capture, advice=None)) is None  # type: ignore[arg-type]


def test_a_scene_without_points_cannot_be_advised() -> None:
    with pytest.raises(InputError, match="at least two photos with points"):
        advise(replace(ONE_FAR_OUT, points=SparsePoints.none(), visible_points=()))
