"""The MCMC strategy: dead Gaussians move to where live ones are, new ones join them, and noise explores.

3D Gaussian Splatting as Markov Chain Monte Carlo (Kheradmand et al., NeurIPS 2024) in plain torch, on any device.
A Gaussian that becomes r copies of itself gets the opacity and scale that leave the image unchanged (equation 9):
    new_opacity = 1 - (1 - opacity)^(1/r)
    new_scale   = scale * opacity / sum_{i=1..r} sum_{k=0..i-1} C(i-1, k) (-1)^k new_opacity^(k+1) / sqrt(k+1)
"""

import math

import torch
from jaxtyping import Float, Int

from gs_stereo.splat import schedule
from gs_stereo.splat.rotations import rotation_matrices
from gs_stereo.splat.strategy import Strategy
from gs_stereo.splat.training_state import TrainingState

_MOST_COPIES = 51
_NOISE_SHARPNESS = 100.0
_NOISE_OPACITY = 0.005


class McmcStrategy(Strategy):
    """Relocates, adds and shakes Gaussians."""

    def refine(self, state: TrainingState, iteration: int, means_rate: float) -> None:
        run = self._context.config
        config = run.mcmc
        generator = schedule.generator(self._context.seed, f"mcmc/{iteration}", state.device)
        if schedule.round_due(iteration, run.iterations, config.start, config.stop, config.rounds) is not None:
            relocate_dead(state, config.min_opacity, generator)
            room = run.max_gaussians - len(state)
            add_samples(state, min(math.ceil(config.growth * len(state)), room), config.min_opacity, generator)
        shake(state, config.noise * means_rate, generator)


def relocate_dead(state: TrainingState, min_opacity: float, generator: torch.Generator) -> None:
    """Move every Gaussian at or below `min_opacity` onto a live one, chosen by opacity."""
    opacity = state.parameters["opacity_logits"].sigmoid()
    dead = (opacity <= min_opacity).nonzero()[:, 0]
    alive = (opacity > min_opacity).nonzero()[:, 0]
    if len(dead) == 0 or len(alive) == 0:
        return
    parents = alive[_sample(opacity[alive], len(dead), generator)]
    share_out(state, parents, min_opacity)
    for tensor in state.parameters.values():
        tensor[dead] = tensor[parents]
    for name in state.parameters:
        state.forget_moments(name, torch.cat([dead, parents]))


def add_samples(state: TrainingState, count: int, min_opacity: float, generator: torch.Generator) -> None:
    """Add `count` Gaussians as copies of ones chosen by opacity."""
    if count <= 0:
        return
    parents = _sample(state.parameters["opacity_logits"].sigmoid(), count, generator)
    share_out(state, parents, min_opacity)
    source = torch.cat([torch.arange(len(state), device=state.device), parents])
    fresh = torch.zeros_like(source, dtype=torch.bool)
    fresh[-count:] = True
    state.rebuild(source, fresh)


def share_out(state: TrainingState, parents: Int[torch.Tensor, "m"], min_opacity: float) -> None:
    """Give each parent the opacity and scale of one of its copies, as if every copy were already beside it."""
    copies = torch.bincount(parents, minlength=len(state)) + 1
    rows = (copies > 1).nonzero()[:, 0]
    opacity = state.parameters["opacity_logits"][rows].sigmoid()
    new_opacity, scale_ratio = relocation(opacity, copies[rows].clamp_max(_MOST_COPIES))
    eps = torch.finfo(new_opacity.dtype).eps
    state.parameters["opacity_logits"][rows] = new_opacity.clamp(min_opacity, 1 - eps).logit()
    state.parameters["log_scales"][rows] += scale_ratio.log()[:, None]


def relocation(
    opacity: Float[torch.Tensor, "m"], copies: Int[torch.Tensor, "m"]
) -> tuple[Float[torch.Tensor, "m"], Float[torch.Tensor, "m"]]:
    """Opacity of each of `copies` equal Gaussians that together look like one, and the factor on its scale.

    The double sum over i and k is a single sum over k: the binomials C(i-1, k), i = 1..r, add up to C(r, k+1).
    """
    exact, count = opacity.double(), copies.double()[:, None]
    new_opacity = 1 - (1 - exact) ** (1 / count[:, 0])
    k = torch.arange(_MOST_COPIES, dtype=torch.float64, device=opacity.device)
    log_binomial = torch.lgamma(count + 1) - torch.lgamma(k + 2) - torch.lgamma((count - k).clamp_min(1.0))
    terms = log_binomial.exp() * (-1.0) ** k * new_opacity[:, None] ** (k + 1) / (k + 1).sqrt()
    denominator = torch.where(k < count, terms, 0.0).sum(dim=-1)
    return new_opacity.to(opacity.dtype), (exact / denominator).to(opacity.dtype)


def shake(state: TrainingState, strength: float, generator: torch.Generator) -> None:
    """Add noise shaped like each Gaussian to its centre; opaque Gaussians hardly move (SGLD, equation 8)."""
    opacity = state.parameters["opacity_logits"].sigmoid()
    calm = torch.sigmoid(-_NOISE_SHARPNESS * (opacity - _NOISE_OPACITY))
    normal = torch.randn(len(state), 3, generator=generator, device=state.device) * (calm * strength)[:, None]
    rotation = rotation_matrices(state.parameters["quats_wxyz"])
    variances = (2 * state.parameters["log_scales"]).exp()
    local = torch.einsum("nji,nj->ni", rotation, normal) * variances
    state.parameters["means"] += torch.einsum("nij,nj->ni", rotation, local)


def _sample(weights: Float[torch.Tensor, "n"], count: int, generator: torch.Generator) -> Int[torch.Tensor, "m"]:
    """Indices drawn with replacement in proportion to the weights (torch.multinomial has a limit of 2^24)."""
    cumulative = weights.double().cumsum(0)
    drawn = torch.rand(count, generator=generator, device=weights.device, dtype=torch.float64) * cumulative[-1]
    return torch.searchsorted(cumulative, drawn, right=True).clamp_max(len(weights) - 1)
