"""What a densification strategy is."""

from dataclasses import dataclass

from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.raster.protocol import RenderOutput, ScreenGradients
from gs_stereo.splat.training_state import TrainingState
from gs_stereo.types import Camera


@dataclass(frozen=True, kw_only=True)
class StrategyContext:
    """What a strategy knows besides the state: settings, scene extent in scene units, and the run's seed."""

    config: FitConfig
    extent: float
    seed: int


class Strategy:
    """Adds, moves and removes Gaussians while they are optimised; this one leaves them as they are.

    A strategy keeps nothing itself: all is in the state.
    """

    def __init__(self, context: StrategyContext) -> None:
        self._context = context

    def wants_screen_gradients(self, iteration: int) -> bool:
        """Whether `observe` needs the gradients of projected centres in this iteration."""
        return False

    def observe(
        self, state: TrainingState, camera: Camera, output: RenderOutput, gradients: ScreenGradients | None
    ) -> None:
        """Gather statistics after the backward pass, before the optimizer's step."""

    def refine(self, state: TrainingState, iteration: int, means_rate: float) -> None:
        """Change the Gaussians after the optimizer's step. `means_rate` is the rate of the centres in scene units."""
