"""The densification strategies by name."""

from gs_stereo.splat.densify import GradientStrategy
from gs_stereo.splat.mcmc import McmcStrategy
from gs_stereo.splat.strategy import Strategy, StrategyContext


def make_strategy(context: StrategyContext) -> Strategy:
    """The strategy that the settings name."""
    kinds: dict[str, type[Strategy]] = {"default": GradientStrategy, "mcmc": McmcStrategy, "none": Strategy}
    return kinds[context.config.strategy](context)
