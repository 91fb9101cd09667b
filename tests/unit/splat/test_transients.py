"""Things that stand before the scene in one photo are found and left out; poor splats and gloss are no such things."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import camera_at, noise, textured_wall

from gs_stereo.splat import fit_gaussians
from gs_stereo.splat.appearance import Appearance
from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.fitted_photos import FittedPhotos
from gs_stereo.splat.photos import TrainingView
from gs_stereo.splat.trainer import Trainer
from gs_stereo.splat.training_state import TrainingState
from gs_stereo.splat.transients import ComparedView, find_transients
from gs_stereo.types.photo_source import hidden_of, mask_of

BOX = (slice(20, 50), slice(30, 60))
ALL = np.ones((64, 96), bool)


def views(count: int = 6) -> list[ComparedView]:
    """Photos of the wall, which a perfect splat shows."""
    scene, photos = textured_wall(count)
    depth = np.full((64, 96), 2.0)
    return [
        ComparedView(camera=camera, photo=photos(camera.name), render=photos(camera.name), depth=depth, sure=ALL)
        for camera in scene.cameras
    ]


def with_box(view: ComparedView, colour: tuple[int, int, int] = (250, 20, 230)) -> ComparedView:
    """No other photo confirms what is shown there."""
    photo, sure = view.photo.copy(), ALL.copy()
    photo[BOX], sure[BOX] = colour, False
    return replace(view, photo=photo, sure=sure)


def test_a_box_in_one_photo_is_found_there_with_a_margin() -> None:
    seen = views()
    seen[2] = with_box(seen[2])
    found = find_transients(seen)
    assert [mask is None for mask in found] == [True, True, False, True, True, True]
    assert found[2] is not None
    assert found[2][BOX].all()
    assert found[2].sum() < 1.7 * found[2][BOX].sum()
    assert found[2][:16].sum() == 0


def test_nothing_is_found_where_all_agree_and_masked_things_are_not_found_again() -> None:
    seen = views()
    assert find_transients(seen) == [None] * 6
    mask = ALL.copy()
    mask[BOX] = False
    seen[2] = replace(with_box(seen[2]), mask=mask)
    assert find_transients(seen) == [None] * 6


def test_a_place_where_the_splat_is_wrong_for_all_is_not_found() -> None:
    """The splat shows a box on the wall that no photo has; pixels move by 10 px from view to view."""
    seen = []
    for number, view in enumerate(views()):
        render = view.render.copy()
        render[20:50, 55 - 10 * number : 75 - 10 * number] = 250, 20, 230
        seen.append(replace(view, render=render))
    assert find_transients(seen) == [None] * 6


def test_a_thing_that_another_photo_confirms_is_not_found() -> None:
    seen = views()
    seen[2] = replace(with_box(seen[2]), sure=ALL)
    assert find_transients(seen) == [None] * 6


def test_a_thing_that_the_splat_has_yet_to_learn_is_not_found() -> None:
    """At half the wall's depth a box moves by 20 px from photo to photo; if it moves otherwise, it is found."""
    for step_px, moves in ((20, False), (7, True)):
        seen = []
        for number, view in enumerate(views(4)):
            photo, sure = view.photo.copy(), ALL.copy()
            left = 70 - step_px * number
            photo[20:50, left : left + 20], sure[20:50, left : left + 20] = (250, 20, 230), False
            seen.append(replace(view, photo=photo, sure=sure))
        assert any(mask is not None for mask in find_transients(seen)) is moves


@pytest.mark.parametrize("blind", ["unsure", "unknown", "elsewhere"])
def test_without_two_witnesses_nothing_is_found(blind: str) -> None:
    seen = views()
    guilty = with_box(seen[2])
    changed = {
        "unsure": {"sure": ~ALL},
        "unknown": {"sure": None},
        "elsewhere": {"depth": np.full((64, 96), 3.0)},
    }[blind]
    others = [view for number, view in enumerate(seen) if number != 2]
    assert find_transients([guilty, *[replace(view, **changed) for view in others[:4]], others[4]])[0] is None
    assert find_transients([guilty, *others])[0] is not None


def test_a_view_without_what_was_found_says_nothing_there() -> None:
    depth, photo = torch.full((4, 6), 2.0), torch.zeros(3, 4, 6)
    mask = torch.ones(4, 6, dtype=torch.bool)
    mask[0] = False
    view = TrainingView(camera=camera_at(size=(6, 4)), photo=photo, mask=mask, cut_out=None, depth=depth)
    left = view.without(torch.tensor([[True, False, False], [True, False, False]]))
    assert left.mask is not None
    assert left.depth is not None
    assert left.mask.int().tolist() == [[0] * 6, *[[0, 0, 1, 1, 1, 1]] * 3]
    assert left.depth.isnan()[:, :2].all()
    assert left.depth[:, 2:].isfinite().all()


def test_photos_as_fitted_hide_what_was_found_and_keep_what_was_cut_out() -> None:
    class Masked:
        def __call__(self, name: str) -> np.ndarray:
            return np.zeros((1, 4, 3), np.uint8)

        def mask(self, name: str) -> np.ndarray:
            return np.array([[True, True, False, False]])

        def hidden(self, name: str) -> np.ndarray:
            return np.array([[False, False, True, False]])

    found = {"a": np.array([[False, True, False, True]])}
    masked = FittedPhotos(Masked(), Appearance(), found.get)
    assert mask_of(masked, "a").tolist() == [[True, False, False, False]]  # type: ignore[union-attr]
    assert hidden_of(masked, "a").tolist() == [[False, True, True, False]]  # type: ignore[union-attr]
    assert mask_of(masked, "b").tolist() == [[True, True, False, False]]  # type: ignore[union-attr]
    plain = FittedPhotos(lambda name: np.zeros((1, 4, 3), np.uint8), Appearance(), found.get)
    assert mask_of(plain, "a").tolist() == [[True, False, True, False]]  # type: ignore[union-attr]
    assert hidden_of(plain, "a") is found["a"]
    assert mask_of(plain, "b") is None
    assert hidden_of(plain, "b") is None


def test_a_fit_finds_a_box_leaves_it_out_and_goes_on_the_same_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, wall = textured_wall(7)
    photos = {camera.name: (90 + 0.3 * wall(camera.name)).astype(np.uint8) for camera in scene.cameras}
    photos["3.png"][BOX] = noise((30, 30), 5, 1.0) // 3 + np.array([160, 0, 140], np.uint8)
    config = FitConfig.model_validate(
        {
            "iterations": 160,
            "backend": "cpu",
            "sh_degree": 0,
            "max_gaussians": 3000,
            "test_every": 0,
            "init": {"pixels": 2000},
            "resolution": {"coarse_levels": 0},
            "checkpoint_every": 40,
        }
    )
    whole = fit_gaussians(scene, photos.__getitem__, config)
    assert list(whole.transients) == ["3.png"]
    assert whole.transients["3.png"][BOX].mean() > 0.95
    assert whole.transients["3.png"].mean() < 0.3
    with_it = fit_gaussians(scene, photos.__getitem__, config.model_copy(update={"find_transients": False}))
    assert with_it.transients == {}
    assert whole.photos.psnr_db > with_it.photos.psnr_db + 1

    real_step = Trainer.step

    def stopped(self: Trainer, state: TrainingState) -> float:
        if state.iteration == 55:
            raise KeyboardInterrupt
        return real_step(self, state)

    monkeypatch.setattr(Trainer, "step", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit_gaussians(scene, photos.__getitem__, config, work_dir=tmp_path)
    monkeypatch.setattr(Trainer, "step", real_step)
    resumed = fit_gaussians(scene, photos.__getitem__, config, work_dir=tmp_path)
    assert torch.equal(resumed.gaussians.means, whole.gaussians.means)
