"""Growing, pruning and moving Gaussians."""

from __future__ import annotations

import math

import pytest
import torch
from builders import HEIGHT, WIDTH, camera_at, true_gaussians
from twins.rasterizer import ReferenceRasterizer, RenderSettings

from gs_stereo.splat import densify, mcmc
from gs_stereo.splat.config import DensifyConfig, FitConfig, McmcConfig
from gs_stereo.splat.densify import GradientStrategy
from gs_stereo.splat.mcmc import McmcStrategy
from gs_stereo.splat.raster.protocol import RenderOutput, ScreenGradients
from gs_stereo.splat.strategies import make_strategy
from gs_stereo.splat.strategy import Strategy, StrategyContext
from gs_stereo.splat.training_state import TrainingState
from gs_stereo.types.gaussians import Gaussians


def _state(count: int = 12) -> TrainingState:
    state = TrainingState.start(true_gaussians(count))
    for name, tensor in state.adam.first.items():
        tensor.fill_(1.0)
        state.adam.second[name].fill_(2.0)
    return state


def _context(**settings: object) -> StrategyContext:
    return StrategyContext(config=FitConfig.model_validate(settings), extent=1.0, seed=0)


def _output(visible: torch.Tensor) -> RenderOutput:
    image = torch.zeros(1, HEIGHT, WIDTH)
    return RenderOutput(
        rgb=image[:, None].repeat(1, 3, 1, 1), alpha=image, z_sum=image, z2_sum=image, median_depth=image,
        radii_px=visible.float()[None],
    )  # fmt: skip


def test_each_name_gives_its_strategy() -> None:
    kinds = {"default": GradientStrategy, "mcmc": McmcStrategy, "none": Strategy}
    assert {name: type(make_strategy(_context(strategy=name))) for name in kinds} == kinds


def test_strongest_keeps_the_budget() -> None:
    gradient = torch.tensor([0.1, 0.5, 0.3, 0.9, 0.3])
    assert densify.strongest(gradient, 0.2, 10).tolist() == [False, True, True, True, True]
    assert densify.strongest(gradient, 0.2, 3).tolist() == [False, True, True, True, False]
    assert not densify.strongest(gradient, 0.2, 0).any()
    assert not densify.strongest(gradient, 0.2, -4).any()


def test_observe_counts_half_image_sizes_and_visible_views() -> None:
    state = _state(2)
    strategy = GradientStrategy(_context(densify={"gradient": "signed"}))
    sink = ScreenGradients(signed=torch.tensor([[[3.0, 0.0], [0.0, 0.0]]]), absolute=torch.zeros(1, 2, 2))
    for _ in range(2):
        strategy.observe(state, camera_at("a", 0.0), _output(torch.tensor([True, False])), sink)
    assert state.statistics["gradient"].tolist() == [2 * 3.0 * WIDTH / 2, 0.0]
    assert state.statistics["views"].tolist() == [2.0, 0.0]


def test_duplicates_copy_and_splits_scatter() -> None:
    state = _state(6)
    before = state.gaussians()
    duplicated, split = torch.zeros(2, 6, dtype=torch.bool)
    duplicated[1], split[4] = True, True
    densify.add_copies(state, duplicated=duplicated, split=split, generator=torch.Generator().manual_seed(0))
    after = state.gaussians()
    kept = [0, 1, 2, 3, 5]
    assert len(after) == 8
    assert torch.equal(after.means[:6], before.means[[*kept, 1]])
    assert torch.allclose(after.scales[6:], before.scales[[4, 4]] / 1.6)
    assert (after.means[6:] - before.means[4]).norm(dim=-1).max() < 6 * 0.09
    assert not torch.equal(after.means[6], after.means[7])
    assert state.adam.first["means"][:, 0].tolist() == [1.0] * 5 + [0.0] * 3
    assert state.adam.second["sh"][:, 0, 0].tolist() == [2.0] * 5 + [0.0] * 3


def test_default_strategy_grows_the_strong_and_prunes_the_transparent() -> None:
    state = _state(10)
    state.parameters["opacity_logits"][3] = -9.0
    state.parameters["log_scales"][7] = math.log(3.0)
    state.statistics = {"gradient": torch.zeros(10), "views": torch.ones(10)}
    state.statistics["gradient"][0] = 1.0
    strategy = GradientStrategy(_context(iterations=100, densify={"start": 0.1, "stop": 0.9, "prune_scale": 1.0}))
    strategy.refine(state, 4, 0.0)
    assert len(state) == 10
    strategy.refine(state, 9, 0.0)
    assert len(state) == 10 + 1 - 2
    assert state.statistics == {}


def test_pruning_never_removes_everything() -> None:
    state = _state(4)
    densify.prune(state, torch.zeros(4, dtype=torch.bool))
    assert len(state) == 4


def test_opacity_reset_caps_and_forgets() -> None:
    state = _state(4)
    state.parameters["opacity_logits"][0] = -8.0
    densify.reset_opacity(state, 0.01)
    opacities = state.gaussians().opacities
    assert opacities[1:].tolist() == pytest.approx([0.01] * 3)
    assert opacities[0] < 0.001
    assert not state.adam.first["opacity_logits"].any()
    assert state.adam.first["means"].all()


@pytest.mark.parametrize("resets", [0, 1, 3])
def test_as_many_opacity_resets_as_asked(resets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(densify, "reset_opacity", lambda state, opacity: calls.append(opacity))
    strategy = GradientStrategy(_context(iterations=1000, densify={"opacity_resets": resets, "rounds": 20}))
    state = _state(4)
    for iteration in range(1000):
        state.statistics = {"gradient": torch.zeros(len(state)), "views": torch.ones(len(state))}
        strategy.refine(state, iteration, 0.0)
    assert len(calls) == resets


def _relocation_brute_force(opacity: float, copies: int) -> tuple[float, float]:
    new = 1 - (1 - opacity) ** (1 / copies)
    total = sum(
        math.comb(i - 1, k) * (-1) ** k / math.sqrt(k + 1) * new ** (k + 1)
        for i in range(1, copies + 1)
        for k in range(i)
    )
    return new, opacity / total


@pytest.mark.parametrize("opacity", [0.006, 0.3, 0.9, 0.9999])
@pytest.mark.parametrize("copies", [1, 2, 7, 51])
def test_relocation_is_the_papers_double_sum(opacity: float, copies: int) -> None:
    new, ratio = mcmc.relocation(torch.tensor([opacity]), torch.tensor([copies]))
    expected = _relocation_brute_force(float(torch.tensor(opacity)), copies)
    assert (new.item(), ratio.item()) == pytest.approx(expected, rel=1e-4)


def _image(gaussians: Gaussians) -> torch.Tensor:
    return ReferenceRasterizer().render(gaussians, [camera_at("a", 0.0)], RenderSettings(antialiased=False)).rgb


def test_added_samples_leave_the_image_nearly_unchanged() -> None:
    state = _state(20)
    state.parameters["opacity_logits"].fill_(0.0)
    before = _image(state.gaussians())
    mcmc.add_samples(state, 5, 0.005, torch.Generator().manual_seed(0))
    assert len(state) == 25
    corrected = (_image(state.gaussians()) - before).abs().mean()
    state.parameters["opacity_logits"].fill_(0.0)
    assert corrected < 0.3 * (_image(state.gaussians()) - before).abs().mean()


def test_dead_gaussians_move_onto_live_ones() -> None:
    state = _state(10)
    state.parameters["opacity_logits"][2:5] = -8.0
    old = state.parameters["means"].clone()
    mcmc.relocate_dead(state, 0.005, torch.Generator().manual_seed(0))
    assert len(state) == 10
    alive = torch.cat([old[:2], old[5:]])
    for row in state.parameters["means"][2:5]:
        assert (row == alive).all(dim=-1).any()
    assert (state.gaussians().opacities > 0.005).all()
    assert not state.adam.first["means"][2:5].any()


def test_relocation_with_nobody_alive_changes_nothing() -> None:
    state = _state(4)
    state.parameters["opacity_logits"].fill_(-9.0)
    before = state.parameters["means"].clone()
    mcmc.relocate_dead(state, 0.005, torch.Generator().manual_seed(0))
    assert torch.equal(state.parameters["means"], before)


def test_noise_follows_the_shape_and_spares_the_opaque() -> None:
    state = TrainingState.start(true_gaussians(4000))
    state.parameters["means"].zero_()
    state.parameters["log_scales"][:] = torch.tensor([0.0, math.log(0.1), math.log(0.01)])
    state.parameters["opacity_logits"][:2000] = -9.0
    mcmc.shake(state, 1.0, torch.Generator().manual_seed(0))
    moved = state.parameters["means"]
    assert moved[2000:].abs().max() < 1e-6
    assert moved[:2000].std(dim=0).tolist() == pytest.approx([0.62, 0.0062, 0.000062], rel=0.1)


def test_mcmc_stops_at_the_cap() -> None:
    state = _state(20)
    strategy = McmcStrategy(
        _context(iterations=100, max_gaussians=23, mcmc=McmcConfig(start=0.0, stop=1.0, growth=0.2).model_dump())
    )
    for iteration in range(100):
        strategy.refine(state, iteration, 1e-6)
    assert len(state) == 23


def test_default_strategy_stops_at_the_cap() -> None:
    state = _state(20)
    config = DensifyConfig(start=0.0, stop=1.0).model_dump()
    strategy = GradientStrategy(_context(iterations=100, max_gaussians=23, densify=config))
    for iteration in range(100):
        state.statistics = {"gradient": torch.ones(len(state)), "views": torch.ones(len(state))}
        strategy.refine(state, iteration, 0.0)
    assert len(state) == 23
