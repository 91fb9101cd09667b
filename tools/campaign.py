"""The attack on our own promises: kills, odd environments and broken files, each repeatable by its seed.

    python tools/campaign.py kills --work DIR --count 300
    python tools/campaign.py operations --work DIR --stride 5
    python tools/campaign.py environments --work DIR
    python tools/campaign.py fuzz --work DIR --count 500 --target transforms.json

`kills` ends a run of `smoke` by a signal at random moments, again and again until it comes through. `operations` kills
each verb at every operation on files in its output (each `--stride`-th), and runs it again. Both then compare the whole
output with that of a run that nobody disturbed, and look for processes that live 2 s after their parent.
`environments` compares runs in odd surroundings. `fuzz` is tools/fuzz.py. Prints JSON; exit code 1 if anything fell.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: forks of a process with threads may hang

import numpy as np
from fuzz import bring, fuzz, summary, targets

ROOT = Path(__file__).parents[1]
MARK = "GS_STEREO_CAMPAIGN"
ORPHAN_S = 2.0
_KILLS_OF_A_RUN = 3
# Small enough for hundreds of runs; two workers, so that there are processes to be orphaned.
SAMPLE = ("--views", "10", "--width", "256", "--height", "192", "--set", "test_views=0", "-q")
RUN = (
    "run", "SCENE", "--config", "smoke", "--workers", "2", "-q", "--set", "reconstruct.max_image_size=256",
    "--set", "fit.iterations=40", "--set", "fit.checkpoint_every=10", "--set", "label.expert=sgbm",
)  # fmt: skip
VERBS: Mapping[str, tuple[str, ...]] = {
    "reconstruct": ("reconstruct", "SCENE", "--max-image-size", "256", "-q"),
    "fit": ("fit", "SCENE", "--iterations", "40", "--set", "checkpoint_every=10", "-q"),
    "render-pairs": ("render-pairs", "SCENE", "--set", "guards.enabled=false", "-q"),
    "label": ("label", "SCENE", "--expert", "sgbm", "--workers", "1", "-q"),
    "report": ("report", "SCENE", "--workers", "1", "-q"),
    "export": ("export", "SCENE", "--dataset", "sgbm", "--format", "kitti", "--to", "SCENE/gsstereo/exported", "-q"),
}
# Dies at its n-th operation on files below a folder, as os and shutil announce them to the interpreter.
VICTIM = """
import os, signal, sys
folder, left = sys.argv.pop(1), int(sys.argv.pop(1))
count = 0
def watch(event, arguments):
    global count
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
        return
    if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"):
        if folder in str(arguments[0]):
            count += 1
            if count == left:
                os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
from gs_stereo.cli.main import main
try:
    main()
finally:
    print("operations", count, file=sys.stderr)
"""
ENVIRONMENTS: Mapping[str, Mapping[str, str | None]] = {
    "C locale": {"LC_ALL": "C", "LANG": None, "PYTHONUTF8": "0"},
    "Turkish": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    "another hash seed": {"PYTHONHASHSEED": "12345"},
    "optimised": {"PYTHONOPTIMIZE": "2"},
    "other time zone": {"TZ": "Pacific/Chatham"},
    "one thread": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    "four threads": {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4"},
    "no home": {"HOME": None, "XDG_CACHE_HOME": None},
    "home that is no folder": {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null"},
    "no terminal": {"TERM": None, "COLUMNS": "1", "NO_COLOR": "1"},
    "almost empty": {"LANG": None, "LC_ALL": None, "USER": None, "LOGNAME": None, "SHELL": None},
}


def command(words: tuple[str, ...], scene: Path) -> list[str]:
    return [word.replace("SCENE", str(scene)) for word in words]


class Run:
    """A run of the command line whose processes can all be found by their environment, whoever their parent is."""

    def __init__(
        self, words: Sequence[str], mark: str, *, code: tuple[str, ...] = ("-m", "gs_stereo.cli.main"), **options: Any
    ) -> None:
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": paths, MARK: mark, **options.pop("environment", {})}
        environment = {name: value for name, value in environment.items() if value is not None}
        log, path = tempfile.mkstemp()  # no pipe: an orphan would hold it open
        self._log, self.said = Path(path), ""
        self.process = subprocess.Popen(
            [sys.executable, *code, *words], env=environment, stdout=subprocess.DEVNULL, stderr=log, **options
        )
        os.close(log)

    def ended(self, timeout_s: float | None = None) -> int:
        """Its exit code; subprocess.TimeoutExpired if it goes on. `said` is then the end of what it printed."""
        code = self.process.wait(timeout_s)
        self.said = self._log.read_bytes()[-300:].decode("utf-8", "replace")
        self._log.unlink()
        return code


def alive(mark: str) -> list[str]:
    """Command lines of the living processes with this mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marked = f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
            if marked and (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")[:200])
        except OSError:
            continue
    return found


def orphans(mark: str) -> list[str]:
    deadline = time.monotonic() + ORPHAN_S
    while (found := alive(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def contents(output: Path) -> dict[str, str]:
    """sha256 of every file of the results, of manifests without times and memory; locks and the cache are left out."""
    found = {}
    for path in sorted(output.rglob("*")):
        name = path.relative_to(output).as_posix()
        if not path.is_file() or name.startswith(".cache/hashes.json") or path.name.endswith(".lock"):
            continue
        data = path.read_bytes()
        if path.name == "manifest.json":
            values = json.loads(data)
            data = json.dumps({k: v for k, v in values.items() if k not in ("seconds", "peak_memory_bytes")}).encode()
        found[name] = hashlib.sha256(data).hexdigest()
    return found


def differences(found: Mapping[str, str], expected: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))


def finished_scene(work: Path) -> Path:
    """A sample with all its results, made once: what undisturbed runs give."""
    scene = work / "calm/room"
    if not (scene / "done").exists():
        shutil.rmtree(scene, ignore_errors=True)
        seconds = 0.0
        for words in (("sample", str(scene), *SAMPLE), *(command(words, scene) for words in (RUN, VERBS["report"]))):
            run, began = Run(words, "calm"), time.monotonic()
            if run.ended() not in (0, 5):  # the verdict on so short a fit may be that it fails
                raise SystemExit(f"The undisturbed run failed: {run.said}")
            seconds = max(seconds, time.monotonic() - began)
        (scene / "done").write_text(str(seconds))
    return scene


def fresh(calm: Path, place: Path, *, without: tuple[str, ...] = ("gsstereo",)) -> Path:
    """A copy of the scene under the same name."""
    scene = place / calm.name
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(calm, scene, ignore=shutil.ignore_patterns("done", *without))
    return scene


def kills(work: Path, seed: int, count: int) -> dict[str, Any]:
    """SIGKILL mostly, sometimes the signals of a closed terminal or a shut-down, or Ctrl-C.

    A run is killed three times, at moments within the time that an undisturbed one takes, and then left alone.
    """
    calm, rng = finished_scene(work), np.random.default_rng(seed)
    expected = {k: v for k, v in contents(calm / "gsstereo").items() if not k.startswith("report/")}
    done, runs, faults, scene = 0, 0, list[str](), None
    window_s, killed = float((calm / "done").read_text()), 0
    while done < count or killed:
        scene = scene or fresh(calm, work / "killed")
        sent = signal.Signals(rng.choice([signal.SIGKILL] * 5 + [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]))
        mark, began = uuid.uuid4().hex, time.monotonic()
        moment_s = float(rng.uniform(0.05, window_s)) if killed < _KILLS_OF_A_RUN else None
        run = Run(command(RUN, scene), mark)
        try:
            code = run.ended(moment_s)
        except subprocess.TimeoutExpired:
            run.process.send_signal(sent)
            run.ended()
            done, killed = done + 1, killed + 1
            if left := orphans(mark):
                faults.append(f"kill {done} ({sent.name}): still alive: {left}")
            continue
        window_s, runs, killed = max(window_s, time.monotonic() - began), runs + 1, 0
        changed = differences(contents(scene / "gsstereo"), expected)
        if code or changed:
            faults.append(f"after kill {done}: exit {code} {run.said} {changed[:9]}")
        scene = None
    return {"kills": done, "runs that came through": runs, "faults": faults}


def operations(work: Path, stride: int, verbs: tuple[str, ...]) -> dict[str, Any]:
    """Each verb with the results before it in place, killed at its n-th operation, then run again."""
    calm = finished_scene(work)
    tried, faults = dict[str, int](), list[str]()
    for verb in verbs or tuple(VERBS):
        own = {"render-pairs": "pairs", "label": "dataset", "export": "exported"}.get(verb, verb)
        base = fresh(calm, work / "base", without=("exported",) if verb == "export" else (own, "exported"))
        words, number = VERBS[verb], 0
        expected: dict[str, str] | None = None
        while True:
            scene = fresh(base, work / "operation", without=())
            folder, mark = str(scene / "gsstereo"), uuid.uuid4().hex
            victim = Run([folder, str(number), *command(words, scene)], mark, code=("-c", VICTIM))
            code = victim.ended()
            if left := orphans(mark):
                faults.append(f"{verb}, operation {number}: still alive: {left}")
            if expected is None:
                expected = contents(scene / "gsstereo")
                if code not in (0, 5):
                    faults.append(f"{verb} undisturbed: exit {code} {victim.said}")
                    break
            elif code != -signal.SIGKILL:
                break  # it has no more operations
            else:
                again = Run(command(words, scene), mark)
                code = again.ended()
                changed = differences(contents(scene / "gsstereo"), expected)
                if code not in (0, 3, 5) or changed:  # 3: killed after it was done, export refuses to do it twice
                    faults.append(f"{verb}, operation {number}: exit {code} {again.said} {changed[:9]}")
                tried[verb] = tried.get(verb, 0) + 1
            number += stride if number else 1
    return {"kills": tried, "faults": faults}


def environments(work: Path) -> dict[str, Any]:
    """The same bytes whatever surrounds a run."""
    calm, faults = finished_scene(work), list[str]()
    expected = {k: v for k, v in contents(calm / "gsstereo").items() if not k.startswith("report/")}
    odd: dict[str, tuple[Path, dict[str, Any]]] = {
        name: (work / "odd", {"environment": dict(values)}) for name, values in ENVIRONMENTS.items()
    }
    odd |= {
        "another folder": (work / "odd", {"cwd": "/"}),
        "odd letters": (work / "odd ü 'x' \"y\" $z [a] 日本", {}),
        "no stdin": (work / "odd", {"stdin": subprocess.DEVNULL}),
        "strict umask": (work / "odd", {"umask": 0o077}),
        "loose umask": (work / "odd", {"umask": 0}),
        "low priority": (work / "odd", {"preexec_fn": lambda: os.nice(5)}),
    }
    for name, (place, options) in odd.items():
        scene = fresh(calm, place)
        run = Run(command(RUN, scene), "odd", **options)
        code, changed = run.ended(), differences(contents(scene / "gsstereo"), expected)
        if code or changed:
            faults.append(f"{name}: exit {code} {run.said} {changed[:9]}")
        shutil.rmtree(place)
    return {"environments": len(odd), "faults": faults}


def broken_files(work: Path, seed: int, count: int, chosen: tuple[str, ...]) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    scene = finished_scene(work)
    bring(scene)
    known = targets(scene)
    if unknown := set(chosen) - known.keys():
        raise SystemExit(f"There is no target {sorted(unknown)[0]!r}; there are: {', '.join(known)}.")
    return summary(list(fuzz({name: known[name] for name in chosen or known}, seed, count, work)))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("part", choices=["kills", "operations", "environments", "fuzz"])
    parser.add_argument("--work", type=Path, required=True, help="folder for scenes and what fell; kept")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=100, help="kills, or mutations of each target")
    parser.add_argument("--stride", type=int, default=1, help="operations: only each so many")
    parser.add_argument("--verb", action="append", default=[], choices=list(VERBS), help="operations: only these")
    parser.add_argument("--target", action="append", default=[], help="fuzz: only these")
    given = parser.parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    parts: Mapping[str, Callable[[], dict[str, Any]]] = {
        "kills": lambda: kills(work, given.seed, given.count),
        "operations": lambda: operations(work, given.stride, tuple(given.verb)),
        "environments": lambda: environments(work),
        "fuzz": lambda: broken_files(work, given.seed, given.count, tuple(given.target)),
    }
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in a shell's background it is ignored, also by children
    started = time.monotonic()
    result = parts[given.part]()
    print(json.dumps({**result, "seconds": round(time.monotonic() - started)}, indent=1, ensure_ascii=False))
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
