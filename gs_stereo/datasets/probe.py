"""Opens shards in a child process first, because HDF5 crashes or hangs on some broken files.

The child reads everything but pixels: structure, texts and attributes. It has a time and a memory limit. What it
survives is safe to open here. One child looks at all shards of a dataset (about half a second).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gs_stereo.errors import InputError, StageError

_SECONDS_TO_START = 60
_SECONDS_A_SHARD = 2
_MEMORY_BYTES = 4 << 30


def probe_shards(paths: Sequence[Path]) -> None:
    """Return if every shard opens safely; InputError names the first that does not."""
    command = [sys.executable, "-m", "gs_stereo.datasets.probe"]
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    try:
        child = subprocess.run(
            command,
            input=json.dumps([str(path) for path in paths]),
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=environment,
            timeout=_SECONDS_TO_START + _SECONDS_A_SHARD * len(paths),
            check=False,
        )
        output = child.stdout
        if child.returncode > 0:  # an exception; a crash is negative
            reason = (child.stderr.strip().splitlines() or ["no message"])[-1]
            raise StageError(f"The check of {paths[0].parent} did not run ({reason}); check the installation.")
    except subprocess.TimeoutExpired as error:
        output = error.stdout.decode("utf-8") if isinstance(error.stdout, bytes) else error.stdout or ""
    reports = [json.loads(line) for line in output.splitlines() if line.endswith('"')]
    for report in reports:
        if report:
            raise InputError(report)
    if len(reports) < len(paths):
        raise InputError(f"The shard {paths[len(reports)]} is corrupt (HDF5 fails on it); delete it and label again.")


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # no such limits on Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


@contextmanager
def _silent_native_code() -> Iterator[None]:
    """HDF5 plug-ins may print; only reports may reach stdout."""
    report, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    sys.stdout = os.fdopen(report, "w", encoding="utf-8")
    os.dup2(null, 1)
    yield
    sys.stdout.flush()


def main() -> None:
    """The child: a JSON list of paths on stdin, one line each on stdout: "" or what is wrong."""
    from gs_stereo.datasets.read import ShardReader

    _limit_memory()
    with _silent_native_code():
        for path in json.load(sys.stdin):
            report = ""
            try:
                with ShardReader(Path(path)) as reader:
                    _ = reader.info
            except InputError as error:
                report = str(error)
            print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
