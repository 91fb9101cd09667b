"""Fitting a tiny scene: it learns, it is deterministic, and it resumes to the same result."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import textured_wall, tiny_scene

from gs_stereo.errors import InputError, PluginError, StageError
from gs_stereo.geometry.local_frame import NO_ORIGIN, scene_around
from gs_stereo.mvs import first_depth
from gs_stereo.splat import evaluate, fit_gaussians
from gs_stereo.splat import fit as fit_module
from gs_stereo.splat.checkpoint import CHECKPOINT_NAME
from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.fit import FitResult, make_rasterizer
from gs_stereo.splat.pairs import SplatRenderer
from gs_stereo.splat.trainer import Trainer
from gs_stereo.splat.training_state import TrainingState
from gs_stereo.types import StereoRig


def _config(**settings: object) -> FitConfig:
    values = {
        "iterations": 60, "backend": "cpu", "sh_degree": 1, "checkpoint_every": 25, "max_gaussians": 400,
        "init": {"pixels": 80}, "plane_sweep": False, "background": "black",
        "resolution": {"coarse_levels": 1, "min_edge_px": 8},
        **settings,
    }  # fmt: skip
    return FitConfig.model_validate(values)


def _fit(config: FitConfig, work_dir: Path | None = None, seed: int = 0) -> FitResult:
    scene, photos = tiny_scene()
    return fit_gaussians(scene, photos, config, work_dir=work_dir, seed=seed)


def _same(first: FitResult, second: FitResult) -> bool:
    pairs = zip(first.gaussians.tensors().values(), second.gaussians.tensors().values(), strict=True)
    return first.records == second.records and all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("strategy", ["default", "mcmc", "none"])
def test_a_fit_improves_on_its_start(strategy: str) -> None:
    result = _fit(_config(strategy=strategy))
    start = _fit(_config(strategy=strategy, iterations=1))
    assert result.photos.psnr_db > start.photos.psnr_db + 3
    assert result.held_out.psnr_db > start.held_out.psnr_db + 3
    assert result.held_out.ssim > start.held_out.ssim
    assert result.records[-1].iteration == 60
    assert result.records[-1].loss < result.records[0].loss


def test_the_result_names_what_was_held_out() -> None:
    result = _fit(_config(iterations=2))
    assert result.held_out_names == ["004.png"]
    assert [view.name for view in result.photos.views] == [f"{i:03d}.png" for i in range(9) if i != 4]
    everything = _fit(_config(iterations=2, test_every=0))
    assert everything.held_out_names == []
    assert np.isnan(everything.held_out.psnr_db)
    assert len(everything.photos.views) == 9


@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_the_same_seed_gives_the_same_bytes(strategy: str) -> None:
    config = _config(strategy=strategy, iterations=40)
    first = _fit(config, seed=5)
    assert _same(first, _fit(config, seed=5))
    assert not _same(first, _fit(config, seed=6))


@pytest.mark.parametrize("settings", [{"strategy": "default"}, {"strategy": "mcmc"}])
def test_an_interrupted_fit_resumes_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]
) -> None:
    config = _config(**settings)
    whole = _fit(config)
    real_step, stop_at = Trainer.step, 37

    def step(self: Trainer, state: TrainingState) -> float:
        if state.iteration == stop_at:
            raise KeyboardInterrupt
        return real_step(self, state)

    monkeypatch.setattr(Trainer, "step", step)
    with pytest.raises(KeyboardInterrupt):
        _fit(config, tmp_path)
    stop_at = -1
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT_NAME]
    resumed = _fit(config, tmp_path)
    assert _same(whole, resumed)
    assert resumed.photos == whole.photos


def test_a_finished_checkpoint_is_only_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _config(iterations=20)
    whole = _fit(config, tmp_path)
    monkeypatch.setattr(Trainer, "step", lambda self, state: pytest.fail("a finished fit takes no step"))
    assert _same(whole, _fit(config, tmp_path))


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    _fit(_config(iterations=3), tmp_path)
    for config, seed in ((_config(iterations=4), 0), (_config(iterations=3), 1)):
        with pytest.raises(InputError, match="other settings or data; delete it or run again with --force"):
            _fit(config, tmp_path, seed)
    _fit(_config(iterations=3, checkpoint_every=7), tmp_path)


@pytest.mark.parametrize("damage", ["empty", "truncated", "garbage", "pickle"])
def test_a_corrupt_checkpoint_is_refused_with_the_fix(tmp_path: Path, damage: str) -> None:
    config = _config(iterations=3)
    _fit(config, tmp_path)
    path = tmp_path / CHECKPOINT_NAME
    content = path.read_bytes()
    if damage == "pickle":
        torch.save({"format": Path("/tmp")}, path)
    else:
        path.write_bytes({"empty": b"", "truncated": content[: len(content) // 2], "garbage": b"x" * 4096}[damage])
    with pytest.raises(InputError, match="cannot be read; delete it or run again with --force"):
        _fit(config, tmp_path)


def test_a_checkpoint_with_values_that_are_not_finite_is_refused(tmp_path: Path) -> None:
    config = _config(iterations=3)
    _fit(config, tmp_path)
    content = torch.load(tmp_path / CHECKPOINT_NAME, weights_only=True)
    content["parameters"]["means"][0, 0] = float("nan")
    torch.save(content, tmp_path / CHECKPOINT_NAME)
    with pytest.raises(InputError, match="cannot be read"):
        _fit(config, tmp_path)


def test_a_diverging_fit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from gs_stereo.splat import trainer

    monkeypatch.setattr(trainer.Objective, "loss", lambda self, output, *rest: output.rgb.sum() * float("nan"))
    with pytest.raises(StageError, match="diverged at iteration 0"):
        _fit(_config(iterations=3))


def test_photos_that_do_not_fit_the_cameras_are_refused() -> None:
    scene, photos = tiny_scene()
    with pytest.raises(InputError, match="undistorted"):
        fit_gaussians(scene, lambda name: photos(name)[:-1], _config())


def test_a_scene_without_cameras_is_refused() -> None:
    scene, photos = tiny_scene()
    with pytest.raises(InputError, match="no registered photo"):
        fit_gaussians(replace(scene, cameras=(), visible_points=()), photos, _config())


def test_inputs_are_not_changed() -> None:
    scene, photos = tiny_scene()
    before = [photos(camera.name).copy() for camera in scene.cameras], scene.points.xyz_in_world.copy()
    fit_gaussians(scene, photos, _config(iterations=3))
    assert all(np.array_equal(a, photos(camera.name)) for a, camera in zip(before[0], scene.cameras, strict=True))
    assert np.array_equal(before[1], scene.points.xyz_in_world)


def test_a_darker_photo_is_fitted_and_compared_at_the_exposure_of_all() -> None:
    scene, photos = textured_wall(6)
    dark = {camera.name: (70 + 0.35 * photos(camera.name)).astype(np.uint8) for camera in scene.cameras}
    dark["2.png"] = (dark["2.png"] * 0.6).astype(np.uint8)
    undone, taken = (
        fit_gaussians(scene, dark.__getitem__, _config(undo_appearance=undo, strategy="none")) for undo in (True, False)
    )
    gains = {photo.name: photo.exposure_ev for photo in undone.appearance.photos}
    assert min(gains, key=gains.__getitem__) == "2.png"
    assert taken.appearance.photos == ()
    psnr_db = [{view.name: view.psnr_db for view in result.photos.views}["2.png"] for result in (undone, taken)]
    assert psnr_db[0] > psnr_db[1] + 1


def test_regularisation_lowers_what_it_weighs() -> None:
    plain = _fit(_config(strategy="none")).gaussians
    faint = _fit(_config(strategy="none", opacity_weight=0.3)).gaussians
    small = _fit(_config(strategy="none", scale_weight=3.0)).gaussians
    dense = _fit(_config(strategy="none", alpha_weight=1.0)).gaussians
    assert dense.opacities.mean() > plain.opacities.mean()
    assert faint.opacities.mean() < plain.opacities.mean()
    assert small.scales.mean() < plain.scales.mean()


def test_the_background_is_the_mean_colour_of_the_training_photos() -> None:
    scene, photos = tiny_scene(4)
    config = _config(iterations=2, background="mean", antialiased=False)
    settings = fit_gaussians(scene, photos, config).settings
    expected = np.mean([photos(f"{index:03d}.png").mean(axis=(0, 1)) for index in range(4)], axis=0) / 255
    assert settings.background == pytest.approx(tuple(expected))
    assert not settings.antialiased
    assert _fit(_config(iterations=2)).settings.background == (0.0, 0.0, 0.0)


def test_progress_counts_every_iteration() -> None:
    class Counter:
        count = 0

        def advance(self, count: int = 1, note: str = "") -> None:
            self.count += count

    scene, photos = tiny_scene()
    counter = Counter()
    fit_gaussians(scene, photos, _config(iterations=5), progress=counter)  # type: ignore[arg-type]
    assert counter.count == 5


def test_what_comes_before_and_after_the_steps_shows_progress_too(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, list[int]] = {}

    class Bar:
        def __init__(self, title: str, total: int, unit: str) -> None:
            self.counts = shown.setdefault(title, [])
            self.counts.append(total)

        def advance(self) -> None:
            self.counts[-1] -= 1

    for module in (first_depth, evaluate):
        monkeypatch.setattr(module, "progress", lambda *arguments: nullcontext(Bar(*arguments)))
    scene, photos = tiny_scene()
    fit_gaussians(scene, photos, _config(iterations=2, plane_sweep=True))
    assert {"fit: sweep planes", "compare with the photos"} <= set(shown)
    assert all(left == 0 for counts in shown.values() for left in counts)  # every bar came to its end


def test_auto_is_the_cpu_engine_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert make_rasterizer("auto").name == "cpu"
    monkeypatch.setattr(fit_module, "_gsplat_is_usable", lambda: True)
    with pytest.raises(PluginError, match="nosuch"):
        make_rasterizer("nosuch")


def test_map_coordinates_cost_no_quality_and_are_undone_when_rendering() -> None:
    """float32 at 5 600 000 resolves half a unit; the whole scene is a few units large."""
    scene, photos = tiny_scene()
    away = (-450000.0, -5600000.0, -120.0)
    far = scene_around(scene, away)
    near_fit, far_fit = _fit(_config()), fit_gaussians(far, photos, _config())
    assert near_fit.origin == NO_ORIGIN
    assert far_fit.origin != NO_ORIGIN
    assert far_fit.photos.psnr_db == pytest.approx(near_fit.photos.psnr_db, abs=0.3)
    renderer = SplatRenderer(
        rasterizer=make_rasterizer("cpu"),
        gaussians=far_fit.gaussians,
        settings=far_fit.settings,
        origin=far_fit.origin,
    )
    name = far_fit.photos.views[0].name
    camera = next(camera for camera in far.cameras if camera.name == name)
    mistake = renderer.render([camera])[0].image.astype(float) - photos(name)
    assert 10 * np.log10(255**2 / np.mean(mistake**2)) == pytest.approx(far_fit.photos.views[0].psnr_db, abs=0.1)
    np.testing.assert_array_equal(
        renderer.render_stereo(StereoRig(left=camera, baseline=0.1))[0].image, renderer.render([camera])[0].image
    )
