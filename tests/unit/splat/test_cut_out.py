"""What photos cut out has no depth in the views near them."""

from __future__ import annotations

import numpy as np
import pytest
from plane_rasterizer import PlaneRasterizer, no_gaussians, plane_scene, view_at

from gs_stereo.splat.cut_out import cut_out_of
from gs_stereo.splat.guards import Capture
from gs_stereo.splat.pair_planner import PairPlan
from gs_stereo.splat.pairs import SplatRenderer, render_planned_pair
from gs_stereo.splat.pairs_config import PairsConfig
from gs_stereo.splat.raster.protocol import RenderSettings
from gs_stereo.types import SparseScene

RENDERER = SplatRenderer(rasterizer=PlaneRasterizer(), gaussians=no_gaussians(), settings=RenderSettings())


class CutOutPhotos:
    """Photos of the plane in which everything left of the world's x = 0 is transparent, all but those named."""

    def __init__(self, scene: SparseScene, whole: tuple[str, ...] = ()) -> None:
        self._scene, self._whole = scene, whole
        self._camera = {camera.name: camera for camera in scene.cameras}

    def __call__(self, name: str) -> np.ndarray:
        return RENDERER.render([self._camera[name]])[0].image

    def mask(self, name: str) -> np.ndarray | None:
        return None if name in self._whole else right_of_zero(self._camera[name])


class HiddenPhotos(CutOutPhotos):
    """The same, but something stands before the plane there."""

    def hidden(self, name: str) -> np.ndarray | None:
        mask = self.mask(name)
        return None if mask is None else ~mask


def right_of_zero(camera) -> np.ndarray:
    columns = np.arange(camera.width) + 0.5 - camera.intrinsics[0, 2]
    x = camera.centre_in_world[0] + 4.0 * columns / camera.focal_px
    return np.tile(x > 0, (camera.height, 1))


def cut_out(camera, photos, scene) -> np.ndarray | None:
    return cut_out_of(camera, RENDERER.render([camera])[0].depth, Capture(scene=scene, photos=photos))


def test_the_photo_taken_at_the_place_of_a_view_decides_alone() -> None:
    scene = plane_scene(["a", "b", "c", "d"])
    photos = CutOutPhotos(scene, whole=("a", "b", "d"))
    found = cut_out(scene.cameras[2], photos, scene)
    np.testing.assert_array_equal(found, ~right_of_zero(scene.cameras[2]))
    assert cut_out(scene.cameras[1], photos, scene) is None


def test_between_photos_the_surface_is_looked_up_in_those_nearby() -> None:
    scene = plane_scene(["a", "b", "c", "d"])
    view = view_at(0.37, 0.05)
    found = cut_out(view, CutOutPhotos(scene), scene)
    assert found is not None
    assert (found != ~right_of_zero(view)).mean() < 0.03, "but for a column of rounding"


def test_photos_without_masks_cut_nothing_out() -> None:
    scene = plane_scene(["a", "b"])
    assert cut_out(view_at(0.3), CutOutPhotos(scene, whole=("a", "b")), scene) is None
    assert cut_out_of(view_at(0.3), RENDERER.render([view_at(0.3)])[0].depth, Capture(scene=scene)) is None


def test_what_masks_hide_is_not_cut_out_and_its_view_is_not_refused() -> None:
    scene = plane_scene(["a", "b", "c"])
    capture = Capture(scene=scene, photos=HiddenPhotos(scene, whole=("a", "c")))
    assert cut_out(scene.cameras[1], capture.photos, scene) is None
    plan = PairPlan(sample_id="s", view_id="b", left=scene.cameras[1], baseline=0.2)
    outcome = render_planned_pair(plan, RENDERER, capture, PairsConfig(baselines=(0.2,)))
    assert outcome.pair is not None
    assert np.isfinite(outcome.pair.left_depth.median).all()
    assert outcome.measures.left.seen_share == 1.0, "a and c saw what is hidden in b"


def test_what_is_hidden_in_every_photo_was_seen_by_none() -> None:
    scene = plane_scene(["a", "b", "c"])
    plan = PairPlan(sample_id="s", view_id="b", left=scene.cameras[1], baseline=0.2)
    capture = Capture(scene=scene, photos=HiddenPhotos(scene))
    outcome = render_planned_pair(plan, RENDERER, capture, PairsConfig(baselines=(0.2,)))
    assert outcome.refusal == "unseen_surface"
    assert outcome.measures.left.covered_share == 1.0
    assert outcome.measures.left.sharpness == pytest.approx(1.0)


@pytest.mark.parametrize("whole", [(), ("a", "b", "c")])
def test_a_pair_has_no_depth_where_it_is_cut_out_and_is_not_refused_for_it(whole: tuple[str, ...]) -> None:
    scene = plane_scene(["a", "b", "c"])
    plan = PairPlan(sample_id="s", view_id="b", left=scene.cameras[1], baseline=0.2)
    capture = Capture(scene=scene, photos=CutOutPhotos(scene, whole))
    pair = render_planned_pair(plan, RENDERER, capture, PairsConfig(baselines=(0.2,))).pair
    assert pair is not None
    if whole:
        assert pair.left_cut_out is None
        assert np.isfinite(pair.left_depth.median).all()
    else:
        assert pair.left_cut_out is not None
        np.testing.assert_array_equal(np.isfinite(pair.left_depth.median), ~pair.left_cut_out)
        assert (pair.left_depth.alpha[pair.left_cut_out] == 0).all()
        assert 0.2 < np.isfinite(pair.right_depth.median).mean() < 0.8
