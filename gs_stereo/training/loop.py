"""The training loop of any net, on the CPU, one GPU or several processes.

A step is a pure function of the state and the step's number: a task draws its data from (seed, step) only, and the
learning rate depends on the step. So a run that resumes from a checkpoint equals one that was never interrupted, to the
bit on a CPU with the same number of threads.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from gs_stereo.errors import ConfigError, StageError
from gs_stereo.log import logger
from gs_stereo.training.config import LoopConfig
from gs_stereo.training.distributed import Rendezvous, device_of, run_processes
from gs_stereo.training.record import TrainingRecord, live_record
from gs_stereo.training.schedule import learning_rate
from gs_stereo.training.state import CHECKPOINT_NAME, TrainingState

_CHECKPOINT_SECONDS = 600.0
Advance = Callable[[int, str], None]


class Task(ABC):
    """What a net is trained for, in one process of the run.

    uses_every_parameter: False if a step may leave some without gradient, which several processes must know.
    """

    uses_every_parameter = True

    @abstractmethod
    def batches(self, first_step: int) -> Iterator[Any]:
        """The batches from `first_step` on: what `loss` takes, the part of this process, on its device."""

    @abstractmethod
    def loss(self, net: nn.Module, batch: Any, step: int) -> torch.Tensor:
        """The scalar to minimise."""

    def validate(self, net: nn.Module) -> Mapping[str, float] | None:
        """Scores of the net, which is in evaluation mode, on what is held out; None if nothing is."""
        return None


T = TypeVar("T", bound=Task)


@dataclass(frozen=True, kw_only=True, eq=False)
class Training(Generic[T]):
    """A run: trains the net of `state` in place.

    run_id: names what decides the result, so that no other run's checkpoint is taken. folder: where the checkpoint
    lies. live_folder: where the record can be watched while it grows, if anywhere. rank: which process this is; only
    rank 0 validates, records and writes checkpoints.
    """

    task: T
    state: TrainingState
    config: LoopConfig
    run_id: str
    folder: Path
    live_folder: Path | None = None
    rank: int = 0

    def run(self, advance: Advance, *, device: torch.device, distributed: bool = False) -> None:
        """Continue from the checkpoint if there is one, take all steps that are left, and write a checkpoint.

        `advance(steps, note)` shows progress. StageError if the training diverges.
        """
        state, config = self.state, self.config
        if (self.folder / CHECKPOINT_NAME).is_file():
            state.load(self.folder / CHECKPOINT_NAME, self.run_id)
        advance(state.step, "")
        if state.step == config.steps:
            return
        loss_of: nn.Module = _LossOf(state.net, self.task)
        if distributed:
            loss_of = DistributedDataParallel(
                loss_of,
                device_ids=[device] if device.type == "cuda" else None,
                find_unused_parameters=not self.task.uses_every_parameter,
            )
        saved_at = time.monotonic()
        state.net.train()
        with self._live_record() as watch:
            for batch in self.task.batches(state.step):
                loss = self._step(loss_of, batch)
                if self.rank == 0:
                    self._record(watch)
                    due = state.step % config.checkpoint_every == 0
                    if due or time.monotonic() - saved_at > _CHECKPOINT_SECONDS:
                        self.save()
                        saved_at = time.monotonic()
                advance(1, f"loss {loss:.3f}")
        if self.rank == 0:
            self.save()

    def save(self) -> None:
        """Write the checkpoint."""
        self.state.save(self.folder / CHECKPOINT_NAME, self.run_id)

    def _step(self, loss_of: nn.Module, batch: Any) -> float:
        state, config = self.state, self.config
        rate = learning_rate(state.step, config.steps, config.learning_rate, config.warm_up_share)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        loss: torch.Tensor = loss_of(batch, state.step)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(state.net.parameters(), config.clip_norm)
        value = loss.item()
        if not math.isfinite(value):
            raise StageError(f"The training diverged at step {state.step} (loss {value}); lower learning_rate.")
        state.optimizer.step()
        if state.average is not None:
            state.average.update_parameters(state.net)
        state.step += 1
        state.losses.append(value)
        return value

    def _live_record(self) -> AbstractContextManager[Callable[[TrainingRecord], None]]:
        if self.live_folder is None or self.rank != 0:
            return nullcontext(lambda record: None)
        return live_record(self.live_folder, self.state.records, tensorboard=self.config.tensorboard)

    def _record(self, watch: Callable[[TrainingRecord], None]) -> None:
        state, config = self.state, self.config
        last, known = state.step == config.steps, len(state.records)
        if state.step % config.record_every == 0 or last:
            rate = learning_rate(state.step - 1, config.steps, config.learning_rate, config.warm_up_share)
            values = {"loss": float(np.mean(state.losses)), "learning_rate": rate}
            state.records.append(TrainingRecord(kind="train", step=state.step, values=values))
            state.losses.clear()
        if state.step % config.validate_every == 0 or last:
            state.kept_net.eval()
            with torch.inference_mode():
                scores = self.task.validate(state.kept_net)
            state.net.train()
            if scores is not None:
                state.records.append(TrainingRecord(kind="validation", step=state.step, values=scores))
        for record in state.records[known:]:
            watch(record)


class _LossOf(nn.Module):
    """The loss as a module, which is what torch averages the gradients of."""

    def __init__(self, net: nn.Module, task: Task) -> None:
        super().__init__()
        self.net, self._task = net, task

    def forward(self, batch: Any, step: int) -> torch.Tensor:
        return self._task.loss(self.net, batch, step)


Prepare = Callable[[Any, torch.device, int], Training[T]]
"""(job, device, rank) -> the run of that process: a function at the top of a module, since it goes to processes."""


def train(prepare: Prepare[T], job: Any, config: LoopConfig, advance: Advance) -> Training[T]:
    """Train as `job` says, or finish an interrupted run; the net comes back in evaluation mode."""
    device = device_of(config.device, config.devices)
    if device.type == "cpu" and config.cpu_bfloat16 and not computes_bfloat16():
        logger.warning("This processor has no bfloat16 (AVX-512 or newer): the training is in float32.")
    if config.devices > 1:
        if config.batch_size % config.devices:
            raise ConfigError(f"batch_size ({config.batch_size}) must be a multiple of devices ({config.devices}).")
        run_processes(_process, (prepare, job, config), config.devices)
    training = prepare(job, device, 0)
    training.run(advance, device=device)  # after several processes: only takes what they have saved
    training.state.kept_net.eval()
    return training


def _process(rank: int, run: tuple[Prepare[Any], Any, LoopConfig], rendezvous: Rendezvous) -> None:
    """The part of process `rank` in a training with several devices."""
    prepare, job, config = run
    device = device_of(config.device, config.devices, rank)
    with rendezvous.joined(rank, device):
        prepare(job, device, rank).run(lambda steps, note: None, device=device, distributed=True)


def computes_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16, without which torch fails or is many times slower."""
    return not torch.backends.mkldnn.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def autocast(device: torch.device, config: LoopConfig) -> AbstractContextManager[None]:
    """bfloat16 where the settings want it and the processor has it; float32 elsewhere."""
    on_cpu = config.cpu_bfloat16 and computes_bfloat16()
    wanted = {"cuda": config.mixed_precision, "cpu": on_cpu}.get(device.type, False)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)
