"""Checkpoints of a fit, which resume to the same result.

There is no state of a random number generator to keep, because every random draw depends on (seed, iteration) only.
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from gs_stereo.core.checkpoint import read_checkpoint, write_checkpoint
from gs_stereo.splat.optimizer import AdamState
from gs_stereo.splat.quality import FitRecord
from gs_stereo.splat.training_state import TrainingState

CHECKPOINT_NAME = "checkpoint.pt"
_KIND = "gs_stereo.fit.checkpoint"


def save_checkpoint(path: Path, state: TrainingState, run_id: str) -> None:
    """Write the state; `run_id` identifies settings, seed, cameras, points and photos."""
    content = {
        "iteration": state.iteration,
        "parameters": state.parameters,
        "adam": vars(state.adam),
        "transients": state.transients,
        "statistics": state.statistics,
        "records": [list(dataclasses.astuple(record)) for record in state.records],
    }
    write_checkpoint(path, _KIND, run_id, content)


def load_checkpoint(path: Path, run_id: str, device: torch.device) -> TrainingState:
    """Read a state back; InputError if the file is broken or belongs to another run."""
    return read_checkpoint(path, _KIND, run_id, device=device, restore=_parse)


def _parse(content: dict[str, Any]) -> TrainingState:
    state = TrainingState(
        parameters=dict(content["parameters"]),
        adam=AdamState(**content["adam"]),
        iteration=int(content["iteration"]),
        transients=dict(content["transients"]),
        statistics=dict(content["statistics"]),
        records=[FitRecord(iteration=it, loss=loss, count=count) for it, loss, count in content["records"]],
    )
    _check(state)
    return state


def _check(state: TrainingState) -> None:
    """ValueError unless the tensors fit each other."""
    state.gaussians()
    count = len(state)
    for group in (state.parameters, state.adam.first, state.adam.second, state.statistics):
        if any(len(tensor) != count or not bool(tensor.isfinite().all()) for tensor in group.values()):
            raise ValueError("tensors of different length, or not finite")
    for moments in (state.adam.first, state.adam.second):
        if any(moments[name].shape != tensor.shape for name, tensor in state.parameters.items()):
            raise ValueError("moments do not match their parameters")
