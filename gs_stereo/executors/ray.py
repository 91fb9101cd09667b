"""Cells on a Ray cluster: one Ray task is one cell. Paths go in and a short outcome comes out; no array travels.

Ray places tasks and tells of workers and nodes that died. Trying again is the driver's, which does it alike everywhere.
While cores of the cluster are idle, a cell sends units of its work there too, as far as the same files are seen there.
"""

import os
import random
import re
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import gs_stereo
from gs_stereo.core.cores import use_cores
from gs_stereo.core.memory import reuse_freed_memory
from gs_stereo.errors import GsStereoError, InputError, StageError
from gs_stereo.executors.local import LocalExecutor
from gs_stereo.executors.pool import WorkerLostError
from gs_stereo.executors.spread import Done, Refused, spread
from gs_stereo.io.remote import Place, digest_of
from gs_stereo.pipeline.cell import Cell, Resources
from gs_stereo.pipeline.jobs import scene_files

U = TypeVar("U")
R = TypeVar("R")

_MIB = 1 << 20
_NODES_KNOWN_S = 2.0
"""For so long the driver does not ask again which nodes there are: a new one waits no longer than that for work."""

_HEAD_GONE_S = 20.0
"""For so long the head may be out of reach. Ray ends a driver by force after 60."""

_COLOUR = re.compile(r"\x1b\[\d+m")
_REMEMBERED_SCENES = 10_000


def ray_pool(at_once: int | None = None, address: str | None = None) -> "RayPool":
    """Connect to the cluster at `address`, or start Ray on the loopback of this machine until the driver ends."""
    return RayPool(at_once, address)


class RayPool:
    """At most `at_once` tasks, by default as many as the nodes have room for. InputError without such a cluster."""

    @staticmethod
    def executor(cell: Cell, workers: int | None) -> "UnitsOnRay":
        return UnitsOnRay(cell, workers)

    def __init__(self, at_once: int | None, address: str | None) -> None:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        where: dict[str, Any] = {"address": address}
        if not address:  # without `local` Ray would look for a cluster that was here before, and wait for a dead one
            # Ray takes 127.0.0.1 for the address of the network card; of the loopback's others only Linux knows.
            loopback = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
            where = {"address": "local", "_node_ip_address": loopback, "include_dashboard": False}
        try:
            ray.init(**where, namespace="gs_stereo", log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"Ray cannot be reached at {address or 'this machine'} ({reason}); check the address and `ray status`."
            ) from error
        self._until_closed = ExitStack()
        # Ray tells of dead nodes on stdout, where the answer of a command goes.
        self._until_closed.enter_context(redirect_stdout(sys.stderr))
        self._at_once, self._cores, self._asked = at_once, 1, -_NODES_KNOWN_S
        self._known: list[dict[str, Any]] = []
        self._head_seen = time.monotonic()
        self._call = ray.remote(_call)  # once, for each one is made known to the head, which may be gone
        self._homes: dict[str, str] = {}  # scene -> the node that had its last cell, and so has its files

    @property
    def slots(self) -> int:
        room = sum(int(node["Resources"].get("CPU", 0)) // self._cores for node in self._nodes())
        return max(1, room if self._at_once is None else min(room, self._at_once))

    def submit(self, task: Callable[[], Any], resources: Resources, near: str, *, elsewhere: bool = False) -> Any:
        nodes = [node["Resources"] for node in self._nodes()]
        if not any(node.get("GPU", 0) >= resources.gpus for node in nodes):
            raise StageError(
                f"The cell asks for {resources.gpus} GPU, and no node of the cluster has that; "
                "add a node, or plan it for the CPU."
            )
        if not any(node.get("memory", 0) >= resources.memory_mb * _MIB for node in nodes):
            raise StageError(
                f"The cell asks for {resources.memory_mb} MB, and no node of the cluster has that; add a larger node."
            )
        cpus = max(1, min(resources.cores, max(int(node.get("CPU", 1)) for node in nodes)))
        self._cores = max(self._cores, cpus)
        options = {
            "num_cpus": cpus,
            "num_gpus": resources.gpus,
            "memory": resources.memory_mb * _MIB,
            "max_retries": 0,
            "scheduling_strategy": self._strategy(near, elsewhere),
        }
        return self._call.options(**options).remote(task, cpus, near)

    def wait(self, tickets: Sequence[Any], timeout_s: float) -> list[Any]:
        ready, _ = ray.wait(list(tickets), num_returns=1, timeout=timeout_s)
        return list(ray.wait(list(tickets), num_returns=len(tickets), timeout=0)[0]) if ready else []

    def result(self, ticket: Any) -> Any:
        try:
            node, near, result = ray.get(ticket)
        except RayError as error:
            lines = _COLOUR.sub("", str(error)).strip().splitlines() or [type(error).__name__]
            # A traceback ends with what went wrong, everything else begins with it.
            raise WorkerLostError(lines[-1 if isinstance(error, RayTaskError) else 0][:200].rstrip(".")) from error
        if len(self._homes) >= _REMEMBERED_SCENES:
            del self._homes[next(iter(self._homes))]
        self._homes[near] = node
        if isinstance(result, GsStereoError):
            raise result
        return result

    def kill(self, ticket: Any) -> None:
        ray.cancel(ticket, force=True)

    def close(self) -> None:
        ray.shutdown()
        self._until_closed.close()

    def _strategy(self, near: str, elsewhere: bool) -> Any:
        home = self._homes.get(near)
        if home is None:
            return "SPREAD"
        if not elsewhere:  # a node that is busy or gone is no reason to wait, for files can be fetched
            return NodeAffinitySchedulingStrategy(home, soft=True, _spill_on_unavailable=True)
        others = [node["NodeID"] for node in self._nodes() if node["NodeID"] != home and node["Resources"].get("CPU")]
        return NodeAffinitySchedulingStrategy(random.choice(others), soft=True) if others else "SPREAD"

    def _nodes(self) -> list[dict[str, Any]]:
        """The nodes that live. StageError if the head of the cluster does not."""
        if time.monotonic() - self._asked > _NODES_KNOWN_S:
            self._asked = time.monotonic()
            if self._head_lives():  # asking a dead one never ends
                self._head_seen = time.monotonic()
                self._known = [node for node in ray.nodes() if node["Alive"]]
            elif time.monotonic() - self._head_seen > _HEAD_GONE_S:
                raise StageError(
                    "The head of the Ray cluster is gone; start the cluster again and run the same command, which goes "
                    "on after the cells that are finished."
                )
        return self._known or [{"NodeID": "", "Resources": {}}]

    def _head_lives(self) -> bool:
        host, port = ray.get_runtime_context().gcs_address.rsplit(":", 1)
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError:
            return False
        return True


def _call(task: Callable[[], Any], cpus: int, near: str) -> tuple[str, str, Any]:
    """Do a task on the cores that Ray has given it. Errors of ours are results, so that Ray does not wrap them."""
    reuse_freed_memory()
    use_cores(cpus)
    try:
        result = task()
    except GsStereoError as error:
        result = error
    return ray.get_runtime_context().get_node_id(), near, result


class UnitsOnRay(LocalExecutor):
    """The units of one cell that runs as a Ray task: here, and on idle cores of the cluster that see its files."""

    def __init__(self, cell: Cell, workers: int | None) -> None:
        super().__init__(workers)
        self._cell = cell

    def map(self, function: Callable[[U], R], units: Sequence[U], *, workers: int | None = None) -> Iterator[R]:
        """As of `LocalExecutor`; where a call says how many workers it bears, all of them are here."""
        if workers is not None or len(units) <= 1:
            yield from super().map(function, units, workers=workers)
            return
        count = min(self._workers, len(units))
        yield from spread(function, units, count, _IdleCores(function, units, self._cell))


@dataclass(frozen=True)
class _Marks:
    """A folder beside a cell's result, where each unit that is sent away is begun once: by who makes its file.

    scene, files: its folder, and the digest of the files in it. version: of the code that the units are for.
    """

    folder: Path
    scene: str
    files: str
    version: str

    @classmethod
    def of(cls, cell: Cell) -> "_Marks":
        # What has such a name beside a result is removed when its cell begins: this one died then.
        folder = cell.published.with_name(f"{cell.published.name}.tmp-units-{uuid.uuid4().hex[:12]}")
        folder.mkdir()
        files = digest_of(scene_files(Place(cell.scene)))
        return cls(folder=folder, scene=cell.scene, files=files, version=gs_stereo.__version__)

    def begin(self, number: int) -> bool:
        """False if it has begun, or is not to begin any more."""
        try:
            (self.folder / str(number)).touch(exist_ok=False)
        except OSError:
            return False
        return True


class _IdleCores:
    """Cores of the cluster that do nothing just now, on nodes with the accelerators of this one."""

    def __init__(self, function: Callable[[U], R], units: Sequence[U], cell: Cell) -> None:
        self._function, self._units, self._asks = function, units, cell.resources
        self._marks = _Marks.of(cell)
        self._sent = dict[int, Any]()
        self._begun = set[int]()
        self._blind = set[str]()  # nodes that do not see the files
        self._nodes, self._room, self._asked = list[str](), 0, -_NODES_KNOWN_S
        self._unit = ray.remote(_unit)

    def room(self, sent: int) -> int:
        if time.monotonic() - self._asked > _NODES_KNOWN_S:
            self._nodes, self._asked = sorted(_nodes_like_this() - self._blind), time.monotonic()
            idle = int(ray.available_resources().get("CPU", 0)) if self._nodes else 0
            self._room = min(sent, self._room) + idle
        return self._room

    def submit(self, number: int) -> "Future[Done[Any] | Refused]":
        options = {
            "num_cpus": 1,
            "num_gpus": self._asks.gpus,
            "memory": self._asks.memory_mb * _MIB // max(1, self._asks.cores),
            "max_retries": 0,
            "label_selector": {"ray.io/node-id": f"in({','.join(self._nodes)})"},
        }
        task = partial(self._function, self._units[number])
        self._sent[number] = self._unit.options(**options).remote(task, number, self._marks)
        future: Future[Done[Any] | Refused] = self._sent[number].future()
        return future

    def refused(self, answer: Refused) -> None:
        if answer.blind:
            self._blind.add(answer.blind)
            self._asked = -_NODES_KNOWN_S

    def take_back(self, number: int) -> bool:
        if number in self._begun:
            return False
        self._begun.add(number)
        return self._marks.begin(number)

    def close(self) -> None:
        shutil.rmtree(self._marks.folder, ignore_errors=True)
        for sent in self._sent.values():
            ray.cancel(sent, force=True)


def _nodes_like_this() -> set[str]:
    """The nodes that live and have the kinds of accelerators of this one, so that they compute the same bytes."""
    kinds = {
        node["NodeID"]: {name for name in node["Resources"] if name == "GPU" or name.startswith("accelerator_type")}
        for node in ray.nodes()
        if node["Alive"]
    }
    own = kinds.get(ray.get_runtime_context().get_node_id())
    return {name for name, found in kinds.items() if found == own}


def _unit(task: Callable[[], R], number: int, marks: _Marks) -> "Done[R] | Refused":
    """Do a unit of a cell that runs elsewhere, on one core, unless another one has begun it."""
    if not _sees_the_same(marks):
        return Refused(blind=ray.get_runtime_context().get_node_id())
    if not marks.begin(number):
        return Refused()
    reuse_freed_memory()
    use_cores(1)
    return Done(task())


@lru_cache(maxsize=1)
def _sees_the_same(marks: _Marks) -> bool:
    """Whether the files of a cell are here as they are where it runs."""
    try:
        files = digest_of(scene_files(Place(marks.scene)))
    except GsStereoError:
        return False
    return marks.folder.is_dir() and files == marks.files and marks.version == gs_stereo.__version__
