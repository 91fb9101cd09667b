"""The attack on our own promises: kills, odd environments and broken files, each repeatable by its seed.

    python tools/campaign.py kills --work DIR --count 300
    python tools/campaign.py operations --work DIR --count 12
    python tools/campaign.py environments --work DIR
    python tools/campaign.py fuzz --work DIR --count 500 --target transforms.json

`kills` ends a run of `smoke` by a signal at random moments, again and again until it comes through. `operations` kills
each verb at some of its operations on files (`--count`, chosen by the seed), and runs it again. Both then compare
the whole output with that of a run that nobody disturbed, and look for processes that live 2 s after their parent.
`environments` compares runs in odd surroundings. `fuzz` is tools/fuzz.py. Prints JSON; exit code 1 if anything fell.
A DIR in memory (/dev/shm) is quickest.
"""

from __future__ import annotations

import argparse
import atexit
import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: forks of a process with threads may hang

import numpy as np
from fuzz import bring, fuzz, summary, targets

ROOT = Path(__file__).parents[1]
MARK = "GS_STEREO_CAMPAIGN"
ORPHAN_S = 2.0
_KILLS_OF_A_RUN = 3
# Small enough for hundreds of runs; two workers, so that there are processes to be orphaned.
SAMPLE = ("--views", "7", "--width", "176", "--height", "132", "--set", "test_views=0", "-q")
RUN: tuple[str, ...] = (
    "run", "SCENE", "--config", "smoke", "--workers", "2", "-q", "--set", "reconstruct.max_image_size=176",
    "--set", "fit.iterations=20", "--set", "fit.checkpoint_every=5", "--set", "label.expert=sgbm",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A verb to kill. makes: names of what it makes, gone before it is run. after: words of commands to run before."""

    words: tuple[str, ...]
    makes: tuple[str, ...]
    after: tuple[tuple[str, ...], ...] = ()


FIT = ("fit", "SCENE", "--iterations", "20", "--set", "checkpoint_every=5", "-q")
STACKS: tuple[str, ...] = ("sample-pairs", "SCENE/stacks", "--count", "4", "--width", "96", "--height", "64", "-q")
STACKS += ("--set", "pairs={stack_views: 3, textures: 4, texture_px: 64}", "--set", "samples_per_shard=2")
TINY = ("--batch-size", "1", "--steps", "4", "--set", "checkpoint_every=1", "--set", "device=cpu", "-q")
JOBS = ("fleet", "plan", "SCENE", "--config", "smoke", "-q", *RUN[6:])
VERBS: Mapping[str, Verb] = {
    "run": Verb(words=RUN, makes=("gsstereo",)),
    "reconstruct": Verb(words=("reconstruct", "SCENE", "--max-image-size", "176", "-q"), makes=("reconstruct",)),
    "fit": Verb(words=FIT, makes=("fit",)),
    "render-pairs": Verb(words=("render-pairs", "SCENE", "--set", "guards.enabled=false", "-q"), makes=("pairs",)),
    "render-pairs stacks": Verb(
        words=("render-pairs", "SCENE", "--stack-views", "3", "--set", "guards.enabled=false", "-q"), makes=("pairs",)
    ),
    "label": Verb(words=("label", "SCENE", "--expert", "sgbm", "--workers", "1", "-q"), makes=("dataset",)),
    "report": Verb(words=("report", "SCENE", "--workers", "1", "-q"), makes=("report",)),
    "export": Verb(
        words=("export", "SCENE", "--dataset", "sgbm", "--format", "kitti", "--to", "SCENE/exported", "-q"),
        makes=("exported",),
    ),
    "audit": Verb(
        words=("audit", "SCENE", "--objects", "4", "--set", "extent_share=[0.01,0.03]", "--workers", "1", "-q"),
        makes=("audit",),
    ),
    "sample-pairs": Verb(words=STACKS, makes=("stacks",)),
    "synthesize": Verb(words=("synthesize", "SCENE/images", "--out", "SCENE/eyes", "-q"), makes=("eyes",)),
    "train": Verb(
        words=(
            "train", "SCENE", *TINY, "--set", "crop_height=32", "--set", "crop_width=48",
            "--set", "net_settings={volume_channels: [4, 4, 4], refine_channels: 8, refine_steps: 1}",
        ),
        makes=("train",),
    ),
    "train-synthesis": Verb(
        words=(
            "train-synthesis", "SCENE", "--data", "SCENE/stacks", *TINY, "--set", "width=64", "--set", "height=64",
            "--set", 'model={"widths": [16, 24], "attention": [false, true], "side_px": 64}',
        ),
        makes=("train",),
        after=(STACKS,),
    ),
    "fleet run": Verb(words=("fleet", "run", "SCENE/printed", "-q"), makes=("gsstereo",), after=(JOBS,)),
}  # fmt: skip
# What forks of this process need not load again.
LOADED = (
    "cv2",
    "gs_stereo.stages.registry",
    "gs_stereo.splat.fit",
    "gs_stereo.mvs.first_depth",
    "gs_stereo.labels.units",
)
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
        options = {"stdout": subprocess.DEVNULL, **options}
        self._process = subprocess.Popen([sys.executable, *code, *words], env=environment, stderr=log, **options)
        os.close(log)

    def ended(self) -> int:
        """Its exit code. `said` is then the end of what it printed."""
        code = self._process.wait()
        self.said = self._log.read_bytes()[-300:].decode("utf-8", "replace")
        self._log.unlink()
        return code


class Fork:
    """A run of the command line in a fork of this process, which has loaded what a small verb needs longest for.

    die_at: (folder, n) kills it at its n-th operation on files below the folder, as os and shutil announce them.
    """

    def __init__(self, words: Sequence[str], mark: str, die_at: tuple[Path, int] | None = None) -> None:
        log, path = tempfile.mkstemp()
        self._log, self.said = Path(path), ""
        self.pid = os.fork()
        if self.pid == 0:
            _be_gsstereo(words, mark, log, die_at)
        os.close(log)

    def ended(self, timeout_s: float | None = None) -> int | None:
        """Its exit code, negative for a signal; None if it goes on. `said` is then the end of what it printed."""
        with os.fdopen(os.pidfd_open(self.pid)) as process:
            if not select.select([process], [], [], timeout_s)[0]:
                return None
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.said = self._log.read_bytes()[-300:].decode("utf-8", "replace")
        self._log.unlink()
        return code


def _be_gsstereo(words: Sequence[str], mark: str, log: int, die_at: tuple[Path, int] | None) -> NoReturn:
    code, count = 1, 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        changes = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")
        if die_at and event in changes and str(die_at[0]) in str(arguments[0]):
            count += 1
            if count == die_at[1]:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        atexit._clear()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(log, 2)
        os.environ[MARK] = mark
        sys.argv = ["gsstereo", *words]
        sys.addaudithook(watch)
        from gs_stereo.cli.main import main

        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        print("operations", count, file=sys.stderr, flush=True)
        os._exit(code)


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
    """sha256 of every file, of manifests without times and memory; locks, caches, a fleet's notes are left out."""
    found = {}
    for path in sorted(output.rglob("*")):
        name = path.relative_to(output).as_posix()
        passing = name.endswith((".cache/hashes.json", ".lock")) or "/.fleet/" in name
        if not path.is_file() or passing:
            continue
        data = path.read_bytes()
        if path.name == "manifest.json":
            values = json.loads(data)
            data = json.dumps({k: v for k, v in values.items() if k not in ("seconds", "peak_memory_bytes")}).encode()
        found[name] = hashlib.sha256(data).hexdigest()
    return found


def differences(found: Mapping[str, str], expected: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """What a verb does if nobody disturbs it. base: the scene before. operations: on files, by its main process."""

    base: Path
    scene: Path
    words: list[str]
    contents: Mapping[str, str]
    seconds: float
    operations: int

    def faults(self, where: str, code: int | None, said: str) -> list[str]:
        """Of a run after a kill that was left alone. Exit code 3: the kill came when all was done."""
        changed = differences(contents(self.scene), self.contents)
        return [f"{where}: exit {code} {said} {changed[:9]}"] if code not in (0, 3, 5) or changed else []


def finished_scene(work: Path) -> Path:
    """A sample with all its results, made once: what undisturbed runs give."""
    scene = work / "calm/room"
    if not (scene / "done").exists():
        shutil.rmtree(scene, ignore_errors=True)
        words = (("sample", str(scene), *SAMPLE), *(command(VERBS[name].words, scene) for name in ("run", "report")))
        for each in words:
            if (run := Run(each, "calm")).ended() not in (0, 5):
                raise SystemExit(f"The undisturbed run failed: {run.said}")
        (scene / "done").touch()
    return scene


def fresh(calm: Path, place: Path, *, without: tuple[str, ...] = ("gsstereo",)) -> Path:
    """A copy of the scene under the same name."""
    scene = place / calm.name
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(calm, scene, ignore=shutil.ignore_patterns("done", *without))
    return scene


def undisturbed(work: Path, name: str) -> Undisturbed:
    """Run a verb in a scene that holds what it needs, but nothing that it makes."""
    verb = VERBS[name]
    scene = fresh(finished_scene(work), work / "victim", without=verb.makes)
    for needed in verb.after:
        with (scene / "printed").open("wb") as printed:
            if (before := Run(command(needed, scene), "before", stdout=printed)).ended():
                raise SystemExit(f"What {name} needs failed: {before.said}")
    base = fresh(scene, work / "base", without=())
    for module in LOADED:
        import_module(module)
    words, began = command(verb.words, scene), time.monotonic()
    run = Fork(words, "undisturbed", (scene, 0))
    if run.ended() not in (0, 5):  # the verdict on so short a fit may be that it fails
        raise SystemExit(f"{name} fails undisturbed: {run.said}")
    seconds, total = time.monotonic() - began, int(run.said.split()[-1])
    return Undisturbed(base=base, scene=scene, words=words, contents=contents(scene), seconds=seconds, operations=total)


def kills(work: Path, seed: int, count: int, chosen: tuple[str, ...]) -> dict[str, Any]:
    """SIGKILL mostly, sometimes the signals of a closed terminal or a shut-down, or Ctrl-C.

    A run is killed three times, at moments within the time that an undisturbed one takes, and then left alone.
    """
    rng, runs, faults = np.random.default_rng(seed), dict[str, str](), list[str]()
    for name in chosen or ("run",):
        calm = undisturbed(work, name)
        done, through, window_s, killed = 0, 0, calm.seconds, 0
        while done < count or killed:
            if not killed:
                fresh(calm.base, work / "victim", without=())
            sent = signal.Signals(rng.choice([signal.SIGKILL] * 5 + [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]))
            mark, began = uuid.uuid4().hex, time.monotonic()
            moment_s = float(rng.uniform(0.05, window_s)) if killed < _KILLS_OF_A_RUN else None
            run = Fork(calm.words, mark)
            if (code := run.ended(moment_s)) is None:
                os.kill(run.pid, sent)
                run.ended()
                done, killed = done + 1, killed + 1
                if left := orphans(mark):
                    faults.append(f"{name}, kill {done} ({sent.name}): still alive: {left}")
                continue
            window_s, through, killed = max(window_s, time.monotonic() - began), through + 1, 0
            faults += calm.faults(f"{name}, after kill {done}", code, run.said)
        runs[name] = f"{done} kills, {through} runs came through"
        print(runs[name], file=sys.stderr)
    return {"kills": runs, "faults": faults}


def operations(work: Path, seed: int, count: int, chosen: tuple[str, ...]) -> dict[str, Any]:
    """Each verb with the results before it in place, killed at `count` of its operations, and each time run again."""
    rng, tried, faults = np.random.default_rng(seed), dict[str, str](), list[str]()
    for name in chosen or VERBS:
        calm, killed = undisturbed(work, name), 0
        numbers = rng.choice(calm.operations, min(count, calm.operations), replace=False)
        for number in sorted(int(number) + 1 for number in numbers):
            fresh(calm.base, work / "victim", without=())
            mark = uuid.uuid4().hex
            killed += Fork(calm.words, mark, (calm.scene, number)).ended() == -signal.SIGKILL
            if left := orphans(mark):
                faults.append(f"{name}, operation {number}: still alive: {left}")
            again = Fork(calm.words, mark)
            faults += calm.faults(f"{name}, operation {number}", again.ended(), again.said)
        tried[name] = f"{killed} of {calm.operations} operations"
        print(name, tried[name], file=sys.stderr)
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
    parser.add_argument(
        "--count", type=int, default=100, help="kills (operations: of each verb), mutations of a target"
    )
    parser.add_argument(
        "--verb", action="append", default=[], choices=list(VERBS), help="kills, operations: only these"
    )
    parser.add_argument("--target", action="append", default=[], help="fuzz: only these")
    given = parser.parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    parts: Mapping[str, Callable[[], dict[str, Any]]] = {
        "kills": lambda: kills(work, given.seed, given.count, tuple(given.verb)),
        "operations": lambda: operations(work, given.seed, given.count, tuple(given.verb)),
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
