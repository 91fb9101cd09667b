"""A fleet on three Ray nodes of this machine's loopback, one of which is killed, and with a worker that dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed; `pip install gs_stereo[ray]`"),
]

# A process of its own: Ray warns, and leaves threads and signal handlers behind.
PROGRAM = """
import json, sys
from pathlib import Path
from ray.cluster_utils import Cluster
from test_fleet import counted, plan, run_toy_cell
from gs_stereo.executors.fleet import FleetDriver, FleetSettings
from gs_stereo.executors.ray import RayPool

rooms = [Path(room) for room in sys.argv[1:]]
node = {"num_cpus": 1, "node_ip_address": "127.0.0.2"}  # Ray takes 127.0.0.1 for the address of the network card
cluster = Cluster(initialize_head=True, head_node_args=node)
lost, _ = cluster.add_node(**node), cluster.add_node(**node)
settings = FleetSettings(cache=str(rooms[0].parent / "cache"), tries=5, backoff_s=0.1, lease_s=3.0)
events = []
for event in FleetDriver(plan(rooms).jobs, RayPool(None, cluster.address), run_toy_cell, settings).run():
    events.append(event)
    if lost and event.kind == "done":
        cluster.remove_node(lost, allow_graceful=False)
        lost = None
cluster.shutdown()
print(json.dumps([counted(events), [event.reason for event in events if event.kind == "retry"]]))
"""


def test_a_node_and_a_worker_may_die(tmp_path: Path) -> None:
    rooms = [tmp_path / f"room_{number}" for number in range(6)]
    for room in rooms:
        room.mkdir()
        (room / "input.txt").write_text(room.name)
    (rooms[1] / "die_once").touch()
    paths = [str(Path(__file__).parent), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", PROGRAM, *map(str, rooms)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    counts, reasons = json.loads(run.stdout.splitlines()[-1])
    assert (counts["done"], counts.get("aside", 0)) == (12, 0)
    assert any("count of room_1 was lost" in reason for reason in reasons)
    assert [(room / "gsstereo/sum/sum.txt").read_text() for room in rooms] == ["2"] * 6
