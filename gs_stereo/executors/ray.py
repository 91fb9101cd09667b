"""Cells on a Ray cluster: one Ray task is one cell. Paths go in and a short outcome comes out; no array travels.

Ray places tasks and tells of workers and nodes that died. Trying again is the driver's, which does it alike everywhere.
"""

import os
import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stdout
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gs_stereo.core.cores import use_cores
from gs_stereo.core.memory import reuse_freed_memory
from gs_stereo.errors import GsStereoError, InputError, StageError
from gs_stereo.executors.pool import WorkerLostError
from gs_stereo.pipeline.cell import Resources

_MIB = 1 << 20
_NODES_KNOWN_S = 2.0
"""For so long the driver does not ask again which nodes there are: a new one waits no longer than that for work."""

_COLOUR = re.compile(r"\x1b\[\d+m")
_REMEMBERED_SCENES = 10_000


def ray_pool(at_once: int | None = None, address: str | None = None) -> "RayPool":
    """Connect to the cluster at `address`, or start Ray on the loopback of this machine until the driver ends."""
    return RayPool(at_once, address)


class RayPool:
    """At most `at_once` tasks, by default as many as the nodes have room for. InputError without such a cluster."""

    def __init__(self, at_once: int | None, address: str | None) -> None:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        where: dict[str, Any] = {"address": address} if address else {"_node_ip_address": "127.0.0.1"}
        if not address:
            where["include_dashboard"] = False
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
        return ray.remote(_call).options(**options).remote(task, cpus, near)

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
        """The nodes that live."""
        if time.monotonic() - self._asked > _NODES_KNOWN_S:
            self._known = [node for node in ray.nodes() if node["Alive"]] or [{"NodeID": "", "Resources": {}}]
            self._asked = time.monotonic()
        return self._known


def _call(task: Callable[[], Any], cpus: int, near: str) -> tuple[str, str, Any]:
    """Do a task on the cores that Ray has given it. Errors of ours are results, so that Ray does not wrap them."""
    reuse_freed_memory()
    use_cores(cpus)
    try:
        result = task()
    except GsStereoError as error:
        result = error
    return ray.get_runtime_context().get_node_id(), near, result
