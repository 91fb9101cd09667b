"""Data-parallel training: one process a device, gradients averaged by torch's DistributedDataParallel.

Every process takes its part of each batch. Process 0 validates and writes the checkpoint, from which the caller
takes the result.
"""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed
from torch.multiprocessing.spawn import ProcessException, spawn

from gs_stereo.core.channel import end_when_closed
from gs_stereo.errors import ConfigError, StageError


def device_of(chosen: str, count: int, rank: int = 0) -> torch.device:
    """Where process `rank` of `count` trains (chosen: auto, cpu or cuda); ConfigError if CUDA is not there."""
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if chosen == "cpu" or (chosen == "auto" and not there):
        return torch.device("cpu")
    if count > there:
        raise ConfigError(f"The settings ask for {count} CUDA devices, there are {there}; set device=cpu.")
    return torch.device("cuda", rank)


@dataclass(frozen=True, kw_only=True)
class Rendezvous:
    """Where the processes of one training find each other: a loopback port, and how many they are."""

    port: int
    count: int

    @contextmanager
    def joined(self, rank: int, device: torch.device) -> Iterator[None]:
        """The process group while this process trains; all end together, and with the process that started them."""
        if parent := multiprocessing.parent_process():
            end_when_closed(parent.sentinel)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        distributed.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method=f"tcp://127.0.0.1:{self.port}",
            rank=rank,
            world_size=self.count,
        )
        try:
            yield
            distributed.barrier()
        finally:
            distributed.destroy_process_group()


def run_processes(process: Callable[[int, Any, Rendezvous], None], job: Any, count: int) -> None:
    """Run `process(rank, job, rendezvous)` in `count` processes and wait for them; StageError if one fails."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    try:
        spawn(process, args=(job, Rendezvous(port=port, count=count)), nprocs=count)
    except ProcessException as error:
        reason = str(error).strip().splitlines()[-1]
        raise StageError(f"A training process failed ({reason}); look at its output above.") from error
