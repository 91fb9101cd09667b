"""Threads follow the cores that a process may use, sleep while they wait, and are divided among pools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gs_stereo.core.child import Program
from gs_stereo.core.cores import VARIABLE, cores, quota, shared_by, sharing, use_cores

COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what a test sets ends with it."""
    for name in sharing():
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of eight cores without limits."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr("gs_stereo.core.cores.quota", lambda: None)


def system(root: Path, groups: str, files: dict[str, str]) -> Path:
    """A root folder with what the kernel says about control groups."""
    for name, text in {"proc/self/cgroup": groups, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("200000 100000\n", 2), ("150000 100000\n", 2), ("20000 100000\n", 1), ("max 100000\n", None), ("", None)],
)
def test_quota_of_version_2(tmp_path: Path, limit: str, expected: int | None) -> None:
    assert quota(system(tmp_path, "0::/\n", {"sys/fs/cgroup/cpu.max": limit})) == expected


def test_a_group_is_bound_by_those_around_it(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/a/cpu.max": "300000 100000", "sys/fs/cgroup/a/b/cpu.max": "max 100000"}
    assert quota(system(tmp_path, "0::/a/b\n", files)) == 3


@pytest.mark.parametrize("group", ["/docker/1", "/"])  # a container may not see its own group, only the mount
def test_quota_of_version_1(tmp_path: Path, group: str) -> None:
    top = "sys/fs/cgroup/cpu,cpuacct"
    files = {f"{top}/cpu.cfs_quota_us": "250000\n", f"{top}/cpu.cfs_period_us": "50000\n"}
    assert quota(system(tmp_path, f"4:memory:/x\n3:cpu,cpuacct:{group}\n0::/\n", files)) == 5
    (tmp_path / top / "cpu.cfs_quota_us").write_text("-1\n")
    assert quota(tmp_path) is None


def test_no_control_groups_are_no_limit(tmp_path: Path) -> None:
    assert quota(tmp_path) is None


def test_the_least_of_all_limits_counts(many_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cores() == 8
    monkeypatch.setattr("gs_stereo.core.cores.quota", lambda: 3)
    assert cores() == 3
    use_cores(2)
    assert cores() == 2
    use_cores(5)
    assert cores() == 3


def test_pools_within_pools_share_the_cores(many_cores: None) -> None:
    with shared_by(2):
        assert cores() == 4
        assert {os.environ[name] for name in COUNTS} == {"4"}
        with shared_by(3):
            assert cores() == 1
        assert cores() == 4
    assert cores() == 8
    assert not set(sharing()) & set(os.environ)
    with shared_by(20):
        assert cores() == 1


def test_what_the_user_has_set_is_kept_unless_it_multiplies(many_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert sharing()["OMP_NUM_THREADS"] == "3"
    assert sharing()["OMP_WAIT_POLICY"] == "active"
    assert sharing(4)["OMP_NUM_THREADS"] == "2"


SAID = """
import json, os, sys, torch
print(json.dumps({"policy": os.environ.get("OMP_WAIT_POLICY"), "threads": torch.get_num_threads()}))
"""
VERB = """
import os, sys
import gs_stereo.cli.doctor as doctor
from gs_stereo.cli.main import app
print(sorted(set(sys.modules) & {"torch", "numpy", "cv2"}), file=sys.stderr)
app(sys.argv[1:])
"""


def test_a_child_inherits_the_share_and_sleeps_while_it_waits(many_cores: None) -> None:
    use_cores(1)
    program = Program.of_module("unused", name="unused")
    said = subprocess.run([sys.executable, "-c", SAID], env=program.environment, capture_output=True, check=True)
    assert json.loads(said.stdout) == {"policy": "passive", "threads": 1}
    assert program.environment[VARIABLE] == "1"


def test_a_verb_sets_all_before_the_libraries_are_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", VERB, "doctor", "--json"], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[0] == "[]"
    [line] = [check["found"] for check in json.loads(done.stdout)["checks"] if check["topic"] == "cores"]
    assert line.endswith(f"torch uses {cores()} threads, passive while they wait")
