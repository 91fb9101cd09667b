"""A fleet's work as data: scenes times the steps of a recipe, and what each scene remembers of its finished cells.

A job list holds each step once and each scene once, so that it stays small; cells are made when they are needed. What
became of a cell stands beside its results, in `.fleet/ledger.json`, where every driver on every machine finds it.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gs_stereo.config import canonical_json
from gs_stereo.core.hashing import sha256_text
from gs_stereo.core.records import JsonObject, Record, json_text, read_record, record_from_json
from gs_stereo.errors import ConfigError, GsStereoError, InputError
from gs_stereo.imaging.images import VIDEO_SUFFIXES
from gs_stereo.io.remote import FileStamp, Place, digest_of
from gs_stereo.pipeline.cell import Cell, Resources
from gs_stereo.pipeline.claims import FLEET_FOLDER
from gs_stereo.pipeline.manifest import MANIFEST_NAME
from gs_stereo.pipeline.recipe import Step
from gs_stereo.pipeline.scene import OUTPUT_FOLDER, SCENES_FOLDER

_LEDGER = f"{FLEET_FOLDER}/ledger.json"


@dataclass(frozen=True, kw_only=True)
class JobStep(Record):
    """One stage of every scene. folder: where its result is published. version: of the stage."""

    stage: str
    version: int
    folder: str
    config: JsonObject
    resources: Resources


@dataclass(frozen=True, kw_only=True)
class JobScene(Record):
    """One scene: its name, unique in the list, and the folders or URLs of its photos and its results."""

    name: str
    scene: str
    output: str


@dataclass(frozen=True, kw_only=True)
class JobList(Record):
    """All cells of a fleet. They are numbered stage by stage: cell I is scene I % scenes of step I // scenes."""

    format: Literal["gs_stereo.jobs"] = "gs_stereo.jobs"
    format_version: Literal[1] = 1
    seed: int
    steps: Annotated[tuple[JobStep, ...], Field(min_length=1)]
    scenes: Annotated[tuple[JobScene, ...], Field(min_length=1)]

    def __post_init__(self) -> None:
        for what, names in (("scene", [s.name for s in self.scenes]), ("folder", [s.folder for s in self.steps])):
            if len(set(names)) < len(names):
                raise ValueError(f"a {what} is listed twice")
        if bad := [s.name for s in self.scenes if not s.name or "/" in s.name or s.name in (".", "..")]:
            raise ValueError(f"{bad[0]!r} is no name of a scene")

    @property
    def cell_count(self) -> int:
        return len(self.scenes) * len(self.steps)

    def cells(self, scene: JobScene) -> list[Cell]:
        """The cells of one scene, each of which needs all before it."""
        keys = [f"{step.folder} {scene.name}" for step in self.steps]
        return [
            Cell(
                key=keys[number],
                scene=scene.scene,
                output=scene.output,
                folder=step.folder,
                stage=step.stage,
                config=step.config,
                seed=self.seed,
                resources=step.resources,
                needs=tuple(keys[:number]),
            )
            for number, step in enumerate(self.steps)
        ]

    def digests(self) -> list[str]:
        """Of each step with all before it: what its result depends on, besides the files of the scene."""
        found, before = list[str](), ""
        for step in self.steps:
            values = [step.stage, step.version, step.folder, dict(step.config), self.seed, before]
            before = sha256_text(canonical_json({"step": values}))
            found.append(before)
        return found


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A job list, and what was named but is no scene: name -> why."""

    jobs: JobList
    refused: Mapping[str, str]


def plan_jobs(steps: Sequence[Step], scenes: Iterable[str], *, output: str | None, seed: int) -> Plan:
    """The job list of a recipe over folders and URLs. What is no scene, or has the name of another, is left out.

    output: a folder or URL for all results, `OUTPUT/captures/NAME`; by default they lie in each scene. InputError
    if there is no scene at all, ConfigError if two steps have one folder.
    """
    folders = [step.folder for step in steps]
    if twice := [folder for folder in folders if folders.count(folder) > 1]:
        raise ConfigError(f"The recipe makes {twice[0]} twice; leave one out, or give its result another name.")
    found, refused = dict[str, JobScene](), dict[str, str]()
    for text in dict.fromkeys(scenes):
        try:
            place = Place.of(text)
            _check_scene(place)
        except GsStereoError as error:
            refused[text] = str(error)
            continue
        name, inside = place.name, place.url
        if place.is_local and place.local.is_file():  # a video, whose results lie in a folder beside it
            name, inside = place.local.stem, str(place.local.with_suffix(""))
        if name in found and found[name].scene == place.url:
            continue
        if name in found:
            refused[text] = f"A scene {name!r} is in the list already ({found[name].scene}); rename {place.url}."
            continue
        results = Place.of(output).child(f"{SCENES_FOLDER}/{name}").url if output else f"{inside}/{OUTPUT_FOLDER}"
        found[name] = JobScene(name=name, scene=place.url, output=results)
    if not found:
        reason = next(iter(refused.values()), "none was given")
        raise InputError(f"There is no scene to work on ({reason.rstrip('.')}); give folders, URLs or a list of them.")
    job_steps = [
        JobStep(
            stage=step.name,
            version=step.stage.version,
            folder=step.folder,
            config=step.config.model_dump(mode="json"),
            resources=step.stage.resources(step.config),
        )
        for step in steps
    ]
    jobs = JobList(seed=seed, steps=tuple(job_steps), scenes=tuple(found.values()))
    return Plan(jobs=jobs, refused=refused)


def _check_scene(place: Place) -> None:
    """InputError for what cannot be a scene: no folder, an empty one, or a file that is no video."""
    if place.is_local and place.local.is_file():
        if place.local.suffix.lower() not in VIDEO_SUFFIXES:
            raise InputError(f"{place.url} is a file, but no video; give a folder with photos in it, or a video.")
        return
    if place.is_local and not place.local.is_dir():
        raise InputError(f"The scene folder {place.url} does not exist; check the path.")
    if place.is_local and not os.access(place.local, os.R_OK | os.X_OK):
        raise InputError(f"The scene folder {place.url} may not be read; change its permissions.")
    if next(iter(place.files(without=[OUTPUT_FOLDER])), None) is None:
        raise InputError(f"There is no file in the scene {place.url}; give a folder with photos in it.")


def read_jobs(path: Path) -> JobList:
    """InputError if it is none."""
    return read_record(JobList, path, fix="make it again with `gsstereo fleet plan SCENES > jobs.json`")


@dataclass(frozen=True, kw_only=True)
class CellRecord(Record):
    """What became of a cell.

    digest: of its step, as of `JobList.digests`. inputs: of the listing of the scene's files. manifest: stamp of the
    published manifest. reason: of a failure. attempts: that failed in a row. host: that did it last.
    """

    digest: str
    state: Literal["done", "failed"]
    inputs: str = ""
    manifest: str = ""
    seconds: float = 0.0
    attempts: int = 0
    reason: str = ""
    host: str = ""
    summary: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ledger(Record):
    """What a scene remembers of its cells, by their folders. Losing it costs time only: cells are looked at again."""

    format: Literal["gs_stereo.ledger"] = "gs_stereo.ledger"
    cells: Mapping[str, CellRecord] = field(default_factory=dict)


def read_ledger(output: Place) -> Ledger:
    """An empty one where there is none, or a broken one."""
    try:
        return record_from_json(Ledger, output.read(_LEDGER) or b"")
    except ValueError:
        return Ledger()


def remember(output: Place, folder: str, record: CellRecord) -> None:
    """Write down what became of a cell. Whoever calls this has the cell, or knows that nobody has."""
    ledger = read_ledger(output)
    output.write(_LEDGER, json_text(replace(ledger, cells={**ledger.cells, folder: record}), indent=None).encode())


def scene_files(scene: Place) -> list[FileStamp]:
    """The files of a scene, without its results; of a video, that one."""
    if scene.is_local and scene.local.is_file():
        parent = Place(str(scene.local.parent))
        return [FileStamp(path=scene.name, size=0, stamp=parent.stamps([scene.name])[scene.name])]
    return list(scene.files(without=[OUTPUT_FOLDER]))


def look_at_files(scene: Place, output: Place, names: Iterable[str]) -> tuple[str, dict[str, str]]:
    """The digest of a scene's files, and stamps of those results that are there; one listing where that has both."""
    inside = f"{OUTPUT_FOLDER}/"
    if scene.is_local or output != scene.child(OUTPUT_FOLDER):
        return digest_of(scene_files(scene)), output.stamps(names)
    files, wanted = list(scene.files()), {inside + name for name in names}
    stamps = {file.path.removeprefix(inside): file.stamp for file in files if file.path in wanted}
    return digest_of(file for file in files if not file.path.startswith(inside)), stamps


@dataclass(frozen=True, kw_only=True)
class SceneState:
    """Where a scene stands.

    finished: how many of its first cells are up to date. failed: what is known of the one after them, if that is set
    aside. problem: why the scene cannot be looked at. records: one a step, as far as they are known.
    """

    finished: int = 0
    failed: CellRecord | None = None
    problem: str = ""
    records: tuple[CellRecord | None, ...] = ()

    @property
    def failed_step(self) -> int | None:
        return None if self.failed is None else self.finished

    @property
    def reason(self) -> str:
        """Why the scene does not go on by itself; empty if it does."""
        return self.problem or ("" if self.failed is None else self.failed.reason)


def scene_state(scene: JobScene, jobs: JobList, digests: Sequence[str]) -> SceneState:
    """Look at a scene without reading its settings or files: of a store, its ledger and a listing."""
    try:
        return _state(scene, jobs, digests)
    except GsStereoError as error:
        return SceneState(problem=str(error))


def _state(scene: JobScene, jobs: JobList, digests: Sequence[str]) -> SceneState:
    output = Place(scene.output)
    ledger = read_ledger(output)
    records = [ledger.cells.get(step.folder) for step in jobs.steps]
    if not any(records):
        return SceneState(finished=0, records=tuple(records))
    names = [f"{step.folder}/{MANIFEST_NAME}" for step in jobs.steps]
    inputs, stamps = look_at_files(Place(scene.scene), output, names)
    for number, (record, digest, name) in enumerate(zip(records, digests, names, strict=True)):
        current = record is not None and record.digest == digest and record.inputs == inputs
        if record is None or not current:
            return SceneState(finished=number, records=tuple(records))
        if record.state == "failed":
            return SceneState(finished=number, failed=record, records=tuple(records))
        if record.manifest != stamps.get(name):
            return SceneState(finished=number, records=tuple(records))
    return SceneState(finished=len(jobs.steps), records=tuple(records))
