"""One training run from settings to a trained net: start weights, devices, processes, result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from gs_stereo.config import Config, canonical_json
from gs_stereo.core.hashing import sha256_file, sha256_text
from gs_stereo.datasets.schema import INDEX_NAME, read_index
from gs_stereo.errors import ConfigError
from gs_stereo.nets.protocol import StereoNet, make_net, resolve_net
from gs_stereo.nets.weights import NetDescription, TrainedNet, filled, load_net, weights_file
from gs_stereo.training.distributed import Rendezvous, device_of, run_processes
from gs_stereo.training.record import Record
from gs_stereo.training.state import TrainingState
from gs_stereo.training.stereo.config import DataSource, TrainConfig
from gs_stereo.training.stereo.data import SplitData, open_data
from gs_stereo.training.stereo.trainer import Advance, Trainer, make_optimizer
from gs_stereo.types import Provenance

OWN_LICENCE = "Apache-2.0"
_NO_WEIGHTS = "no expert weights"  # what labels without a learned expert say


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """What to train on what.

    folder: where the checkpoint lies; a run continues from the one it finds there. live_folder: where the record can
    be watched while it grows (see `LiveRecord`), if anywhere.
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
    records: tuple[Record, ...]
    device: str
    training_pairs: int


def train_net(job: TrainingJob, advance: Advance = lambda steps, note: None) -> TrainingResult:
    """Train, or finish an interrupted run. The input is never written to.

    Raises ConfigError or InputError for settings, data or weights that do not fit, StageError if it diverges.
    """
    config = job.config
    data = open_data(job.sources, config.validation_share, job.seed)
    start = None if config.start is None else load_net(config.start)
    net_config = net_config_of(config, start)
    device = device_of(config.device, config.devices)
    if config.devices > 1:
        if config.batch_size % config.devices:
            raise ConfigError(f"batch_size ({config.batch_size}) must be a multiple of devices ({config.devices}).")
        run_processes(_process, job, config.devices)
    state = prepared_state(job, start, device)
    trainer = make_trainer(job, data, state.net, device)
    trainer.resume(state)
    advance(state.step, "")
    if state.step < config.steps:
        trainer.run(state, advance)
    return TrainingResult(
        net=state.net.eval(),
        description=describe(config, net_config, data, start),
        records=tuple(state.records),
        device=device.type,
        training_pairs=data.training_count,
    )


def _process(rank: int, job: TrainingJob, rendezvous: Rendezvous) -> None:
    """The part of process `rank` in a training with several devices."""
    device = device_of(job.config.device, job.config.devices, rank)
    with rendezvous.joined(rank, device):
        start = None if job.config.start is None else load_net(job.config.start)
        state = prepared_state(job, start, device)
        data = open_data(job.sources, job.config.validation_share, job.seed)
        wrapped = DistributedDataParallel(state.net, device_ids=[device] if device.type == "cuda" else None)
        trainer = make_trainer(job, data, wrapped, device, rank)
        trainer.resume(state)
        trainer.run(state, lambda steps, note: None)


def net_config_of(config: TrainConfig, start: TrainedNet | None) -> Config:
    """The net's settings: those of the start weights if there are any, with `net_settings` laid on them."""
    if start is None:
        return resolve_net(config.net, config.variant, config.net_settings)
    if start.description.net != config.net:
        raise ConfigError(f"{config.start} holds the net {start.description.net}, not {config.net}; set net to it.")
    return resolve_net(config.net, settings={**start.description.settings, **config.net_settings})


def prepared_state(job: TrainingJob, start: TrainedNet | None, device: torch.device) -> TrainingState:
    """The state before the first step: fresh weights that depend on the seed, or the start weights."""
    net_config = net_config_of(job.config, start)
    if start is None:
        net = make_net(job.config.net, net_config, job.seed)
    else:
        net = filled(job.config.net, net_config, start.net.state_dict(), start.file)
    net = net.to(device).train()
    return TrainingState(net=net, optimizer=make_optimizer(net, job.config))


def make_trainer(job: TrainingJob, data: SplitData, forward: Any, device: torch.device, rank: int = 0) -> Trainer:
    """The loop of process `rank`."""
    return Trainer(
        data=data,
        config=job.config,
        seed=job.seed,
        run_id=run_id_of(job, data),
        folder=job.folder,
        forward=forward,
        device=device,
        rank=rank,
        live_folder=job.live_folder,
    )


def run_id_of(job: TrainingJob, data: SplitData) -> str:
    """One text for everything that decides the result: settings, seed, weights, and the content of the data."""
    shards = [_digests(dataset.samples.shards) for dataset in data.datasets]
    values = job.config.model_dump(mode="json", exclude={"start", "loader_workers"})
    start = None if job.config.start is None else sha256_file(weights_file(job.config.start))
    return sha256_text(canonical_json([values, start, job.seed, shards, list(data.weights)]))


def _digests(shards: Sequence[Path]) -> list[str]:
    """sha256 of the shards: from the index beside them, so that large data sets are not read through, else computed."""
    index = shards[0].parent / INDEX_NAME
    known = {entry.file: entry.sha256 for entry in read_index(index.parent).shards} if index.is_file() else {}
    return [known.get(shard.name) or sha256_file(shard) for shard in shards]


def describe(config: TrainConfig, net: Config, data: SplitData, start: TrainedNet | None) -> NetDescription:
    """What is published beside the weights; the licences of labels and start weights are carried on."""
    licences = [each.licence for each in data.provenances]
    if start is not None:
        licences.append(start.description.licence)
    return NetDescription(
        net=config.net,
        settings=net.model_dump(mode="json"),
        licence=joint_licence(licences),
        training={
            "steps": config.steps,
            "batch_size": config.batch_size,
            "start": None if start is None else {"licence": start.description.licence, **start.description.training},
            "labels": _each_once(map(_label_source, data.provenances)),
        },
    )


def joint_licence(licences: Sequence[str]) -> str:
    """Ours and every other one, each once, joined by AND: what binds a label binds the net."""
    others = {part for licence in licences for part in _parts(licence)} - {OWN_LICENCE, _NO_WEIGHTS}
    return " AND ".join([OWN_LICENCE, *sorted(others)])


def _parts(licence: str) -> list[str]:
    """The licences of a net (`A AND B`) or of a fused label (`expert: A; expert: B`)."""
    return [re.sub(r"^[\w-]+: ", "", part) for part in re.split(r" AND |; ", licence)]


def _each_once(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without repetitions, in order."""
    found: list[dict[str, Any]] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


def _label_source(provenance: Provenance) -> dict[str, Any]:
    values = asdict(provenance)
    return {name: values[name] for name in ("name", "version", "licence", "weights_sha256")}
