"""The densification strategies by name."""

from __future__ import annotations

from gs_stereo.splat.densify import GradientStrategy
from gs_stereo.splat.mcmc import McmcStrategy
from gs_stereo.splat.raster.protocol import RenderOutput, ScreenGradients
from gs_stereo.splat.strategy import Strategy, StrategyContext
from gs_stereo.splat.training_state import TrainingState
from gs_stereo.types import Camera


class FixedStrategy:
    """Optimises the first Gaussians only."""

    def __init__(self, context: StrategyContext) -> None:
        del context

    def wants_screen_gradients(self, iteration: int) -> bool:
        return False

    def observe(
        self, state: TrainingState, camera: Camera, output: RenderOutput, gradients: ScreenGradients | None
    ) -> None:
        return

    def refine(self, state: TrainingState, iteration: int, means_rate: float) -> None:
        return


def make_strategy(context: StrategyContext) -> Strategy:
    """The strategy that the settings name."""
    kinds: dict[str, type[Strategy]] = {"default": GradientStrategy, "mcmc": McmcStrategy, "none": FixedStrategy}
    return kinds[context.config.strategy](context)
