"""Real captures from a bucket on a Ray cluster under attack, compared with plain local execution. Prints JSON.

    python tools/fleet_acceptance.py --work DIR --config RECIPE [--kills 20] [--seed 0] SCENE...

Three Ray nodes on the loopback (one without cores, which keeps the cluster, and two with one), an S3 server by moto,
and two drivers on one list. Workers, nodes and drivers are killed at random until `--kills` are done; what was killed
is replaced. At the end a last driver must find nothing to do, and the published data set must have the bytes of the one
that a sequential local run makes. The JSON says what was killed, and every try that did not end well. What fell is an
AssertionError, and DIR stays. The plain run of DIR is used again if it is there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

_NODE = {"node_ip_address": "127.0.0.2", "object_store_memory": 100 << 20}
"""Ray takes 127.0.0.1 for the address of the network card."""

_GSSTEREO = [sys.executable, "-c", "import sys; from gs_stereo.cli.main import main; sys.exit(main())"]
_MOTO = [sys.executable, "-c", "import sys; from moto.server import main; sys.exit(main(['-p', sys.argv[1]]))"]
_BUCKET, _NAME = "captures", "all_scenes"


def gsstereo(*words: object) -> str:
    """The output of a command that must go well."""
    return subprocess.run([*_GSSTEREO, *map(str, words)], stdout=subprocess.PIPE, text=True, check=True).stdout


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def plain(work: Path, config: Path, scenes: list[Path]) -> Path:
    """The data set of a sequential run on this machine's disk."""
    published = work / "plain" / _NAME
    if not published.exists():
        for scene in scenes:
            shutil.copytree(scene, work / "plain" / scene.name, dirs_exist_ok=True)
        jobs = work / "plain.json"
        jobs.write_text(gsstereo("fleet", "plan", "--config", config, *(work / "plain" / s.name for s in scenes)))
        gsstereo("fleet", "run", jobs, "--workers", 1, "--threads", 1)
        gsstereo("fleet", "publish", jobs, "--to", published)
    return published


def start_store(scenes: list[Path]) -> subprocess.Popen[bytes]:
    """An S3 server that has the scenes; its address and keys are in the environment afterwards."""
    import fsspec

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([*_MOTO, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="y", AWS_DEFAULT_REGION="us-east-1")
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
    for _ in range(600):
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/").close()
            break
        time.sleep(0.1)
    store = fsspec.filesystem("s3")
    store.mkdir(_BUCKET)
    for scene in scenes:
        store.put(f"{scene}/", f"{_BUCKET}/{scene.name}/", recursive=True)
    return process


class Attack:
    """A cluster and two drivers, and what was done to them."""

    def __init__(self, work: Path, jobs: Path, draw: random.Random) -> None:
        os.environ["RAY_raylet_start_wait_time_s"] = "300"  # noqa: SIM112  its name; 30 are too few on a busy machine
        from ray.cluster_utils import Cluster

        self._work, self._draw = work, draw
        self.killed = list[dict[str, Any]]()
        self._cluster = Cluster(initialize_head=True, head_node_args={**_NODE, "num_cpus": 0})
        self._nodes = [self._cluster.add_node(num_cpus=1, **_NODE) for _ in range(2)]
        words = ["fleet", "run", jobs, "--executor", "ray", "--address", self._cluster.address, "--json"]
        words += ["--cache", work / "cache", "--workers", 1, "--lease", 15, "--tries", 50]
        self._command = [*_GSSTEREO, *map(str, words)]
        self._drivers = [self._driver() for _ in range(2)]

    def run(self, kills: int) -> list[dict[str, Any]]:
        """Until both drivers end well; what the last two have said."""
        started = time.monotonic()
        while any(driver.poll() != 0 for driver in self._drivers):
            time.sleep(self._draw.uniform(2.0, 6.0) if len(self.killed) < kills else 1.0)
            for number, driver in enumerate(self._drivers):
                if driver.poll() == -signal.SIGKILL:
                    self._drivers[number] = self._driver()
                assert driver.poll() in (None, 0, -signal.SIGKILL), f"a driver ended with {driver.returncode}"
            if len(self.killed) < kills and (kind := self._kill()):
                self.killed.append({"at_s": round(time.monotonic() - started, 1), "kind": kind})
        return [json.loads(driver.communicate()[0]) for driver in self._drivers]

    def _kill(self) -> str:
        """Kill something that is there; empty if nothing was."""
        kind = self._draw.choices(["worker", "node", "driver"], [6, 1, 2])[0]
        if kind == "node":
            lost = self._nodes.pop(self._draw.randrange(2))
            self._cluster.remove_node(lost, allow_graceful=False)
            self._nodes.append(self._cluster.add_node(num_cpus=1, **_NODE))
            return kind
        alive = [driver.pid for driver in self._drivers if driver.poll() is None]
        pids = alive if kind == "driver" else workers(os.getpid())
        if not pids:
            return ""
        with suppress(ProcessLookupError):
            os.kill(self._draw.choice(pids), signal.SIGKILL)
        return kind

    def _driver(self) -> subprocess.Popen[bytes]:
        with (self._work / "drivers.log").open("ab") as log:
            return subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log)

    def close(self) -> None:
        for driver in self._drivers:
            driver.kill()
        self._cluster.shutdown()


def workers(root: int) -> list[int]:
    """Ray's workers that do a cell just now, below a process."""
    parents, names = dict[int, int](), dict[int, str]()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            pid = int(folder.name)
            parents[pid] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            names[pid] = (folder / "cmdline").read_text().replace("\0", " ")

    def below(pid: int) -> bool:
        while pid in parents and pid != root:
            pid = parents[pid]
        return pid == root

    return [pid for pid, name in names.items() if name.startswith("ray::_call") and below(pid)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", type=Path, nargs="+", metavar="SCENE")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    expected = files(plain(given.work, given.config, given.scenes))
    store = start_store(given.scenes)
    jobs, published = given.work / "fleet.json", given.work / "fleet" / _NAME
    for old in (published, given.work / "cache"):
        shutil.rmtree(old, ignore_errors=True)
    urls = [f"s3://{_BUCKET}/{scene.name}" for scene in given.scenes]
    jobs.write_text(gsstereo("fleet", "plan", "--config", given.config, *urls))
    attack = Attack(given.work, jobs, random.Random(given.seed))
    try:
        started = time.monotonic()
        said = attack.run(given.kills)
        seconds = round(time.monotonic() - started, 1)
        tries = json.loads(gsstereo("fleet", "status", jobs, "--json", "--tries"))["failed_tries"]
        again = json.loads(gsstereo("fleet", "run", jobs, "--json"))
        gsstereo("fleet", "publish", jobs, "--to", published, "--cache", given.work / "cache")
    finally:
        attack.close()
        store.kill()
    assert again["skipped"] == again["cells"], f"a last driver found something to do: {again}"
    found = files(published)
    differ = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    killed = dict(Counter(each["kind"] for each in attack.killed))
    result = {"cells": again["cells"], "seconds": seconds, "killed": killed, "kills": attack.killed}
    print(json.dumps({**result, "last_drivers": said, "failed_tries": tries, "differ": differ}, indent=1))
    assert not differ, f"the bytes differ from plain execution in {differ}"


if __name__ == "__main__":
    main()
