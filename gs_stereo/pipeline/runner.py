"""Runs one stage under the contract: skip what is up to date, resume what was interrupted, publish atomically."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import gs_stereo
from gs_stereo.config import Config, means_of, without
from gs_stereo.core.atomic import fsync_path, remove_leftovers, write_errors
from gs_stereo.core.records import finite
from gs_stereo.core.text import printable
from gs_stereo.errors import GsStereoError, InputError, StageError
from gs_stereo.log import logger
from gs_stereo.pipeline.cell import Executor, StageReport
from gs_stereo.pipeline.environment import MemoryPeak, library_versions
from gs_stereo.pipeline.fingerprint import FingerprintParts, HashCache, changed_keys
from gs_stereo.pipeline.manifest import (
    MANIFEST_NAME,
    Manifest,
    damaged_output,
    list_outputs,
    read_manifest,
    write_manifest,
)
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext
from gs_stereo.pipeline.units import UNITS_FOLDER, UnitLedger

State = Literal["up to date", "missing", "stale", "interrupted", "damaged"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one stage: a cell whose stage and settings are loaded."""

    stage: Stage
    config: Config
    paths: ScenePaths
    seed: int = 0

    @property
    def folder(self) -> Path:
        """Where the result is published."""
        return self.paths.published(self.stage.folder(self.config))


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """Whether a stage has to run, and why."""

    state: State
    reason: str
    manifest: Manifest | None


def hash_cache(paths: ScenePaths) -> HashCache:
    """Checksums of the files that the stages of a scene have read."""
    return HashCache(paths.output / ".cache" / "hashes.json")


def take_parts(run: Run, *, known: Mapping[Path, str], hashes: HashCache) -> FingerprintParts:
    """The fingerprint's parts as of now. `known`: fingerprints of published folders that are yet to be made."""
    stage, paths = run.stage, run.paths
    inputs = stage.inputs(paths, run.config)
    external = {printable(name): hashes.sha256(path) for name, path in sorted(inputs.external.items())}
    if paths.output.is_dir():
        hashes.save()
    means = means_of(run.config)
    return FingerprintParts(
        stage=stage.name,
        version=stage.version,
        config=without(run.config.model_dump(mode="json"), means),
        means=means,
        seed=run.seed,
        inputs={
            folder: known.get(paths.published(folder)) or _published_fingerprint(paths, folder, verb)
            for folder, verb in inputs.published.items()
        },
        external=external,
    )


def _published_fingerprint(paths: ScenePaths, folder: str, verb: str) -> str:
    path = paths.published(folder)
    manifest = read_manifest(path)
    if manifest is not None:
        return manifest.fingerprint
    siblings = path.parent.glob(f"*/{MANIFEST_NAME}") if "/" in folder else ()
    others = sorted(sibling.parent.name for sibling in siblings if "." not in sibling.parent.name)
    instead = f", or choose what is there: {', '.join(others)}" if others else ""
    raise InputError(f"{path} is missing or incomplete; run `gsstereo {verb}` first{instead}.")


def assess(run: Run, parts: FingerprintParts) -> Assessment:
    """Compare what is published with what would be made. Changes nothing."""
    folder, stage = run.folder, run.stage
    resumable = _work_dir(folder, parts).is_dir()
    try:
        manifest = read_manifest(folder)
    except InputError as error:
        return Assessment(state="damaged", reason=str(error), manifest=None)
    state: State
    if manifest is None:
        state, reason = "missing", "it has not been made"
    elif damage := damaged_output(folder, manifest):
        state, reason = "damaged", f"{damage} is missing or was changed"
    elif manifest.stage != stage.name and not stage.replaces_others:
        state, reason = "up to date", f"made by `gsstereo {manifest.stage}` and kept"
    elif manifest.fingerprint == parts.fingerprint:
        state, reason = "up to date", ""
    else:
        state, reason = "stale", ", ".join(changed_keys(manifest.parts, asdict(parts)))
    if state != "up to date" and resumable:
        state, reason = "interrupted", "an interrupted run can be resumed"
    return Assessment(state=state, reason=reason, manifest=manifest)


def execute(run: Run, executor: Executor, *, force: bool = False) -> StageReport:
    """Bring one stage up to date and return what was done.

    Raises InputError or StageError; what an interrupted or failed run finished stays in its work folder.
    """
    folder, name = run.folder, run.stage.name
    parts = take_parts(run, known={}, hashes=hash_cache(run.paths))
    with write_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _recover_publication(folder)
        found = assess(run, parts)
        if found.state == "up to date" and not force and found.manifest:
            return StageReport(stage=name, folder=folder, action="skipped", manifest=found.manifest)
        if found.state == "stale":
            logger.info("%s: making it again, because of %s", name, found.reason)
        work_dir = _work_dir(folder, parts)
        for path in folder.parent.glob(f"{folder.name}.tmp-*"):
            if path != work_dir or force:  # work of other settings is of no use any more; with --force neither is ours
                shutil.rmtree(path)
        resumed = work_dir.is_dir()
        manifest = _make(run, executor, work_dir, parts)
        _publish(work_dir, folder, manifest)
    return StageReport(stage=name, folder=folder, action="resumed" if resumed else "done", manifest=manifest)


def _make(run: Run, executor: Executor, work_dir: Path, parts: FingerprintParts) -> Manifest:
    """Do the work in its folder. Whatever goes wrong is one of our errors."""
    with write_errors(work_dir):
        work_dir.mkdir(exist_ok=True)
        remove_leftovers(work_dir)  # of a run that was killed while it wrote
    units = UnitLedger(work_dir)
    context = StageContext(paths=run.paths, work_dir=work_dir, seed=run.seed, executor=executor, units=units)
    started, peak = time.monotonic(), MemoryPeak()
    try:
        outcome = run.stage.run(context, run.config)
    except GsStereoError:
        raise
    except MemoryError as error:
        name = run.stage.name
        raise StageError(f"The stage {name} ran out of memory; lower the image size or the counts.") from error
    except OSError as error:
        with write_errors(work_dir):
            raise
        raise StageError(str(error)) from error
    seconds, peak_bytes = time.monotonic() - started, peak.bytes()
    shutil.rmtree(work_dir / UNITS_FOLDER, ignore_errors=True)
    remove_leftovers(work_dir)  # of units that died elsewhere and were done again
    return Manifest(
        stage=parts.stage,
        fingerprint=parts.fingerprint,
        parts=asdict(parts),
        outputs=list_outputs(work_dir),
        code_version=gs_stereo.__version__,
        libraries=library_versions(),
        device=outcome.device,
        seconds=round(seconds, 2),
        peak_memory_bytes=peak_bytes,
        metrics=finite(outcome.metrics),
        drops=dict(outcome.drops),
        summary=dict(outcome.summary),
        text=outcome.text,
    )


def _work_dir(folder: Path, parts: FingerprintParts) -> Path:
    return folder.with_name(f"{folder.name}.tmp-{parts.fingerprint[:12]}")


def _old_dir(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.old")


def _publish(work_dir: Path, folder: Path, manifest: Manifest) -> None:
    """Write the manifest last, then swap the folders. A crash in between is healed by `_recover_publication`."""
    write_manifest(work_dir, manifest)
    old = _old_dir(folder)
    with write_errors(folder):
        if old.exists():
            shutil.rmtree(old)
        if folder.exists():
            os.replace(folder, old)
        os.replace(work_dir, folder)
        fsync_path(folder.parent)
        if old.exists():
            shutil.rmtree(old)


def _recover_publication(folder: Path) -> None:
    """After a crash between the two renames of `_publish`, put the old result back."""
    old = _old_dir(folder)
    if old.is_dir() and not folder.exists():
        os.replace(old, folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Only one process works on a stage folder. The kernel frees the lock when its holder dies."""
    path = folder.with_name(f".{folder.name}.lock")
    with write_errors(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StageError(f"Another gsstereo process is working on {folder}; wait for it to end.") from error
        yield
    finally:
        os.close(handle)
