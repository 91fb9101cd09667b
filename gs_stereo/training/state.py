"""What changes while a net is trained, and its checkpoint: one file, replaced atomically, that resumes exactly.

The file is a torch archive of plain values and tensors and is read with `weights_only=True`. It names the run it
belongs to. There is no random state in it, because every draw depends on (seed, number of the draw) only.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gs_stereo.core.atomic import atomic_path
from gs_stereo.errors import InputError
from gs_stereo.nets.protocol import StereoNet
from gs_stereo.training.record import LossRecord, Record, ValidationRecord

CHECKPOINT_NAME = "checkpoint.pt"
_FORMAT = "gs_stereo.train.checkpoint"
_VERSION = 1
_KINDS: dict[str, type[LossRecord] | type[ValidationRecord]] = {"train": LossRecord, "validation": ValidationRecord}


@dataclass(kw_only=True, eq=False)
class TrainingState:
    """Net and optimizer after `step` steps, the losses since the last record, and the record."""

    net: StereoNet
    optimizer: torch.optim.Optimizer
    step: int = 0
    losses: list[float] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)


def save_state(path: Path, state: TrainingState, run_id: str) -> None:
    """Write the state; `run_id` identifies settings and data."""
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "run_id": run_id,
        "step": state.step,
        "net": state.net.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "losses": state.losses,
        "records": [_plain(record) for record in state.records],
    }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def load_state(path: Path, state: TrainingState, run_id: str) -> None:
    """Bring `state` to what was saved; InputError if the file is broken or belongs to another run."""
    device = next(state.net.parameters()).device
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        found_id = str(content["run_id"]) if content["format"] == _FORMAT and content["version"] == _VERSION else ""
        if found_id == run_id:
            _restore(state, content)
    except Exception as error:  # torch.load raises nearly anything on a damaged archive; all of it means: broken file
        raise InputError(f"The checkpoint {path} cannot be read; run again with --force.") from error
    if found_id != run_id:
        raise InputError(f"The checkpoint {path} belongs to other settings or data; run again with --force.")


def _restore(state: TrainingState, content: dict[str, Any]) -> None:
    state.net.load_state_dict(content["net"])
    state.optimizer.load_state_dict(content["optimizer"])
    state.step = int(content["step"])
    state.losses = [float(loss) for loss in content["losses"]]
    state.records = [_KINDS[kind](**values) for kind, values in content["records"]]


def _plain(record: Record) -> tuple[str, dict[str, Any]]:
    kind = "train" if isinstance(record, LossRecord) else "validation"
    return kind, dataclasses.asdict(record)
