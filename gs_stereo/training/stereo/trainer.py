"""The training loop of stereo nets, on the CPU, one GPU or several processes.

A step is a pure function of the state and the step's number: data, augmentation and learning rate depend on
(seed, step) only. So a run that resumes from a checkpoint equals one that was never interrupted, to the bit on a CPU
with the same number of threads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gs_stereo.errors import StageError
from gs_stereo.metrics.disparity import DisparityMetrics, DisparityScores
from gs_stereo.nets.protocol import StereoNet
from gs_stereo.training.record import LiveRecord, LossRecord, ValidationRecord
from gs_stereo.training.schedule import learning_rate
from gs_stereo.training.state import CHECKPOINT_NAME, TrainingState, load_state, save_state
from gs_stereo.training.stereo.config import TrainConfig
from gs_stereo.training.stereo.data import Batch, SplitData, to_batch, to_pair, training_batches
from gs_stereo.training.stereo.losses import total_loss

_CHECKPOINT_SECONDS = 600.0
Advance = Callable[[int, str], None]


def make_optimizer(net: StereoNet, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW over all parameters; the rate is set at every step."""
    return torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trainer:
    """Trains the net of a state in place.

    forward: the net itself, or its distributed wrapper. rank: which process this is; only rank 0 validates, records
    and writes checkpoints into `folder`. live_folder: where the record can be watched while it grows, if anywhere.
    """

    data: SplitData
    config: TrainConfig
    seed: int
    run_id: str
    folder: Path
    forward: Callable[..., list[torch.Tensor]]
    device: torch.device
    rank: int = 0
    live_folder: Path | None = None

    def resume(self, state: TrainingState) -> None:
        """Continue from the checkpoint, if there is one."""
        path = self.folder / CHECKPOINT_NAME
        if path.is_file():
            load_state(path, state, self.run_id)

    def run(self, state: TrainingState, advance: Advance) -> None:
        """All steps that are left, and a checkpoint at the end. `advance(steps, note)` shows progress."""
        batches = training_batches(self.data, self.config, self.seed, first_step=state.step, rank=self.rank)
        saved_at = time.monotonic()
        state.net.train()
        with self._live_record(state) as live:
            for batch in batches:
                loss = self._step(state, batch.to(self.device))
                if self.rank == 0:
                    self._record(state, live)
                    due = state.step % self.config.checkpoint_every == 0
                    if due or time.monotonic() - saved_at > _CHECKPOINT_SECONDS:
                        self._save(state)
                        saved_at = time.monotonic()
                advance(1, f"loss {loss:.3f}")
        if self.rank == 0:
            self._save(state)

    def _step(self, state: TrainingState, batch: Batch) -> float:
        config = self.config
        rate = learning_rate(state.step, config.steps, config.learning_rate, config.warm_up_share)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        with autocast(self.device, config):
            predictions = self.forward(batch.left, batch.right, max_disparity_px=config.loss.max_disparity_px)
        loss = total_loss([each.float() for each in predictions], batch, config.loss)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(state.net.parameters(), config.clip_norm)
        value = loss.item()
        if not math.isfinite(value):
            raise StageError(f"The training diverged at step {state.step} (loss {value}); lower train.learning_rate.")
        state.optimizer.step()
        state.step += 1
        state.losses.append(value)
        return value

    def _live_record(self, state: TrainingState) -> AbstractContextManager[LiveRecord | None]:
        if self.live_folder is None or self.rank != 0:
            return nullcontext()
        return LiveRecord(self.live_folder, state.records, tensorboard=self.config.tensorboard)

    def _record(self, state: TrainingState, live: LiveRecord | None) -> None:
        known = len(state.records)
        self._add_records(state)
        if live is not None:
            for record in state.records[known:]:
                live.add(record)

    def _add_records(self, state: TrainingState) -> None:
        config, step = self.config, state.step
        last = step == config.steps
        if step % config.record_every == 0 or last:
            rate = learning_rate(step - 1, config.steps, config.learning_rate, config.warm_up_share)
            mean = float(np.mean(state.losses))
            state.records.append(LossRecord(step=step, loss=mean, learning_rate=rate))
            state.losses.clear()
        if step % config.validate_every == 0 or last:
            scores = validate(state.net, self.data, config, self.device)
            if scores is not None:
                state.records.append(_validation_record(step, scores))

    def _save(self, state: TrainingState) -> None:
        save_state(self.folder / CHECKPOINT_NAME, state, self.run_id)


def autocast(device: torch.device, config: TrainConfig) -> Any:
    """bfloat16 on CUDA if wanted; float32 elsewhere."""
    wanted = device.type == "cuda" and config.mixed_precision
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)


@dataclass(frozen=True, kw_only=True)
class HeldOutScores:
    """Pooled scores over `pairs` held-out pairs."""

    pairs: int
    scores: DisparityScores


def validate(net: StereoNet, data: SplitData, config: TrainConfig, device: torch.device) -> HeldOutScores | None:
    """Scores on held-out pairs, whole and not augmented; None if nothing is held out. Leaves the net in training."""
    chosen = _validation_samples(data, config.validation_pairs)
    if not chosen:
        return None
    metrics = DisparityMetrics((1.0, 2.0, 3.0))
    net.eval()
    with torch.inference_mode():
        for source, index in chosen:
            pair = to_pair(data.datasets[source][index])
            batch = to_batch([pair]).to(device)
            with autocast(device, config):
                answer = net(batch.left, batch.right, max_disparity_px=config.loss.max_disparity_px)[-1]
            in_range = (pair.disparity <= config.loss.max_disparity_px) & ~pair.hidden
            metrics.update(answer[0, 0].float().cpu().numpy(), pair.disparity, in_range)
    net.train()
    return HeldOutScores(pairs=len(chosen), scores=metrics.compute())


def _validation_samples(data: SplitData, most: int) -> list[tuple[int, int]]:
    """At most `most` held-out samples, spread evenly over all data sets."""
    everything = [(source, int(index)) for source, held_out in enumerate(data.held_out) for index in held_out]
    if len(everything) <= most:
        return everything
    places = np.linspace(0, len(everything) - 1, most).round().astype(int)
    return [everything[place] for place in places]


def _validation_record(step: int, held_out: HeldOutScores) -> ValidationRecord:
    scores = held_out.scores
    return ValidationRecord(
        step=step,
        pairs=held_out.pairs,
        epe_px=scores.epe_all_pixels,
        bad_1=scores.bad_all_pixels[1.0],
        bad_2=scores.bad_all_pixels[2.0],
        bad_3=scores.bad_all_pixels[3.0],
        d1=scores.d1_all_pixels,
    )
