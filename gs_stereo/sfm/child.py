"""Runs the worker process and turns whatever happens to it into a result or a StageError."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gs_stereo
from gs_stereo.errors import StageError
from gs_stereo.log import logger
from gs_stereo.sfm.job import Job, JobResult, write_job

_LOG_LINES, _LOG_CHARACTERS = 3, 600


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`done` of `total` in `step`: frames, photos, features, similar, pairs, registered, triangulated, undistorted."""

    step: str
    done: int
    total: int


OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """For callers that do not watch."""


def run_job(job: Job, folder: Path, on_progress: OnProgress = ignore_progress) -> JobResult:
    """Run `job` in a process of its own, with its files in `folder`; StageError if it ends without a result."""
    job_file, log_file = folder / "job.json", folder / "worker.log"
    write_job(job_file, job)
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gs_stereo.sfm.worker", str(job_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_environment(),
            text=True,
            encoding="utf-8",
        )
        try:
            result = _follow(process, on_progress)
            code = process.wait()
        finally:
            _end(process)
    if code != 0 or result is None:
        raise StageError(_failure(code, log_file))
    return JobResult(**result)


def _environment() -> dict[str, str]:
    """This environment, in which the child finds this very package."""
    root = str(Path(gs_stereo.__file__).parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, inherited] if inherited else [root])}


def _follow(process: subprocess.Popen[str], on_progress: OnProgress) -> dict[str, Any] | None:
    result = None
    assert process.stdout is not None
    for line in process.stdout:
        try:
            message = json.loads(line)
        except ValueError:
            logger.debug("worker: %s", line.rstrip())
            continue
        if "result" in message:
            result = message["result"]
        else:
            on_progress(Progress(**message))
    return result


def _end(process: subprocess.Popen[str]) -> None:
    """Leave no process and no pipe behind, whatever happened."""
    if process.poll() is None:
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _failure(code: int, log_file: Path) -> str:
    with log_file.open("r", encoding="utf-8", errors="replace") as log:
        last = [line.strip() for line in deque((line for line in log if line.strip()), _LOG_LINES)]
    tail = " | ".join(last)[-_LOG_CHARACTERS:] or "nothing"
    if code == -signal.SIGKILL:
        cause, fix = "was killed, probably because memory ran out", "use a smaller --max-image-size or fewer photos"
    elif code < 0:
        cause, fix = f"was ended by signal {-code}", "try a smaller --max-image-size, or remove the photo it names"
    else:
        cause, fix = f"ended with code {code}", "see the log above, and run again with fewer or other photos"
    return f"Structure from motion {cause} (its log ends with: {tail}); {fix}."
