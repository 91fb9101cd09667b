"""The loop with a task that is not stereo: exact resume, averaged weights, validation, divergence, processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from gs_stereo.errors import StageError
from gs_stereo.training.config import LoopConfig
from gs_stereo.training.loop import Task, Training, autocast, train
from gs_stereo.training.record import Curve, Curves, last_validation
from gs_stereo.training.state import TrainingState

CONFIG = LoopConfig(
    steps=8,
    batch_size=4,
    learning_rate=0.05,
    validate_every=4,
    record_every=2,
    checkpoint_every=1,
    device="cpu",
    weight_decay=0,
)


@dataclass(frozen=True, kw_only=True)
class Job:
    config: LoopConfig
    folder: Path
    average_decay: float | None = None
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class NoiseTask(Task):
    """Predict the noise that was added, as a diffusion net does: the draw of a step depends on the step."""

    job: Job
    rank: int

    def batches(self, first_step: int) -> Iterator[torch.Tensor]:
        for step in range(first_step, self.job.config.steps):
            generator = torch.Generator().manual_seed(step)
            batch = torch.randn(self.job.config.batch_size, 3, generator=generator)
            yield self.job.scale * batch[self.rank :: self.job.config.devices]

    def loss(self, net: nn.Module, batch: torch.Tensor, step: int) -> torch.Tensor:
        noise = torch.randn(batch.shape, generator=torch.Generator().manual_seed(1000 + step))
        loss: torch.Tensor = (net(batch + noise) - noise).square().mean()
        return loss

    def validate(self, net: nn.Module) -> Mapping[str, float]:
        assert not net.training
        assert torch.is_inference_mode_enabled()
        return {"size": float(sum(parameter.detach().abs().sum() for parameter in net.parameters()))}


def prepare(job: Job, device: torch.device, rank: int) -> Training[NoiseTask]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).to(device)
    return Training(
        task=NoiseTask(job=job, rank=rank),
        state=TrainingState.of(net, job.config, job.average_decay),
        config=job.config,
        run_id="noise",
        folder=job.folder,
        rank=rank,
    )


class StoppedError(Exception):
    """Ends a run from within."""


def run(job: Job, stop_after: int | None = None) -> TrainingState:
    done = 0

    def advance(steps: int, note: str) -> None:
        nonlocal done
        done += steps
        if done == stop_after:
            raise StoppedError

    return train(prepare, job, job.config, advance).state


def same(one: nn.Module, two: nn.Module) -> bool:
    first, second = one.state_dict(), two.state_dict()
    return first.keys() == second.keys() and all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.parametrize("decay", [None, 0.5])
def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(tmp_path: Path, decay: float | None) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    expected = run(Job(config=CONFIG, folder=whole, average_decay=decay))
    for steps in (3, 6):
        with pytest.raises(StoppedError):
            run(Job(config=CONFIG, folder=parts, average_decay=decay), stop_after=steps)
    found = run(Job(config=CONFIG, folder=parts, average_decay=decay))
    assert same(found.net, expected.net)
    assert same(found.kept_net, expected.kept_net)
    assert found.records == expected.records
    assert not found.kept_net.training


def test_the_average_is_what_is_validated_and_kept(tmp_path: Path) -> None:
    """By hand: average = d average + (1 - d) weights after every step but the first; d grows to the decay wanted."""
    seen: list[torch.Tensor] = []

    class Watched(NoiseTask):
        def loss(self, net: nn.Module, batch: torch.Tensor, step: int) -> torch.Tensor:
            seen.append(net[2].weight.detach().clone())  # type: ignore[index]
            return super().loss(net, batch, step)

    def watched(job: Job, device: torch.device, rank: int) -> Training[NoiseTask]:
        training = prepare(job, device, rank)
        task = Watched(job=job, rank=rank)
        return Training(task=task, **{k: v for k, v in vars(training).items() if k != "task"})

    state = train(watched, job := Job(config=CONFIG, folder=tmp_path, average_decay=0.4), job.config, print).state
    weights = [*seen[1:], state.net[2].weight.detach()]  # type: ignore[index]
    average = weights[0]
    for number, each in enumerate(weights[1:], 1):
        decay = min(0.4, (1 + number) / (10 + number))
        average = decay * average + (1 - decay) * each
    kept = state.kept_net
    torch.testing.assert_close(kept[2].weight.detach(), average)  # type: ignore[index]
    assert not same(kept, state.net)
    last = last_validation(state.records)
    assert last is not None
    assert last.step == 8
    size = float(sum(parameter.detach().abs().sum() for parameter in kept.parameters()))
    assert last.values["size"] == pytest.approx(size)


def test_a_run_that_diverges_is_a_stage_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="diverged at step 0"):
        run(Job(config=CONFIG, folder=tmp_path, scale=float("inf")))


def test_training_is_in_float32_where_the_processor_has_no_bfloat16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = CONFIG.model_copy(update={"cpu_bfloat16": True})
    monkeypatch.setattr("gs_stereo.training.loop.computes_bfloat16", lambda: False)
    with caplog.at_level("WARNING", logger="gs_stereo"), autocast(torch.device("cpu"), config):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
        run(Job(config=config, folder=tmp_path))
    assert "the training is in float32" in caplog.text
    monkeypatch.setattr("gs_stereo.training.loop.computes_bfloat16", lambda: True)
    with autocast(torch.device("cpu"), config):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_curves_leave_out_what_a_logarithm_has_not(tmp_path: Path) -> None:
    state = run(Job(config=CONFIG, folder=tmp_path))
    assert [(record.kind, record.step) for record in state.records] == [
        *(("train", step) for step in (2, 4)),
        ("validation", 4),
        *(("train", step) for step in (6, 8)),
        ("validation", 8),
    ]
    size = Curve(title="size", kind="validation", value="size")
    text = Curves(curves=(*Curves().curves, size), unit="mm").svg(state.records)
    assert "training loss" in text
    assert "size" in text
    assert "mm" in text


@pytest.mark.slow
def test_two_processes_train_together(tmp_path: Path) -> None:
    two = tmp_path / "two"
    two.mkdir()
    state = run(Job(config=CONFIG.model_copy(update={"devices": 2, "steps": 2}), folder=two))
    assert state.step == 2
    assert [record.kind for record in state.records] == ["train", "validation"]
