"""The training loop: it learns, resumes exactly, holds out, refuses what does not fit, and says what it did."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from builders import write_shifted_pairs

from gs_stereo.config import parse_config
from gs_stereo.errors import ConfigError, InputError, PluginError
from gs_stereo.nets.weights import save_net
from gs_stereo.training.card import joint_licence
from gs_stereo.training.config import DataSource
from gs_stereo.training.data import open_data, plan_draws
from gs_stereo.training.record import LOG_NAME, TrainingRecord, log_text, write_record
from gs_stereo.training.schedule import learning_rate
from gs_stereo.training.state import CHECKPOINT_NAME
from gs_stereo.training.stereo.config import TrainConfig
from gs_stereo.training.stereo.task import CURVES
from gs_stereo.training.stereo.train import TrainingJob, TrainingResult, train_net

SMALL: dict[str, Any] = {
    "net_settings": {"volume_channels": [4, 4, 4], "refine_channels": 8, "refine_steps": 1},
    "steps": 6,
    "batch_size": 2,
    "crop_height": 32,
    "crop_width": 48,
    "validation_share": 0.2,
    "validate_every": 3,
    "record_every": 2,
    "checkpoint_every": 1,
    "device": "cpu",
    "loss": {"max_disparity_px": 16, "photometric": 0.1},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shifted_pairs(tmp_path_factory.mktemp("data") / "pairs", 10)


def job(data: Path, folder: Path, **settings: Any) -> TrainingJob:
    folder.mkdir(exist_ok=True)
    config = parse_config(TrainConfig, {**SMALL, **settings}, where="the test")
    return TrainingJob(config=config, sources=(DataSource(path=data),), seed=1, folder=folder)


class StoppedError(Exception):
    """Ends a run from within."""


def interrupt_after(steps: int) -> Any:
    done = 0

    def advance(count: int, note: str) -> None:
        nonlocal done
        done += count
        if done >= steps:
            raise StoppedError

    return advance


def same_weights(one: TrainingResult, two: TrainingResult) -> bool:
    first, second = one.net.state_dict(), two.net.state_dict()
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    return train_net(job(data, tmp_path_factory.mktemp("run")))


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(
    data: Path, tmp_path: Path, uninterrupted: TrainingResult
) -> None:
    for steps in (2, 3):  # 2, then 3 more
        with pytest.raises(StoppedError):
            train_net(job(data, tmp_path), interrupt_after(steps))
    resumed = train_net(job(data, tmp_path))
    assert same_weights(resumed, uninterrupted)
    assert resumed.records == uninterrupted.records


def test_workers_do_not_change_the_result(data: Path, tmp_path: Path, uninterrupted: TrainingResult) -> None:
    assert same_weights(train_net(job(data, tmp_path, loader_workers=1)), uninterrupted)


def test_other_seeds_and_settings_give_other_weights(data: Path, tmp_path: Path, uninterrupted: TrainingResult) -> None:
    other = TrainingJob(config=job(data, tmp_path).config, sources=job(data, tmp_path).sources, seed=2, folder=tmp_path)
    assert not same_weights(train_net(other), uninterrupted)


def test_it_learns(data: Path, tmp_path: Path) -> None:
    result = train_net(
        job(data, tmp_path, steps=30, learning_rate=3e-3, record_every=6, checkpoint_every=100, validation_share=0)
    )
    losses = [record.values["loss"] for record in result.records if record.kind == "train"]
    assert losses[-1] < 0.6 * losses[0]


def test_a_checkpoint_of_another_run_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train_net(job(data, tmp_path), interrupt_after(1))
    with pytest.raises(InputError, match="other settings"):
        train_net(job(data, tmp_path, learning_rate=1e-5))
    (tmp_path / CHECKPOINT_NAME).write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be read"):
        train_net(job(data, tmp_path))


def test_fine_tuning_starts_from_the_weights_and_carries_their_licence(
    data: Path, tmp_path: Path, uninterrupted: TrainingResult
) -> None:
    start = tmp_path / "start"
    start.mkdir()
    save_net(start, uninterrupted.net, uninterrupted.description)
    description = json.loads((start / "net.json").read_text())
    description["licence"] = "LicenseRef-research-only"
    (start / "net.json").write_text(json.dumps(description))
    settings = {"steps": 1, "learning_rate": 1e-9, "weight_decay": 0.0, "net_settings": {}, "start": start}
    tuned = train_net(job(data, tmp_path / "run", **settings))
    assert tuned.description.licence == "Apache-2.0 AND LicenseRef-research-only"
    before = uninterrupted.net.state_dict()
    for name, parameter in tuned.net.named_parameters():
        torch.testing.assert_close(parameter.detach(), before[name], atol=1e-6, rtol=0)
    with pytest.raises(ConfigError, match="holds the net lite"):
        train_net(job(data, tmp_path / "other", net="raft_stereo", net_settings={}, start=start))


def test_labels_bind_the_weights(tmp_path: Path) -> None:
    bound = write_shifted_pairs(tmp_path / "bound", 4, licence="LicenseRef-non-commercial")
    result = train_net(job(bound, tmp_path / "run", steps=1, validation_share=0))
    assert result.description.licence == "Apache-2.0 AND LicenseRef-non-commercial"
    assert joint_licence(["MIT AND A", "Apache-2.0", "A"]) == "Apache-2.0 AND A AND MIT"
    assert joint_licence(["no expert weights", "sgbm: Apache-2.0"]) == "Apache-2.0"
    fused = "sgbm: Apache-2.0; onnx: LicenseRef-NC (non-commercial: research only)"
    assert joint_licence([fused]) == "Apache-2.0 AND LicenseRef-NC (non-commercial: research only)"


def test_views_are_held_out_as_a_whole(data: Path) -> None:
    (split,) = open_data([DataSource(path=data)], 0.4, seed=0)
    held_out, training = ({int(index) // 2 for index in part} for part in (split.held_out, split.training))
    assert held_out
    assert training
    assert not held_out & training
    with pytest.raises(InputError, match="validation_share=0"):
        open_data([DataSource(path=data)], 0.9999999, seed=0)


def test_draws_follow_the_weights_and_repeat_no_sample_within_a_round(data: Path, tmp_path: Path) -> None:
    other = write_shifted_pairs(tmp_path / "other", 6, scene="other")
    sources = [DataSource(path=data, weight=3), DataSource(path=other, weight=1)]
    split = open_data(sources, 0, seed=0)
    plan = plan_draws(split, 400, seed=5)
    assert 0.68 < (plan[:, 0] == 0).mean() < 0.82
    first = plan[plan[:, 0] == 1, 1]
    assert sorted(first[:6]) == sorted(first[6:12]) == list(range(6))
    assert not np.array_equal(first[:6], first[6:12])
    np.testing.assert_array_equal(plan, plan_draws(split, 400, seed=5))


@pytest.mark.slow
def test_two_processes_train_together(data: Path, tmp_path: Path) -> None:
    result = train_net(job(data, tmp_path, devices=2, steps=2, validate_every=2))
    assert [record.kind for record in result.records] == ["train", "validation"]
    with pytest.raises(ConfigError, match="multiple of devices"):
        train_net(job(data, tmp_path / "odd", devices=2, batch_size=3))


def test_one_cycle() -> None:
    rates = [learning_rate(step, 100, 1.0, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.01)
    assert all(a < b for a, b in itertools.pairwise(rates[:11]))
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))


def test_the_log_and_the_curves(uninterrupted: TrainingResult) -> None:
    lines = [json.loads(line) for line in log_text(uninterrupted.records).splitlines()]
    assert [(line["kind"], line["step"]) for line in lines] == [
        ("train", 2),
        ("validation", 3),
        ("train", 4),
        ("train", 6),
        ("validation", 6),
    ]
    drawing = ElementTree.fromstring(CURVES.svg(uninterrupted.records))
    curves = list(drawing.iter("{http://www.w3.org/2000/svg}polyline"))
    assert [len(str(curve.get("points")).split()) for curve in curves] == [3, 2]
    ElementTree.fromstring(CURVES.svg([]))
    assert "held-out" not in CURVES.svg([TrainingRecord(kind="train", step=1, values={"loss": 1.0})])
    blank = TrainingRecord(kind="validation", step=1, values={"epe_px": float("nan")})
    assert json.loads(log_text([blank]))["epe_px"] is None


def test_tensorboard_is_optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(PluginError, match="pip install tensorboard"):
        write_record(tmp_path, [], CURVES, tensorboard=True)


def test_the_log_can_be_watched_and_is_consistent_after_an_interruption(
    data: Path, tmp_path: Path, uninterrupted: TrainingResult
) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    run = dataclasses.replace(job(data, tmp_path / "run", checkpoint_every=3), live_folder=watched)
    seen = []

    def watch(count: int, note: str) -> None:
        seen.append((watched / LOG_NAME).read_text() if (watched / LOG_NAME).exists() else "")
        if len(seen) == 6:  # after step 5: records of steps 2, 3 and 4 are there, the last checkpoint is of step 3
            raise StoppedError

    with pytest.raises(StoppedError):
        train_net(run, watch)
    assert [text.count("\n") for text in seen] == [0, 0, 1, 2, 3, 3]
    final = log_text(train_net(run).records)
    assert final == log_text(uninterrupted.records) == (watched / LOG_NAME).read_text()
    assert all(final.startswith(text) for text in seen)


class _Events:
    """Stands in for torch's SummaryWriter."""

    written: ClassVar[list[tuple[str, float, int]]] = []

    def __init__(self, folder: str) -> None:
        Path(folder).mkdir()  # fails if an earlier run's events are still there

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.written.append((name, value, step))

    def flush(self) -> None: ...

    def close(self) -> None: ...


def test_events_are_written_as_the_run_goes_and_again_in_the_end(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=_Events))
    monkeypatch.setattr(_Events, "written", [])
    settings = {"steps": 2, "record_every": 1, "validation_share": 0, "tensorboard": True}
    run = dataclasses.replace(job(data, tmp_path / "run", **settings), live_folder=tmp_path)
    result = train_net(run)
    live = list(_Events.written)
    assert [(name, step) for name, _, step in live if name == "train/loss"] == [("train/loss", 1), ("train/loss", 2)]
    write_record(tmp_path, result.records, CURVES, tensorboard=True)
    assert _Events.written == live + live
