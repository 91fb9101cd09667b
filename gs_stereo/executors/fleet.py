"""Drives a job list over a pool: which cell next, what to do about failures, dead workers and other drivers.

The driver keeps what is being worked on and nothing else: what is finished or set aside stands beside the results.
So any driver may die, another one may go on or help, and memory does not grow with the fleet.
"""

import heapq
import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from gs_stereo.errors import GsStereoError, StageError
from gs_stereo.executors.pool import Pool, WorkerLostError
from gs_stereo.io.remote import Place
from gs_stereo.pipeline.cell import Cell, StageReport
from gs_stereo.pipeline.claims import Claim, read_claims
from gs_stereo.pipeline.fleet_cell import CellOutcome, FleetCell, cell_name, remember_failure, run_fleet_cell
from gs_stereo.pipeline.jobs import JobList, JobScene, SceneState, scene_state

_LOOK_AHEAD = 64
"""Scenes that are looked at together: enough to hide the answers of a store, few enough to keep nothing of them."""

_LOOKERS = 8
"""An SSH server takes ten new connections at once."""
_NAP_S = 1.0


@dataclass(frozen=True, kw_only=True)
class FleetSettings:
    """cache: a folder for copies of remote files. tries: of a cell before its scene is set aside. backoff_s: before the
    second try, doubled for each one after it. deadline_s: after which a cell counts as hung; None = never. lease_s: a
    claim without a heartbeat for so long is dead. retry: try again what was set aside.
    """

    cache: str
    tries: int = 3
    backoff_s: float = 5.0
    deadline_s: float | None = None
    lease_s: float = 60.0
    retry: bool = False


@dataclass(frozen=True, kw_only=True)
class FleetEvent:
    """What the driver says as it goes on.

    kind: done or skipped (count cells), retry (it will be tried again), aside (the scene is set aside), held (another
    driver has it). reason: of a retry or of setting aside.
    """

    kind: Literal["done", "skipped", "retry", "aside", "held"]
    scene: str
    stage: str = ""
    count: int = 1
    seconds: float = 0.0
    reason: str = ""


@dataclass
class _Work:
    """A scene that is being worked on. step: its next cell. seen: the claim of another one, unchanged since seen_at."""

    scene: JobScene
    cells: list[Cell]
    step: int
    attempt: int = 1
    token: str = ""
    started: float = 0.0
    seen: Claim | None = None
    seen_at: float = 0.0
    over: Claim | None = None
    told: bool = False


class FleetDriver:
    """Brings all cells of a job list up to date; see `run`. run_cell: brings one local cell up to date."""

    def __init__(
        self, jobs: JobList, pool: Pool, run_cell: Callable[[Cell], StageReport], settings: FleetSettings
    ) -> None:
        self._jobs, self._pool, self._run_cell, self._settings = jobs, pool, run_cell, settings
        self._digests = jobs.digests()
        self._delayed: list[tuple[float, int, _Work]] = []
        self._order = itertools.count()

    def run(self) -> Iterator[FleetEvent]:
        """Work until each scene is finished, set aside or in the hands of a driver that lives; say what happens."""
        scenes, busy = self._unfinished(), dict[Any, _Work]()
        more = True
        try:
            while more or busy or self._delayed:
                while len(busy) < self._pool.slots:
                    work = self._due()
                    if work is None and more:
                        event = next(scenes, None)
                        more = event is not None
                        if isinstance(event, FleetEvent):
                            yield event
                            continue
                        work = event
                    if work is None:
                        break
                    busy[self._submit(work)] = work
                for ticket in self._pool.wait(list(busy), self._nap(bool(busy))) if busy else self._sleep():
                    yield from self._ended(busy.pop(ticket), ticket)
        finally:
            for ticket in busy:
                self._pool.kill(ticket)
            self._pool.close()

    def _unfinished(self) -> Iterator[_Work | FleetEvent]:
        """The scenes with something to do, and events for what is finished or set aside already."""
        for scene, state in zip(self._jobs.scenes, scene_states(self._jobs), strict=True):
            if state.finished:
                yield FleetEvent(kind="skipped", scene=scene.name, count=state.finished)
            if state.finished == len(self._jobs.steps):
                continue
            if state.problem or (state.failed is not None and not self._settings.retry):
                stage = self._jobs.steps[state.finished].stage
                yield FleetEvent(kind="aside", scene=scene.name, stage=stage, reason=state.reason)
                continue
            yield _Work(scene=scene, cells=self._jobs.cells(scene), step=state.finished)

    def _submit(self, work: _Work) -> Any:
        work.token = work.token or uuid.uuid4().hex
        work.started = time.monotonic()
        task = partial(run_fleet_cell, self._job(work), self._run_cell)
        resources = work.cells[work.step].resources
        return self._pool.submit(task, resources, work.scene.name, elsewhere=work.attempt > 1)

    def _job(self, work: _Work) -> FleetCell:
        return FleetCell(
            cell=work.cells[work.step],
            digest=self._digests[work.step],
            token=work.token,
            cache=self._settings.cache,
            attempt=work.attempt,
            beat_s=self._settings.lease_s / 6,
            over=work.over,
            deadline_s=self._settings.deadline_s,
        )

    def _ended(self, work: _Work, ticket: Any) -> Iterator[FleetEvent]:
        try:
            outcome: CellOutcome = self._pool.result(ticket)
        except WorkerLostError as error:
            outcome = CellOutcome(state="failed", reason=self._loss(work, error))
        except GsStereoError as error:
            outcome = CellOutcome(state="failed", reason=str(error))
        if outcome.state == "held":
            yield from self._held(work, outcome.claim)
        elif outcome.state == "failed":
            yield from self._failed(work, outcome.reason, permanent=outcome.permanent)
        else:
            stage = work.cells[work.step].stage
            yield FleetEvent(kind=outcome.state, scene=work.scene.name, stage=stage, seconds=outcome.seconds)
            if work.step + 1 < len(work.cells):
                self._later(_Work(scene=work.scene, cells=work.cells, step=work.step + 1), 0.0)

    def _held(self, work: _Work, claim: Claim | None) -> Iterator[FleetEvent]:
        """Another driver has the cell: look again later, and take it over when its heart has stopped."""
        now = time.monotonic()
        if claim != work.seen:
            work.seen, work.seen_at = claim, now
        work.over = claim if now - work.seen_at >= self._settings.lease_s else None
        if not work.told and claim is not None:
            work.told = True
            reason = f"process {claim.pid} on {claim.host} works on it"
            yield FleetEvent(kind="held", scene=work.scene.name, stage=work.cells[work.step].stage, reason=reason)
        self._later(work, 0.0 if work.over else min(self._settings.lease_s / 6, 5.0))

    def _failed(self, work: _Work, reason: str, *, permanent: bool) -> Iterator[FleetEvent]:
        stage = work.cells[work.step].stage
        if permanent or work.attempt >= self._settings.tries:
            try:
                remember_failure(self._job(work), reason)
            except GsStereoError as error:  # its store does not answer: that is what stopped it, or comes on top
                reason = reason if str(error) in reason else f"{reason} {error}"
            yield FleetEvent(kind="aside", scene=work.scene.name, stage=stage, reason=reason)
            return
        yield FleetEvent(kind="retry", scene=work.scene.name, stage=stage, reason=reason)
        self._later(work, self._settings.backoff_s * 2 ** (work.attempt - 1))
        work.attempt += 1

    def _loss(self, work: _Work, error: WorkerLostError) -> str:
        deadline = self._settings.deadline_s
        late = deadline is not None and time.monotonic() - work.started > deadline
        over = f", its deadline of {deadline:g} s was over" if late else ""
        return f"The worker of {work.cells[work.step].stage} of {work.scene.name} was lost ({error}{over})."

    def _later(self, work: _Work, seconds: float) -> None:
        heapq.heappush(self._delayed, (time.monotonic() + seconds, next(self._order), work))

    def _due(self) -> _Work | None:
        if self._delayed and self._delayed[0][0] <= time.monotonic():
            return heapq.heappop(self._delayed)[2]
        return None

    def _nap(self, busy: bool) -> float:
        if not self._delayed:
            return _NAP_S
        return min(_NAP_S, max(self._delayed[0][0] - time.monotonic(), 0.01))

    def _sleep(self) -> list[Any]:
        if self._delayed:
            time.sleep(self._nap(False))
        return []


def scene_states(jobs: JobList) -> Iterator[SceneState]:
    """Where each scene stands, in order; stores are asked for several at once."""
    look = partial(scene_state, jobs=jobs, digests=jobs.digests())
    with ThreadPoolExecutor(_LOOKERS) as lookers:
        for start in range(0, len(jobs.scenes), _LOOK_AHEAD):
            group = jobs.scenes[start : start + _LOOK_AHEAD]
            remote = any("://" in scene.scene + scene.output for scene in group)
            yield from (lookers.map if remote else map)(look, group)


@dataclass(frozen=True, kw_only=True)
class FailedTry:
    """A try of a cell that did not end well. reason: how it ended, as far as that is known."""

    scene: str
    stage: str
    number: int
    host: str
    pid: int
    reason: str


def failed_tries(jobs: JobList) -> Iterator[FailedTry]:
    """Every try of every cell, by any driver there has been, that did not end well."""
    for scene in jobs.scenes:
        tries = read_claims(Place(scene.output))
        for cell in jobs.cells(scene):
            for claim in (claims := tries.get(cell_name(cell), [])):
                if claim.ended in ("done", "skipped"):
                    continue
                at_work = claim is claims[-1] and not claim.is_dead_here
                lost = "is at work, or lost" if at_work else f"was lost after {claim.beat} heartbeats"
                yield FailedTry(
                    scene=scene.name,
                    stage=cell.stage,
                    number=claim.number,
                    host=claim.host,
                    pid=claim.pid,
                    reason=claim.ended or lost,
                )


def run_one(jobs: JobList, index: int, run_cell: Callable[[Cell], StageReport], settings: FleetSettings) -> CellOutcome:
    """Do cell `index` of a job list in this process, for schedulers that start one process a cell.

    Raises StageError if what it needs is not finished or another process has it.
    """
    step, scene = divmod(index, len(jobs.scenes))
    digests, found = jobs.digests(), jobs.scenes[scene]
    state = scene_state(found, jobs, digests)
    cell = jobs.cells(found)[step]
    if state.finished > step:
        return CellOutcome(state="skipped")
    if state.finished < step:
        needed = jobs.steps[state.finished].stage
        why = f" ({state.reason.rstrip('.')})" if state.reason else ""
        raise StageError(f"{cell.key} needs {needed} of {found.name}, which is not finished{why}; run that first.")
    job = FleetCell(
        cell=cell,
        digest=digests[step],
        token=uuid.uuid4().hex,
        cache=settings.cache,
        attempt=1 if state.failed is None else state.failed.attempts + 1,
        beat_s=settings.lease_s / 6,
        deadline_s=settings.deadline_s,
    )
    outcome = run_fleet_cell(job, run_cell)
    if outcome.state == "held":
        time.sleep(settings.lease_s)  # a holder that lives has beaten several times by then
        outcome = run_fleet_cell(replace(job, over=outcome.claim), run_cell)
    if outcome.state == "held":
        raise StageError(f"Another process works on {cell.key}; wait for it.")
    if outcome.state == "failed":
        remember_failure(job, outcome.reason)
        raise StageError(f"{cell.key}: {outcome.reason}")
    return outcome
