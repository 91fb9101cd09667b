"""Fleets on Ray: a cluster on the loopback whose nodes and workers die, hang or are full; Ray of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed; `pip install gs_stereo[ray]`"),
]

# Programs of their own: Ray warns, and leaves threads and signal handlers behind.
BEGIN = """
import json, sys
from pathlib import Path
from ray.cluster_utils import Cluster
from test_fleet import counted, plan, run_toy_cell
from gs_stereo.executors.fleet import FleetDriver, FleetSettings
from gs_stereo.executors.ray import RayPool

cache, *rooms = sys.argv[1:]
node = {"num_cpus": 1, "node_ip_address": "127.0.0.2"}  # Ray takes 127.0.0.1 for the address of the network card
settings = FleetSettings(cache=cache, tries=5, backoff_s=0.1, lease_s=3.0, deadline_s=20.0)
def drive(pool, after=lambda event: None):
    events = []
    for event in FleetDriver(plan(rooms).jobs, pool, run_toy_cell, settings).run():
        events.append(event)
        after(event)
    retries = [f"{event.scene}: {event.reason}" for event in events if event.kind == "retry"]
    print(json.dumps([counted(events), retries]))
"""
NODE_DIES = """
cluster = Cluster(initialize_head=True, head_node_args=node)
nodes = [cluster.add_node(**node), cluster.add_node(**node)]
drive(
    RayPool(None, cluster.address),
    lambda event: nodes and event.kind == "done" and cluster.remove_node(nodes.pop(), allow_graceful=False),
)
"""
DISK_IS_FULL = """
homes = [{"HOME": str(Path(cache).parent / name)} for name in ("small", "large")]
cluster = Cluster(initialize_head=True, head_node_args={**node, "num_cpus": 0})
nodes = [cluster.add_node(**node, env_vars=home) for home in homes]
settings = FleetSettings(cache="~/cache", tries=2, backoff_s=0.1)
drive(RayPool(None, cluster.address))
"""
HEAD_DIES = """
import os, signal
from gs_stereo.errors import StageError
cluster = Cluster(initialize_head=True, head_node_args={**node, "num_cpus": 0})
cluster.add_node(**node)

def kill_head(event):
    while (running := cluster.head_node.all_processes) and running.get("gcs_server"):
        for each in (*running.pop("gcs_server"), *running.pop("raylet")):
            os.kill(each.process.pid, signal.SIGKILL)

try:
    drive(RayPool(None, cluster.address), kill_head)
except StageError as error:
    print(json.dumps([{}, [str(error)]]), flush=True)
    os._exit(0)  # the cluster cannot be shut down without its head
"""
UNITS_SPREAD = """
import os, signal, threading, time
from functools import partial
from toy_stages import SpreadConfig, steps_of
from gs_stereo.io.remote import Place
from gs_stereo.pipeline.claims import read_claim
from gs_stereo.pipeline.jobs import plan_jobs
cluster = Cluster(initialize_head=True, head_node_args={**node, "num_cpus": 0})
nodes = {each.all_processes["raylet"][0].process.pid: each for each in [cluster.add_node(**node) for _ in range(3)]}
[room] = rooms
plan = lambda rooms: plan_jobs(steps_of(("spread", SpreadConfig(units=20))), rooms, output=None, seed=0)
output = Path(room, "gsstereo")
begun = lambda: [path.name.split("-") for path in output.glob("begun/*")]

def kill_a_helper():
    # The machine of a unit that has begun elsewhere and is not done yet.
    lost = []
    while not lost:
        time.sleep(0.1)
        if (claim := read_claim(Place(str(output)), "spread")) is None or len(begun()) < 6:
            continue
        done = {path.stem for path in output.glob("spread.tmp-*/unit_*")}
        lost = [(int(node), int(pid)) for unit, node, pid in begun() if int(pid) != claim.pid and unit not in done]
    os.kill(lost[0][1], signal.SIGKILL)
    cluster.remove_node(nodes[lost[0][0]], allow_graceful=False)

killer = threading.Thread(target=kill_a_helper)
killer.start()
pool = RayPool(None, cluster.address)
run_toy_cell = partial(run_toy_cell, units_on=pool.executor)
drive(pool)
killer.join(timeout=1)
assert len({node for _, node, _ in begun()}) == 3
"""
THIS_MACHINE = "drive(RayPool(2, None))"


def run(program: str, cache: Path, rooms: list[str]) -> tuple[dict[str, int], list[str]]:
    """What the events of a fleet were, and its retries as 'scene: reason'."""
    paths = [str(Path(__file__).parent), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}
    environment["FSSPEC_LOCAL_AUTO_MKDIR"] = "true"
    command = [sys.executable, "-c", BEGIN + program, str(cache), *rooms]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    counts, reasons = json.loads(done.stdout.splitlines()[-1])
    return counts, reasons


@pytest.fixture
def rooms(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"room_{number}" for number in range(6)]
    for room in found:
        (room / "gsstereo/.fleet").mkdir(parents=True)
        (room / "input.txt").write_text(room.name * 5000)
    return found


def sums(rooms: list[Path]) -> list[str]:
    return [(room / "gsstereo/sum/sum.txt").read_text() for room in rooms]


def test_a_node_and_a_worker_may_die_or_hang(rooms: list[Path], tmp_path: Path) -> None:
    (rooms[1] / "die_once").touch()
    (rooms[5] / "hang_once").touch()  # its turn comes when the nodes that die are gone
    counts, reasons = run(NODE_DIES, tmp_path / "cache", [str(room) for room in rooms])
    assert (counts["done"], counts.get("aside", 0)) == (12, 0)
    assert any(reason.startswith("room_1: The worker of count of room_1 was lost") for reason in reasons)
    assert any(reason.startswith("room_5: ") and "deadline of 20 s was over" in reason for reason in reasons)
    assert sums(rooms) == ["2"] * 6


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[None]:
    """A home folder on a disk of 16 KiB, and one as large as the machine's."""
    (tmp_path / "small").mkdir()
    (tmp_path / "large").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(tmp_path / "small")]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted; only root may do that")
    yield
    subprocess.run(["umount", "--lazy", str(tmp_path / "small")], check=True)


def test_a_full_disk_of_one_node_is_no_loss(rooms: list[Path], small_disk: None, tmp_path: Path) -> None:
    counts, reasons = run(DISK_IS_FULL, tmp_path / "cache", [f"local://{room}" for room in rooms])
    assert (counts["done"], counts.get("aside", 0)) == (12, 0)
    assert reasons
    assert all("Cannot write" in reason and "/small/" in reason for reason in reasons)
    assert sums(rooms) == ["2"] * 6


def test_ray_is_started_where_no_cluster_is_named(rooms: list[Path], tmp_path: Path) -> None:
    counts, _ = run(THIS_MACHINE, tmp_path / "cache", [str(room) for room in rooms[:2]])
    assert counts == {"done": 4}


def test_without_its_head_a_cluster_is_given_up_and_another_one_goes_on(rooms: list[Path], tmp_path: Path) -> None:
    (rooms[-1] / "hang_once").touch()  # so that it cannot be finished before anybody notices
    counts, [said] = run(HEAD_DIES, tmp_path / "cache", [str(room) for room in rooms])
    assert "The head of the Ray cluster is gone; start the cluster again" in said
    counts, _ = run(THIS_MACHINE, tmp_path / "cache", [str(room) for room in rooms])
    assert counts["skipped"] >= 1
    assert counts["skipped"] + counts["done"] == 12
    assert sums(rooms) == ["2"] * 6


def test_units_of_a_cell_use_idle_nodes_which_may_die(rooms: list[Path], tmp_path: Path) -> None:
    counts, reasons = run(UNITS_SPREAD, tmp_path / "cache", [str(rooms[0])])
    assert (counts, reasons) == ({"done": 1}, [])
    output = rooms[0] / "gsstereo"
    made = sorted(path for path in (output / "spread").rglob("*") if path.name != "manifest.json")
    assert (
        [path.name for path in made] == [path.read_text() for path in made] == [f"unit_{n:02d}.txt" for n in range(20)]
    )
    assert len(list((output / "begun").iterdir())) > 20  # one was begun again
    assert not list(output.glob("*.tmp-*"))
