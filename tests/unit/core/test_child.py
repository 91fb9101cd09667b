"""The supervision of a child process, with small scripts as children: answers, and every way to break the rules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gs_stereo.core.child import Child, ChildError, Fixes, Program
from gs_stereo.errors import PluginError, StageError

ROOT = Path(__file__).parents[3]

_HELPERS = """
import json, os, struct, sys, time
frame = struct.Struct("<4sIQ")
def receive():
    _, header, payload = frame.unpack(sys.stdin.buffer.read(frame.size))
    return json.loads(sys.stdin.buffer.read(header)), sys.stdin.buffer.read(payload)
def send(header, payload=b"", magic=b"GSX1"):
    text = json.dumps(header).encode()
    sys.stdout.buffer.write(frame.pack(magic, len(text), len(payload)) + text + payload)
    sys.stdout.flush()
"""


def program(tmp_path: Path, script: str, **settings: Any) -> Program:
    path = tmp_path / "child.py"
    path.write_text(_HELPERS + script)
    return Program(
        name="The expert", command=[sys.executable, "-S", "-E", str(path)], environment=dict(os.environ), **settings
    )


def child(tmp_path: Path, script: str, *, silence_s: float = 60.0) -> Child:
    return Child(program(tmp_path, script, silence_timeout_s=silence_s, fixes=Fixes(slow="raise its timeout setting")))


def ask(expert: Child, *, timeout_s: float = 60.0, answer_bytes: int = 0, payload: bytes = b"") -> bytes:
    return expert.request({"kind": "ask"}, payload, timeout_s=timeout_s, answer_bytes=answer_bytes).payload


def running(pid: int) -> bool:
    """Alive and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int, within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not running(pid)


def test_large_payloads_go_there_and_back(tmp_path: Path) -> None:
    expert = child(
        tmp_path, "while True:\n    header, payload = receive()\n    send({'kind': 'result'}, payload[::-1])"
    )
    data = os.urandom(3_000_000)
    assert ask(expert, payload=data, answer_bytes=len(data)) == data[::-1]
    assert ask(expert, payload=b"ab", answer_bytes=2) == b"ba"
    pid = expert._process.pid
    expert.close()
    expert.close()
    assert not running(pid)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("receive(); print('last words', file=sys.stderr); sys.exit(7)", r"ended with code 7 .*last words"),
        ("receive(); os.kill(os.getpid(), 9)", "was killed, probably because memory ran out"),
        ("receive(); sys.exit(137)", "was killed, probably because memory ran out"),
        ("receive(); os.kill(os.getpid(), 11)", "was ended by signal 11"),
        ("sys.exit(0)", "ended with code 0"),
        ("receive(); send({'kind': 'result'}, magic=b'HTTP'); sys.exit(0)", "ended with code 0"),
        ("receive(); send({'kind': 'result'}, bytes(5000)); sys.exit(0)", "ended with code 0"),
        ("receive(); send(['no', 'mapping']); sys.exit(0)", "ended with code 0"),
        ("receive(); sys.stdout.write('x' * 10); sys.exit(0)", "ended with code 0"),
    ],
)
def test_a_child_that_ends_or_talks_nonsense_is_a_stage_error(tmp_path: Path, script: str, words: str) -> None:
    with pytest.raises(StageError, match=f"^The expert {words}"):
        ask(child(tmp_path, script), answer_bytes=100)


def test_a_child_that_hangs_is_ended_in_time(tmp_path: Path) -> None:
    script = (
        "import threading\n"
        "def alive():\n    while True:\n        send({'kind': 'alive'}); time.sleep(0.1)\n"
        "receive(); threading.Thread(target=alive, daemon=True).start(); time.sleep(3600)"
    )
    expert = child(tmp_path, script, silence_s=30)
    pid, started = expert._process.pid, time.monotonic()
    with pytest.raises(StageError, match=r"took longer than 0\.3 s .*raise its timeout setting"):
        ask(expert, timeout_s=0.3)
    assert time.monotonic() - started < 25
    assert not running(pid)


def test_a_silent_child_is_ended_long_before_its_timeout(tmp_path: Path) -> None:
    expert = child(tmp_path, "receive(); time.sleep(3600)", silence_s=0.5)
    with pytest.raises(StageError, match=r"gave no sign of life for 0\.5 s"):
        ask(expert, timeout_s=3600)


def test_a_child_that_does_not_read_cannot_block_us(tmp_path: Path) -> None:
    expert = child(tmp_path, "time.sleep(3600)", silence_s=0.5)
    with pytest.raises(StageError, match="did not read its input"):
        ask(expert, payload=bytes(5_000_000))


def test_the_helpers_of_a_child_end_with_it(tmp_path: Path) -> None:
    script = (
        "import subprocess\n"
        "helper = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(3600)'])\n"
        "receive(); send({'kind': 'result'}, str(helper.pid).encode()); time.sleep(3600)"
    )
    expert = child(tmp_path, script)
    helper = int(ask(expert, answer_bytes=20))
    assert running(helper)
    expert.close()
    assert gone(helper)


def test_only_the_end_of_a_long_log_is_kept(tmp_path: Path) -> None:
    script = "receive()\nfor i in range(200000): print('line', i, file=sys.stderr)\nsys.exit(1)"
    with pytest.raises(StageError, match=r"line 199998 \| line 199999\)") as caught:
        ask(child(tmp_path, script))
    assert len(str(caught.value)) < 1000


def test_a_program_that_does_not_start_is_a_plugin_error(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="Cannot start"):
        Child(Program(name="The expert", command=[str(tmp_path / "none")], environment={}))


def test_an_abandoned_child_is_ended(tmp_path: Path) -> None:
    expert = child(tmp_path, "receive(); time.sleep(3600)")
    pid = expert._process.pid
    del expert
    assert gone(pid)


def test_progress_comes_before_the_answer(tmp_path: Path) -> None:
    script = "receive()\nfor i in range(3): send({'kind': 'progress', 'done': i})\nsend({'kind': 'result'}); receive()"
    seen: list[int] = []
    with child(tmp_path, script) as expert:
        answer = expert.request({}, timeout_s=60, on_progress=lambda header: seen.append(header["done"]))
    assert seen == [0, 1, 2]
    assert answer.header == {"kind": "result"}


@pytest.mark.parametrize(
    ("end", "code"), [("sys.exit(7)", 7), ("os.kill(os.getpid(), 11)", -11), ("sys.exit(139)", -11)]
)
def test_the_error_tells_how_the_child_ended(tmp_path: Path, end: str, code: int) -> None:
    with pytest.raises(ChildError) as caught:
        ask(child(tmp_path, f"receive(); {end}"))
    assert caught.value.code == code
    with pytest.raises(ChildError) as caught:
        ask(child(tmp_path, "receive(); time.sleep(3600)"), timeout_s=0.2)
    assert caught.value.code is None


def test_a_child_has_no_more_memory_than_it_may(tmp_path: Path) -> None:
    script = "receive()\ntry: bytearray(3 << 30)\nexcept MemoryError: send({'kind': 'result'})\nreceive()"
    with Child(program(tmp_path, script, memory_bytes=1 << 30)) as expert:
        assert expert.request({}, timeout_s=60).header == {"kind": "result"}


CHANNEL_CHILDREN = {
    "waits for a request": "channel.receive(); channel.receive()",
    "works": "channel.receive()\nwhile True: pass",
    "is in native code that holds the interpreter": "channel.receive()\nimport ctypes; ctypes.PyDLL(None).sleep(3600)",
}


@pytest.mark.parametrize("work", CHANNEL_CHILDREN.values(), ids=CHANNEL_CHILDREN.keys())
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path, work: str) -> None:
    """By SIGKILL, so that nobody can tell the child."""
    (tmp_path / "worker.py").write_text(
        "from gs_stereo.core.channel import Channel\nchannel = Channel()\nchannel.send({'kind': 'progress'})\n" + work
    )
    (tmp_path / "parent.py").write_text(
        "import sys, threading\n"
        "from gs_stereo.core.child import Child, Program\n"
        "children = []\n"
        "thread = threading.Thread(target=lambda: children.append(Child(Program.of_module('worker', name='x'))))\n"
        "thread.start(); thread.join()  # the thread that starts a child may end before it\n"
        "child = children[0]\n"
        "child.request({}, on_progress=lambda _: print(child._process.pid, flush=True))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.5)
        assert running(pid)
        parent.send_signal(signal.SIGKILL)
    assert gone(pid)


def test_a_worker_that_says_it_is_alive_is_heard_and_ends_when_its_input_closes(tmp_path: Path) -> None:
    code = "from gs_stereo.core.channel import Channel; Channel(alive=True).receive()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    worker = Child(Program(name="x", command=[sys.executable, "-c", code], environment=environment))
    deadline, first = time.monotonic() + 60, worker._inbox.heard
    while worker._inbox.heard == first and time.monotonic() < deadline:
        time.sleep(0.05)
    assert worker._inbox.heard > first
    assert worker._process.stdin is not None
    worker._process.stdin.close()
    assert worker._process.wait(20) == 0
    worker.close()


def test_nothing_is_left_open(tmp_path: Path) -> None:
    def open_files() -> set[str]:
        return set(os.listdir("/proc/self/fd"))

    with child(tmp_path, "receive(); send({'kind': 'result'}); receive()") as expert:
        ask(expert)
        during = open_files()
    after = open_files()
    assert len(after) < len(during)
    with pytest.raises(PluginError):
        Child(Program(name="x", command=[str(tmp_path / "none")], environment={}))
    assert open_files() == after
