"""The default strategy: grow where the image pulls at a Gaussian's centre, prune what is transparent or huge.

After gsplat's DefaultStrategy (Kerbl et al. 2023, section 5), optionally with the absolute gradients of AbsGS
(Ye et al. 2024): a Gaussian whose mean screen gradient is high is duplicated if it is small and split if it is
large. Times are shares of the run, and growth stops at `max_gaussians`, the strongest gradients first.
"""

import math

import torch
from jaxtyping import Bool, Float, Int

from gs_stereo.splat import schedule
from gs_stereo.splat.raster.protocol import RenderOutput, ScreenGradients
from gs_stereo.splat.rotations import rotation_matrices
from gs_stereo.splat.strategy import Strategy, StrategyContext
from gs_stereo.splat.training_state import TrainingState
from gs_stereo.types import Camera

_SPLIT_SHRINK = 1.6


class GradientStrategy(Strategy):
    """gsplat's DefaultStrategy over the shared training state."""

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        self._config = context.config.densify

    def wants_screen_gradients(self, iteration: int) -> bool:
        return iteration < self._config.stop * self._context.config.iterations

    def observe(
        self, state: TrainingState, camera: Camera, output: RenderOutput, gradients: ScreenGradients | None
    ) -> None:
        """Add the norms of the screen gradients, in half image sizes as 3DGS counts them, and who was visible."""
        if gradients is None:
            return
        found = gradients.absolute if self._config.gradient == "absolute" else gradients.signed
        assert found is not None, "the rasterizer must fill the screen gradients"
        half_size = found.new_tensor([camera.width / 2, camera.height / 2])
        statistics = state.statistics or {"gradient": found.new_zeros(len(state)), "views": found.new_zeros(len(state))}
        statistics["gradient"] += (found[0] * half_size).norm(dim=-1)
        statistics["views"] += output.visible[0].to(found.dtype)
        state.statistics = statistics

    def refine(self, state: TrainingState, iteration: int, means_rate: float) -> None:
        config, run = self._config, self._context.config
        number = schedule.round_due(iteration, run.iterations, config.start, config.stop, config.rounds)
        if number is None or not state.statistics:
            return
        generator = schedule.generator(self._context.seed, f"densify/{iteration}", state.device)
        self._grow(state, generator)
        self._prune(state)
        if number in reset_rounds(config.rounds, config.opacity_resets):
            reset_opacity(state, config.reset_opacity)
        state.statistics = {}

    def _grow(self, state: TrainingState, generator: torch.Generator) -> None:
        gradient = state.statistics["gradient"] / state.statistics["views"].clamp_min(1)
        chosen = strongest(gradient, self._config.grow_gradient, self._context.config.max_gaussians - len(state))
        largest = state.parameters["log_scales"].amax(dim=-1)
        small = largest <= math.log(self._config.grow_scale * self._context.extent)
        add_copies(state, duplicated=chosen & small, split=chosen & ~small, generator=generator)

    def _prune(self, state: TrainingState) -> None:
        config = self._config
        keep = state.parameters["opacity_logits"] >= math.log(config.prune_opacity / (1 - config.prune_opacity))
        keep &= state.parameters["log_scales"].amax(dim=-1) <= math.log(config.prune_scale * self._context.extent)
        prune(state, keep)


def reset_rounds(rounds: int, resets: int) -> set[int]:
    """The numbers of the rounds after which opacities are reset: evenly spaced, neither the first nor the last."""
    return {round(rounds * (index + 1) / (resets + 1)) for index in range(resets)}


def strongest(gradient: Float[torch.Tensor, "n"], threshold: float, budget: int) -> Bool[torch.Tensor, "n"]:
    """Which gradients exceed the threshold; if more than `budget` do, only the strongest, ties by index."""
    chosen = gradient > threshold
    if int(chosen.sum()) > budget:
        order = torch.where(chosen, gradient, -1.0).argsort(descending=True, stable=True)
        chosen = torch.zeros_like(chosen)
        chosen[order[: max(budget, 0)]] = True
    return chosen


def add_copies(
    state: TrainingState,
    *,
    duplicated: Bool[torch.Tensor, "n"],
    split: Bool[torch.Tensor, "n"],
    generator: torch.Generator,
) -> None:
    """Put a twin beside each duplicated Gaussian; replace each split one by two smaller samples of itself."""
    whole, cloned, halved = (mask.nonzero()[:, 0] for mask in (~split, duplicated, split))
    source = torch.cat([whole, cloned, halved, halved])
    fresh = torch.ones_like(source, dtype=torch.bool)
    fresh[: len(whole)] = False
    state.rebuild(source, fresh)
    if len(halved):
        _scatter(state, torch.arange(len(source) - 2 * len(halved), len(source), device=state.device), generator)


def _scatter(state: TrainingState, rows: Int[torch.Tensor, "m"], generator: torch.Generator) -> None:
    """Move Gaussians to samples of themselves and shrink them (3DGS: by 1.6)."""
    scales = state.parameters["log_scales"][rows].exp()
    normal = torch.randn(len(rows), 3, generator=generator, device=state.device)
    rotation = rotation_matrices(state.parameters["quats_wxyz"][rows])
    state.parameters["means"][rows] += torch.einsum("nij,nj->ni", rotation, scales * normal)
    state.parameters["log_scales"][rows] -= math.log(_SPLIT_SHRINK)


def prune(state: TrainingState, keep: Bool[torch.Tensor, "n"]) -> None:
    """Remove the Gaussians that are not kept; if that were all, remove none."""
    if bool(keep.all()) or not bool(keep.any()):
        return
    source = keep.nonzero()[:, 0]
    state.rebuild(source, torch.zeros_like(source, dtype=torch.bool))


def reset_opacity(state: TrainingState, opacity: float) -> None:
    """Cap every opacity, so that what the photos do not support stays transparent and is pruned."""
    logits = state.parameters["opacity_logits"]
    logits.clamp_(max=math.log(opacity / (1 - opacity)))
    state.forget_moments("opacity_logits", torch.arange(len(state), device=state.device))
