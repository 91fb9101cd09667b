"""What a stage is: it reads published folders, writes its own work folder, and knows nothing else."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from gs_stereo.config import Config
from gs_stereo.log import progress
from gs_stereo.pipeline.cell import Executor, Resources
from gs_stereo.pipeline.manifest import PublishedFolder, published_folder
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.units import UnitLedger
from gs_stereo.plugins import Registry

U = TypeVar("U")


@dataclass(frozen=True, kw_only=True)
class StageInputs:
    """What a stage reads.

    published: folder of an earlier stage -> the verb that makes it. external: files from outside by a stable name.
    """

    published: Mapping[str, str] = field(default_factory=dict)
    external: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """What a running stage may use. It writes below `work_dir` and nowhere else."""

    paths: ScenePaths
    work_dir: Path
    seed: int
    executor: Executor
    units: UnitLedger

    def published(self, folder: str) -> Path:
        return self.paths.published(folder)

    def published_folder(self, folder: str) -> PublishedFolder:
        """The same with its fingerprint, for units that keep what they load from it; InputError if it is incomplete."""
        return published_folder(self.published(folder))

    def finished(
        self,
        title: str,
        function: Callable[[U], Sequence[Path]],
        units: Mapping[str, U],
        *,
        noun: str,
        workers: int | None = None,
    ) -> Iterator[str]:
        """Do the units that are not done yet, each of which returns the files it wrote, and yield all names in order.

        A unit is recorded under `title/name` with its files, so that an interrupted run goes on after it.
        """
        todo = {name: unit for name, unit in units.items() if not self.units.done(f"{title}/{name}")}
        with progress(title, len(units), noun) as bar:
            files = self.executor.map(function, list(todo.values()), workers=workers)
            for name in units:
                if name in todo:
                    self.units.record(f"{title}/{name}", next(files))
                yield name
                bar.advance()


@dataclass(frozen=True, kw_only=True)
class StageOutcome:
    """What a stage says about its result.

    metrics: JSON values. drops: what was left out, counted by reason. summary: a few short entries for the table of
    a run. text: printed below the table.
    """

    metrics: Mapping[str, Any] = field(default_factory=dict)
    drops: Mapping[str, int] = field(default_factory=dict)
    summary: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    text: str = ""


class Stage(Protocol):
    """One verb of the pipeline. Implementations are stateless classes in `gs_stereo.stages` that derive from it."""

    name: str
    version: int
    config_type: type[Config]
    replaces_others: bool = False  # publish over a result that another kind of stage put into the same folder?

    def folder(self, config: Any) -> str:
        """Where the result is published, relative to the scene's output folder."""
        ...

    def inputs(self, paths: ScenePaths, config: Any) -> StageInputs:
        """What the result depends on besides config and seed. Cheap; needs no earlier stage to have run."""
        ...

    def resources(self, config: Any) -> Resources:
        """What a run with these settings asks for. Known from the settings alone: no look at the machine."""
        ...

    def run(self, context: StageContext, config: Any) -> StageOutcome:
        """Do the work. An interrupted run is called again with the same, partly filled work folder."""
        ...


Stages = Registry[type[Stage]]
"""Stages by name; the built-in ones are in `gs_stereo.stages.registry`."""
