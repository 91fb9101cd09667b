"""Data-parallel training: one process a device, gradients averaged by torch's DistributedDataParallel.

Every process takes its part of each batch. Process 0 validates and writes the checkpoint, from which the caller
takes the result.
"""

from __future__ import annotations

import socket

import torch
from torch import distributed
from torch.multiprocessing.spawn import ProcessException, spawn
from torch.nn.parallel import DistributedDataParallel

from gs_stereo.errors import ConfigError, StageError
from gs_stereo.nets.weights import load_net
from gs_stereo.training.stereo.data import open_data
from gs_stereo.training.stereo.train import TrainingJob, device_of, make_trainer, prepared_state


def run_processes(job: TrainingJob) -> None:
    """Train with `config.devices` processes and wait for them; StageError if one fails."""
    config = job.config
    if config.batch_size % config.devices:
        raise ConfigError(f"batch_size ({config.batch_size}) must be a multiple of devices ({config.devices}).")
    device_of(config, config.devices - 1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    try:
        spawn(_process, args=(job, port), nprocs=config.devices)
    except ProcessException as error:
        reason = str(error).strip().splitlines()[-1]
        raise StageError(f"A training process failed ({reason}); look at its output above.") from error


def _process(rank: int, job: TrainingJob, port: int) -> None:
    device = device_of(job.config, rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=f"tcp://127.0.0.1:{port}",
        rank=rank,
        world_size=job.config.devices,
    )
    try:
        start = None if job.config.start is None else load_net(job.config.start)
        state = prepared_state(job, start, device)
        data = open_data(job.sources, job.config.validation_share, job.seed)
        wrapped = DistributedDataParallel(state.net, device_ids=[device] if device.type == "cuda" else None)
        trainer = make_trainer(job, data, wrapped, device, rank)
        trainer.resume(state)
        trainer.run(state, lambda steps, note: None)
        distributed.barrier()
    finally:
        distributed.destroy_process_group()
