"""One cell of a fleet, done by whichever process gets it: claim it, fetch what it reads, run it, publish, remember."""

import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gs_stereo.core.hashing import sha256_text
from gs_stereo.errors import ConfigError, GsStereoError, InputError, PluginError, StageError
from gs_stereo.io.remote import Place, digest_of
from gs_stereo.pipeline.cell import Cell, StageReport
from gs_stereo.pipeline.claims import Claim, HeldClaim, take_claim
from gs_stereo.pipeline.jobs import CellRecord, look_at_files, read_ledger, remember, scene_files
from gs_stereo.pipeline.manifest import MANIFEST_NAME
from gs_stereo.pipeline.scene import OUTPUT_FOLDER


@dataclass(frozen=True, kw_only=True)
class FleetCell:
    """A cell on its way to a worker. The scene and the output of the cell may be URLs.

    digest: of its step. token: what its claim is known by; the same for every attempt of a driver, which never makes
    two at once. cache: a folder for copies of remote files, on the machine that works; `~` is of its user. over: a
    claim seen dead. deadline_s: after which the process is ended.
    """

    cell: Cell
    digest: str
    token: str
    cache: str
    attempt: int = 1
    beat_s: float = 10.0
    over: Claim | None = None
    deadline_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class CellOutcome:
    """What became of an attempt. claim: of whoever has the cell. permanent: trying again would change nothing."""

    state: Literal["done", "skipped", "failed", "held"]
    seconds: float = 0.0
    reason: str = ""
    permanent: bool = False
    claim: Claim | None = None


def run_fleet_cell(job: FleetCell, run_cell: Callable[[Cell], StageReport]) -> CellOutcome:
    """Do one cell, unless another has it. Raises nothing of ours: a failure is an outcome, and is remembered."""
    output, started = Place(job.cell.output), time.monotonic()
    # By the kernel, which ends what hangs in foreign code too, and counts from here, not from when a cluster was asked.
    signal.setitimer(signal.ITIMER_REAL, job.deadline_s or 0.0)
    try:
        claim = take_claim(output, cell_name(job.cell), job.token, beat_s=job.beat_s, over=job.over)
        if isinstance(claim, Claim):
            return CellOutcome(state="held", claim=claim)
        with claim:
            outcome = _work(job, claim, run_cell)
            claim.ended = outcome.state
    except GsStereoError as error:
        return _failed(job, error, time.monotonic() - started)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    return replace(outcome, seconds=time.monotonic() - started)


def _work(job: FleetCell, claim: HeldClaim, run_cell: Callable[[Cell], StageReport]) -> CellOutcome:
    cell, scene, output = job.cell, Place(job.cell.scene), Place(job.cell.output)
    manifest = f"{cell.folder}/{MANIFEST_NAME}"
    inputs, stamps = look_at_files(scene, output, [manifest])
    known = read_ledger(output).cells.get(cell.folder)
    if (
        known is not None
        and (known.state, known.digest, known.inputs) == ("done", job.digest, inputs)
        and known.manifest == stamps.get(manifest)
    ):
        return CellOutcome(state="skipped")  # somebody finished it between the driver's look and our claim
    local = fetched(cell, Path(job.cache).expanduser())
    report = run_cell(local)
    if not claim.is_mine():
        raise StageError(f"Another machine has taken over {cell.key} meanwhile; its result counts.")
    if not output.is_local:
        output.child(cell.folder).send(local.published, last=MANIFEST_NAME)
    record = CellRecord(
        digest=job.digest,
        state="done",
        inputs=inputs,
        manifest=output.stamps([manifest])[manifest],
        seconds=report.manifest.seconds,
        host=socket.gethostname(),
        summary=dict(report.manifest.summary),
    )
    remember(output, cell.folder, record)
    return CellOutcome(state="skipped" if report.action == "skipped" else "done")


def _failed(job: FleetCell, error: GsStereoError, seconds: float) -> CellOutcome:
    # Bad input and settings stay bad; a store or a machine may be well again.
    permanent = isinstance(error, InputError | ConfigError | PluginError)
    return CellOutcome(state="failed", reason=str(error), permanent=permanent, seconds=seconds)


def remember_failure(job: FleetCell, reason: str) -> None:
    """Set a cell aside with its reason, until its scene or settings change or somebody asks to try it again."""
    cell, output = job.cell, Place(job.cell.output)
    record = CellRecord(
        digest=job.digest,
        state="failed",
        inputs=digest_of(scene_files(Place(cell.scene))),
        attempts=job.attempt,
        reason=reason,
        host=socket.gethostname(),
    )
    remember(output, cell.folder, record)


def cell_name(cell: Cell) -> str:
    """The name of a cell in the files of claims."""
    return cell.folder.replace("/", "_")


def fetched(cell: Cell, cache: Path) -> Cell:
    """The same cell on local folders: what is remote is fetched into the cache, as far as the cell may read it."""
    scene, output = Place(cell.scene), Place(cell.output)
    if scene.is_local and output.is_local:
        return cell
    root = cache / sha256_text(f"{scene.url} {output.url}")[:24] / scene.name
    if not scene.is_local:
        scene.fetch(root, without=[OUTPUT_FOLDER])
    local = replace(cell, scene=cell.scene if scene.is_local else str(root), output=str(root / OUTPUT_FOLDER))
    if output.is_local:
        return replace(local, output=cell.output)
    for folder in [*(key.split(" ", 1)[0] for key in cell.needs), cell.folder]:
        output.child(folder).fetch(local.paths.published(folder), last=MANIFEST_NAME)
    return local
