"""When things happen in a fit: pure functions of the iteration, so that a resumed run repeats them exactly."""

import math
from collections.abc import Mapping, Sequence

import torch

from gs_stereo.core.hashing import unit_seed
from gs_stereo.splat.config import FitConfig, ResolutionConfig

_FEWEST_ITERATIONS_A_ROUND = 10
_SEARCHES = (0.15, 0.3, 0.6)  # shares of the iterations; before, the splat is no judge


def means_rate(config: FitConfig, iteration: int) -> float:
    """Learning rate of the centres in scene extents: log-linear from `means` to `means_final` (3DGS)."""
    share = iteration / max(config.iterations - 1, 1)
    return math.exp((1 - share) * math.log(config.rates.means) + share * math.log(config.rates.means_final))


def learning_rates(
    config: FitConfig, iteration: int, extent: float, sh_count: int
) -> Mapping[str, float | Sequence[float]]:
    """The learning rate of each parameter, by its name in the training state; of sh one a coefficient."""
    rates = config.rates
    return {
        "means": means_rate(config, iteration) * extent,
        "quats_wxyz": rates.quats_wxyz,
        "log_scales": rates.log_scales,
        "opacity_logits": rates.opacity_logits,
        "sh": (rates.sh_dc, *[rates.sh_rest] * (sh_count - 1)),
    }


def sh_degree(config: FitConfig, iteration: int) -> int:
    """Degree in use: one more after each `sh_share` of the iterations."""
    every = max(1, round(config.sh_share * config.iterations))
    return min(config.sh_degree, iteration // every)


def coarse_level(resolution: ResolutionConfig, iterations: int, iteration: int) -> int:
    """How often the photos are halved now: `coarse_levels` at first, 0 at the end; levels share the time equally."""
    coarse_iterations = resolution.coarse_share * iterations
    if iteration >= coarse_iterations:
        return 0
    return resolution.coarse_levels - int(iteration * resolution.coarse_levels / coarse_iterations)


def search_due(config: FitConfig, iteration: int) -> bool:
    """Whether it is looked for what stands before the scene: early, before it is learned, and when more is known."""
    return iteration in {round(share * config.iterations) for share in _SEARCHES}


def round_due(iteration: int, iterations: int, start: float, stop: float, rounds: int) -> int | None:
    """The number of the refinement round that follows this iteration, or None.

    Rounds are evenly spaced from `start` to `stop` (shares of `iterations`), at least 10 iterations apart.
    """
    first, last = round(start * iterations), round(stop * iterations)
    every = max(_FEWEST_ITERATIONS_A_ROUND, (last - first) // rounds)
    since = iteration + 1 - first
    return since // every if 0 <= since <= last - first and since % every == 0 else None


def view_at(seed: int, iteration: int, count: int) -> int:
    """Index of the view of an iteration: each epoch is its own shuffle of all views."""
    epoch, position = divmod(iteration, count)
    return int(torch.randperm(count, generator=generator(seed, f"epoch/{epoch}"))[position])


def generator(seed: int, unit: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that depends on the run's seed and on what it is for, never on what ran before.

    This is why a checkpoint needs no state of a random number generator.
    """
    return torch.Generator(device=device).manual_seed(unit_seed(seed, unit))
