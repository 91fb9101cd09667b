"""One training run of a stereo net, from settings to a trained net: start weights, what identifies it, result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gs_stereo.config import Config, canonical_json
from gs_stereo.core.hashing import sha256_file, sha256_text
from gs_stereo.errors import ConfigError
from gs_stereo.nets.protocol import StereoNet, make_net, resolve_net
from gs_stereo.nets.weights import NetDescription, TrainedNet, filled, load_net
from gs_stereo.training.card import joint_licence
from gs_stereo.training.config import DataSource
from gs_stereo.training.data import SplitData, data_digests, open_data
from gs_stereo.training.loop import Advance, Training, train
from gs_stereo.training.record import TrainingRecord
from gs_stereo.training.state import TrainingState
from gs_stereo.training.stereo.config import TrainConfig
from gs_stereo.training.stereo.task import StereoTask


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """What to train on what.

    folder: where the checkpoint lies; a run continues from the one it finds there. live_folder: where the record can
    be watched while it grows (see `live_record`), if anywhere.
    """

    config: TrainConfig
    sources: tuple[DataSource, ...]
    seed: int
    folder: Path
    live_folder: Path | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingResult:
    """The net in evaluation mode, its description, and the record of the run."""

    net: StereoNet
    description: NetDescription
    records: tuple[TrainingRecord, ...]
    device: str
    training_pairs: int


def train_net(job: TrainingJob, advance: Advance = lambda steps, note: None) -> TrainingResult:
    """Train, or finish an interrupted run. The input is never written to.

    Raises ConfigError or InputError for settings, data or weights that do not fit, StageError if it diverges.
    """
    training = train(prepare, job, job.config, advance)
    net = training.state.kept_net
    assert isinstance(net, StereoNet)
    return TrainingResult(
        net=net,
        description=describe(training.task, net.config),
        records=tuple(training.state.records),
        device=training.task.device.type,
        training_pairs=sum(len(each.training) for each in training.task.data),
    )


def prepare(job: TrainingJob, device: torch.device, rank: int) -> Training[StereoTask]:
    """The run of process `rank`, from fresh weights that depend on the seed or from the start weights."""
    config = job.config
    data = open_data(job.sources, config.validation_share, job.seed)
    start = None if config.start is None else load_net(config.start)
    net_config = net_config_of(config, start)
    if start is None:
        net = make_net(config.net, net_config, job.seed)
    else:
        net = filled(config.net, net_config, start.net.state_dict(), start.file)
    return Training(
        task=StereoTask(
            data=data,
            config=config,
            seed=job.seed,
            device=device,
            rank=rank,
            start=None if start is None else start.description,
        ),
        state=TrainingState.of(net.to(device), config),
        config=config,
        run_id=run_id_of(job, data, start),
        folder=job.folder,
        live_folder=job.live_folder,
        rank=rank,
    )


def net_config_of(config: TrainConfig, start: TrainedNet | None) -> Config:
    """The net's settings: those of the start weights if there are any, with `net_settings` laid on them."""
    if start is None:
        return resolve_net(config.net, config.variant, config.net_settings)
    if start.description.net != config.net:
        raise ConfigError(f"{config.start} holds the net {start.description.net}, not {config.net}; set net to it.")
    return resolve_net(config.net, None, {**start.description.settings, **config.net_settings})


def run_id_of(job: TrainingJob, data: Sequence[SplitData], start: TrainedNet | None) -> str:
    """One text for everything that decides the result: settings, seed, weights, and the content of the data."""
    values = job.config.model_dump(mode="json", exclude={"start", "loader_workers"})
    weights = None if start is None else sha256_file(start.file)
    return sha256_text(canonical_json([values, weights, job.seed, data_digests(data), [each.weight for each in data]]))


def describe(task: StereoTask, net: Config) -> NetDescription:
    """What is published beside the weights; the licences of labels and start weights are carried on."""
    config, start = task.config, task.start
    sources = [each.provenance for each in task.data]
    labels = dict.fromkeys((each.name, each.version, each.licence, each.weights_sha256) for each in sources)
    names = ("name", "version", "licence", "weights_sha256")
    return NetDescription(
        net=config.net,
        settings=net.model_dump(mode="json"),
        licence=joint_licence([label[2] for label in labels] + ([] if start is None else [start.licence])),
        training={
            "steps": config.steps,
            "batch_size": config.batch_size,
            "start": None if start is None else {"licence": start.licence, **start.training},
            "labels": [dict(zip(names, label, strict=True)) for label in labels],
        },
    )
