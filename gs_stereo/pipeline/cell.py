"""A cell is one run of one stage as plain data: paths go in, a manifest comes out. Executors run graphs of cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from gs_stereo.core.records import JsonObject, Record
from gs_stereo.errors import GsStereoError
from gs_stereo.pipeline.manifest import Manifest
from gs_stereo.pipeline.scene import ScenePaths

U = TypeVar("U")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Resources(Record):
    """What a stage asks for: cores that it keeps busy, GPUs, and the memory of all its processes in MB.

    gpus counts what the settings ask for by name; `auto` uses a GPU where there is one, and asks for none. Memory is
    what two workers took for 24 photos of 640x480, more where a setting says so; cores were measured up to two.
    """

    cores: int = 1
    gpus: int = 0
    memory_mb: int = 500


@dataclass(frozen=True, kw_only=True)
class Cell(Record):
    """One run of one stage: a record that can be written as JSON, or pickled, and run by another process or machine.

    key: what it is, in words, unique in its graph. scene, output: as of `ScenePaths`. folder: where the result is
    published, relative to output. stage: its name in the registry. config: all its settings as JSON values. needs: keys
    of the cells whose results it reads.
    """

    key: str
    scene: str
    output: str
    folder: str
    stage: str
    config: JsonObject
    seed: int
    resources: Resources
    needs: tuple[str, ...] = ()

    @property
    def paths(self) -> ScenePaths:
        return ScenePaths(scene=Path(self.scene), output=Path(self.output))

    @property
    def published(self) -> Path:
        return self.paths.published(self.folder)


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """What happened to one stage."""

    stage: str
    folder: Path
    action: Literal["done", "resumed", "skipped"]
    manifest: Manifest


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What became of a cell: a report, or the error that it failed with."""

    cell: Cell
    outcome: StageReport | GsStereoError


class Executor(Protocol):
    """Where work is done: the cells of a graph, and the units of work inside a cell."""

    def run(self, cells: Sequence[Cell], run_cell: Callable[[Cell, Executor], StageReport]) -> Iterator[CellResult]:
        """Bring the cells up to date, each after those it needs, and yield what became of each.

        A failed cell blocks only what needs it: blocked cells are left out. `run_cell` can be pickled.
        """
        ...

    def map(self, function: Callable[[U], R], units: Sequence[U], *, workers: int | None = None) -> Iterator[R]:
        """Run a top-level function over units and yield the results in the order of the units.

        `workers` caps the parallelism of this call (None = as many as the executor has).
        """
        ...
