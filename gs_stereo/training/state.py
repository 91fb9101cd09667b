"""What changes while a net is trained, and its checkpoint, which resumes exactly.

There is no random state in it, because every draw depends on (seed, number of the draw) only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gs_stereo.core.checkpoint import read_checkpoint, write_checkpoint
from gs_stereo.training.config import LoopConfig
from gs_stereo.training.record import TrainingRecord

CHECKPOINT_NAME = "checkpoint.pt"
_KIND = "gs_stereo.train.checkpoint"


def _averaged(kept: list[torch.Tensor], current: list[torch.Tensor], count: torch.Tensor, *, decay: float) -> None:
    """One step of a moving average. A short run must not keep its first weights: its decay grows to `decay`."""
    get_ema_multi_avg_fn(min(decay, (1 + int(count)) / (10 + int(count))))(kept, current, count)


@dataclass(kw_only=True, eq=False)
class TrainingState:
    """Net and optimizer after `step` steps, the losses since the last record, and the records.

    average: an exponential moving average of the weights, if the run keeps one; then it is what is validated and kept.
    """

    net: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None = None
    step: int = 0
    losses: list[float] = field(default_factory=list)
    records: list[TrainingRecord] = field(default_factory=list)

    @classmethod
    def of(cls, net: nn.Module, config: LoopConfig, average_decay: float | None = None) -> TrainingState:
        """The state before the first step: AdamW over all parameters, whose rate is set at every step."""
        optimizer = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        average = None
        if average_decay is not None:
            average = AveragedModel(net, multi_avg_fn=partial(_averaged, decay=average_decay), use_buffers=True)
        return cls(net=net.train(), optimizer=optimizer, average=average)

    @property
    def kept_net(self) -> nn.Module:
        """The net whose weights count: the averaged one if there is one."""
        return self.net if self.average is None else self.average.module

    def _parts(self) -> dict[str, Any]:
        parts = {"net": self.net, "optimizer": self.optimizer, "average": self.average}
        return {name: part for name, part in parts.items() if part is not None}

    def save(self, path: Path, run_id: str) -> None:
        """Write the state; `run_id` identifies settings and data."""
        content = {
            "step": self.step,
            **{name: part.state_dict() for name, part in self._parts().items()},
            "losses": self.losses,
            "records": [(record.kind, {"step": record.step, **record.values}) for record in self.records],
        }
        write_checkpoint(path, _KIND, run_id, content)

    def load(self, path: Path, run_id: str) -> None:
        """Become what was saved; InputError if the file is broken or belongs to another run."""
        device = next(self.net.parameters()).device
        read_checkpoint(path, _KIND, run_id, device=device, restore=self._restore)

    def _restore(self, content: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(content[name])
        self.step = int(content["step"])
        self.losses = [float(loss) for loss in content["losses"]]
        self.records = [
            TrainingRecord(kind=kind, step=values["step"], values={k: v for k, v in values.items() if k != "step"})
            for kind, values in content["records"]
        ]
