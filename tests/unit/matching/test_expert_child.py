"""The supervision of a child process, with small scripts as children: answers, and every way to break the rules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gs_stereo.errors import PluginError, StageError
from gs_stereo.matching import expert_worker
from gs_stereo.matching.expert_child import ExpertChild

ROOT = Path(__file__).parents[3]
WORKER = Path(expert_worker.__file__)

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


def child(tmp_path: Path, script: str, *, silence_s: float = 60.0, name: str = "The expert") -> ExpertChild:
    path = tmp_path / "child.py"
    path.write_text(_HELPERS + script)
    return ExpertChild(name, [sys.executable, "-S", "-E", str(path)], folder=tmp_path, silence_timeout_s=silence_s)


def ask(expert: ExpertChild, *, timeout_s: float = 60.0, answer_bytes: int = 0, payload: bytes = b"") -> bytes:
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
        ExpertChild("The expert", [str(tmp_path / "none")], folder=tmp_path, silence_timeout_s=1)


def test_our_python_path_stays_out_of_their_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    expert = child(tmp_path, "receive(); send({'path': os.environ.get('PYTHONPATH', 'none')})")
    assert expert.request({}, timeout_s=60).header["path"] == "none"
    expert.close()


def test_the_worker_says_that_it_is_alive_and_ends_when_its_input_closes(tmp_path: Path) -> None:
    expert = ExpertChild("The expert", [sys.executable, str(WORKER)], folder=tmp_path, silence_timeout_s=60)
    deadline, first = time.monotonic() + 60, expert._inbox.heard
    while expert._inbox.heard == first and time.monotonic() < deadline:
        time.sleep(0.05)
    assert expert._inbox.heard > first
    assert expert._process.stdin is not None
    expert._process.stdin.close()
    assert expert._process.wait(20) == 0
    expert.close()


def test_the_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from gs_stereo.matching.expert_child import ExpertChild\n"
        "expert = ExpertChild('x', [sys.executable, sys.argv[1]], folder=Path(sys.argv[2]), silence_timeout_s=60)\n"
        "print(expert._process.pid, flush=True); time.sleep(3600)"
    )
    command = [sys.executable, "-c", program, str(WORKER), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert running(pid)
        parent.send_signal(signal.SIGKILL)
    assert gone(pid)


def test_an_abandoned_child_is_ended(tmp_path: Path) -> None:
    expert = child(tmp_path, "receive(); time.sleep(3600)")
    pid = expert._process.pid
    del expert
    assert gone(pid)


def test_the_worker_imports_nothing_of_this_package_and_no_neighbour(tmp_path: Path) -> None:
    """It must run where this package is not installed, although the names in its folder hide well-known ones."""
    code = (
        f"import runpy, sys; sys.argv = [{str(WORKER)!r}]; sys.path.insert(0, {str(WORKER.parent)!r})\n"
        f"module = runpy.run_path({str(WORKER)!r}, run_name='worker'); module['_import_from']({str(tmp_path)!r})\n"
        "assert not [name for name in sys.modules if name.startswith(('gs_stereo', 'numpy', 'torch'))]\n"
        f"assert sys.path[0] == {str(tmp_path)!r} and {str(WORKER.parent)!r} not in sys.path"
    )
    subprocess.run([sys.executable, "-S", "-I", "-c", code], check=True, cwd=tmp_path)
