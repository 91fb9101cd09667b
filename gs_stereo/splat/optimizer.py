"""Adam as a function of plain tensors, so that a trainer can prune, split and reindex Gaussians and their state freely.

The update is Kingma & Ba 2015 with bias correction, equal to `torch.optim.Adam`. With `visible`, only those rows of
every tensor and of its state change (the selective Adam of Taming 3DGS and gsplat, which leaves out the bias
correction; here it stays, so that an all-true mask equals no mask).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from gs_stereo.errors import InputError
from gs_stereo.splat.engine import ENGINE


@dataclass(kw_only=True, eq=False)
class AdamState:
    """Running means of the gradients (`first`) and of their squares (`second`), by parameter name; updated in place."""

    step: int
    first: dict[str, torch.Tensor]
    second: dict[str, torch.Tensor]

    @classmethod
    def zeros_like(cls, tensors: Mapping[str, torch.Tensor]) -> AdamState:
        """The state before the first step."""
        return cls(
            step=0,
            first={name: torch.zeros_like(tensor.detach()) for name, tensor in tensors.items()},
            second={name: torch.zeros_like(tensor.detach()) for name, tensor in tensors.items()},
        )


@torch.no_grad()
def adam_step(
    parameters: Mapping[str, torch.Tensor],
    gradients: Mapping[str, torch.Tensor],
    state: AdamState,
    learning_rates: Mapping[str, float | Sequence[float]],
    visible: Bool[torch.Tensor, "n"] | None = None,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-15,
) -> None:
    """Change every parameter and the state in place.

    All mappings have the keys of `parameters`; a gradient has its parameter's shape. learning_rates: one of the whole
    tensor, or one for each index of its second dimension. visible: rows (first dimension) to update, None = all.
    Raises InputError if a gradient or a learning rate is missing.
    """
    missing = [name for name in parameters if name not in gradients or name not in learning_rates]
    if missing:
        raise InputError(
            f"adam_step has no gradient or learning rate for {missing[0]!r}; pass one for every parameter."
        )
    state.step += 1
    rule = _Rule(betas=betas, eps=eps, step=state.step)
    tensors = {name: [p, gradients[name], state.first[name], state.second[name]] for name, p in parameters.items()}
    on_cpu = {name for name, group in tensors.items() if all(map(_engine_can_take, group))}
    if on_cpu:
        _update_native([(tensors[name], learning_rates[name]) for name in tensors if name in on_cpu], rule, visible)
    for name in tensors:
        if name not in on_cpu:
            _update_torch(tensors[name], learning_rates[name], rule, visible)


@dataclass(frozen=True, kw_only=True)
class _Rule:
    betas: tuple[float, float]
    eps: float
    step: int

    @property
    def step_scale(self) -> float:
        """The learning rate's part of the bias correction."""
        return 1 / (1 - self.betas[0] ** self.step)

    @property
    def root_scale(self) -> float:
        """The correction of the root of the second mean."""
        return (1 - self.betas[1] ** self.step) ** -0.5


def _engine_can_take(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32 and tensor.is_contiguous()


def _update_native(
    tensors: list[tuple[list[torch.Tensor], float | Sequence[float]]],
    rule: _Rule,
    visible: Bool[torch.Tensor, "n"] | None,
) -> None:
    """The update by the CPU engine, all tensors in one call."""
    entries = []
    for group, rate in tensors:
        rows, row = len(group[0]), group[0].numel() // max(len(group[0]), 1)
        p, g, m, v = (tensor.detach().view(rows, row) for tensor in group)
        entry = {"parameter": p, "first": m, "second": v, "gradient": g}
        sizes = np.atleast_1d(np.float32(rule.step_scale * np.asarray(rate)))
        columns = sizes.repeat(row // len(sizes))
        entries.append(ENGINE.struct("AdamTensor", rows=rows, row=row, step_sizes=columns, **entry))
    step = ENGINE.struct(
        "Adam", count=len(entries), threads=torch.get_num_threads(), tensors=entries,
        beta1=rule.betas[0], beta2=rule.betas[1], eps=rule.eps, root_scale=rule.root_scale,
        rows=0 if visible is None else len(visible), visible=None if visible is None else visible.contiguous(),
    )  # fmt: skip
    ENGINE.call("gs_adam", step)


def _update_torch(
    tensors: list[Float[torch.Tensor, "n ..."]],
    rate: float | Sequence[float],
    rule: _Rule,
    visible: Bool[torch.Tensor, "n"] | None,
) -> None:
    """The update in plain torch, for any device: parameter, gradient, first, second; all but the gradient in place."""
    parameter, gradient, first, second = tensors
    rows = slice(None) if visible is None else visible
    g = gradient[rows]
    m = first[rows].lerp(g, 1 - rule.betas[0])
    v = second[rows] * rule.betas[1] + (1 - rule.betas[1]) * g.square()
    first[rows] = m
    second[rows] = v
    step_size = torch.as_tensor(rate, dtype=parameter.dtype, device=parameter.device) * rule.step_scale
    if step_size.ndim:
        step_size = step_size.reshape(-1, *[1] * (parameter.ndim - 2))
    parameter[rows] -= step_size * m / (v.sqrt() * rule.root_scale + rule.eps)
