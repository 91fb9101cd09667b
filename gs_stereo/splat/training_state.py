"""What changes while a splat is fitted: parameters, the optimizer's moments, the strategy's statistics."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Int
from torch.nn import functional

from gs_stereo.splat.optimizer import AdamState
from gs_stereo.splat.quality import FitRecord
from gs_stereo.types.gaussians import Gaussians


@dataclass(kw_only=True, eq=False)
class TrainingState:
    """Everything a checkpoint holds; it changes in place.

    parameters: the raw tensors of Gaussians by name; sh has the coefficients in use, and grows. transients: small maps
    of what stands before the scene, by photo.
    statistics: per-Gaussian tensors that a strategy gathers between two rounds.
    """

    parameters: dict[str, torch.Tensor]
    adam: AdamState
    iteration: int = 0
    transients: dict[str, Bool[torch.Tensor, "h w"]] = field(default_factory=dict)
    statistics: dict[str, torch.Tensor] = field(default_factory=dict)
    records: list[FitRecord] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.parameters["means"])

    @classmethod
    def start(cls, gaussians: Gaussians) -> TrainingState:
        """The state before the first step. The Gaussians are copied."""
        parameters = {name: tensor.detach().clone() for name, tensor in gaussians.tensors().items()}
        return cls(parameters=parameters, adam=AdamState.zeros_like(parameters))

    @property
    def device(self) -> torch.device:
        return self.parameters["means"].device

    def gaussians(self) -> Gaussians:
        """The parameters as Gaussians."""
        return Gaussians(**self.parameters)

    def widen_sh(self, coefficients: int) -> None:
        """Give every Gaussian at least so many coefficients of colour: those that join, and their moments, are 0."""
        missing = coefficients - self.parameters["sh"].shape[1]
        if missing > 0:
            for group in (self.parameters, self.adam.first, self.adam.second):
                group["sh"] = functional.pad(group["sh"], (0, 0, 0, missing))

    def rebuild(self, source: Int[torch.Tensor, "m"], fresh: Bool[torch.Tensor, "m"]) -> None:
        """Make row i a copy of row `source[i]`; the moments of `fresh` rows start at zero, statistics are dropped."""
        self.parameters = {name: tensor[source] for name, tensor in self.parameters.items()}
        for moments in (self.adam.first, self.adam.second):
            for name, tensor in moments.items():
                moments[name] = tensor[source]
                moments[name][fresh] = 0
        self.statistics = {}

    def forget_moments(self, name: str, rows: torch.Tensor) -> None:
        """Reset the optimizer's memory of one parameter at some rows."""
        for moments in (self.adam.first, self.adam.second):
            if name in moments:
                moments[name][rows] = 0
