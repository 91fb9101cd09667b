"""The chain that a result stands on (photos -> cameras -> fit -> pairs -> labels): is every link what it would be now?

A manifest says what its folder was made of. A link is stale where one of its inputs has been made anew since, where
its files outside have changed, or where its stage has another version, and so is all that stands on it.
"""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from gs_stereo.config import merge, parse_config
from gs_stereo.core.records import JsonObject
from gs_stereo.errors import GsStereoError, InputError
from gs_stereo.pipeline.cell import Cell
from gs_stereo.pipeline.fingerprint import changed_keys
from gs_stereo.pipeline.manifest import MANIFEST_NAME, Manifest, damaged_output, read_manifest
from gs_stereo.pipeline.runner import Run, hash_cache, take_parts
from gs_stereo.pipeline.scene import OUTPUT_FOLDER, ScenePaths
from gs_stereo.pipeline.stage import Stages


class Chain:
    """The published folders of one scene, each looked at once. Changes nothing."""

    def __init__(self, paths: ScenePaths, stages: Stages) -> None:
        self._paths, self._stages, self._hashes = paths, stages, hash_cache(paths)
        self._known: dict[str, str | None] = {}

    def problem(self, folder: str) -> str | None:
        """Why a published folder, or what it was made of, is no longer what it would be now; None if all is.

        What is gone as a whole (the photos of results that were moved, pairs that were deleted) cannot have changed.
        """
        if folder not in self._known:
            self._known[folder] = None
            manifest = read_manifest(self._paths.published(folder))
            self._known[folder] = None if manifest is None else self._problem(folder, manifest)
        return self._known[folder]

    def _problem(self, folder: str, manifest: Manifest) -> str | None:
        if damage := damaged_output(self._paths.published(folder), manifest):
            return f"{damage} of {folder} is missing or was changed"
        for name, fingerprint in _of(manifest, "inputs").items():
            source = read_manifest(self._paths.published(name))
            if problem := self.problem(name):
                return problem
            if source is not None and source.fingerprint != fingerprint:
                return f"{folder} was made of an earlier {name}"
        if self._paths.scene == self._paths.output:  # of a data set that was named by its folder: photos unknown
            return None
        try:
            run = _run(manifest, self._paths, self._stages)
            parts = take_parts(run, known={}, hashes=self._hashes)
        except GsStereoError:
            return None
        gone = not parts.external and _of(manifest, "external")
        if gone or parts.fingerprint == manifest.fingerprint:
            return None
        return f"{folder} has other inputs now: {', '.join(changed_keys(manifest.parts, asdict(parts)))}"

    def check(self, folders: Iterable[str]) -> None:
        """InputError with the command that helps, if one of the folders is not up to date."""
        if said := self.sentence(folders):
            raise InputError(said)

    def sentence(self, folders: Iterable[str] | None = None) -> str | None:
        """Which of the folders (all of the scene's if None) are not up to date, why, and what helps; None if none."""
        paths = self._paths
        asked = sorted(_published_folders(paths.output)) if folders is None else folders
        problems = {folder: problem for folder in asked if (problem := self.problem(folder))}
        if not problems:
            return None
        out = [] if paths.output == paths.scene / OUTPUT_FOLDER else ["--out", str(paths.output)]
        chosen = [] if folders is None else [word for folder in problems for word in ("--only", folder)]
        command = shlex.join(["gsstereo", "refresh", str(paths.scene), *out, *chosen])
        reason, named = next(iter(problems.values())), " and ".join(problems)
        return f"Out of date in {paths.output}: {named} ({reason}); make it again with `{command}`."

    def stale_cells(self, only: Iterable[str] = ()) -> list[Cell]:
        """The cells that make the stale folders again with the settings that they had, each after those it needs.

        only: these folders and what they stand on; by default all. InputError for one that is not published.
        """
        chosen, cells = list(only), list[Cell]()
        for folder in chosen:
            if read_manifest(self._paths.published(folder)) is None:
                raise InputError(f"There is no finished {folder} in {self._paths.output}; check the name.")
        for folder in self._in_order(chosen or sorted(_published_folders(self._paths.output))):
            manifest = read_manifest(self._paths.published(folder))
            if manifest is not None and self.problem(folder):
                cells.append(self._cell(folder, manifest, cells))
        return cells

    def cells_behind(self, folder: str) -> list[Cell]:
        """The cells that make a published folder and all that it was made of, with the settings that they had."""
        cells = list[Cell]()
        for name in self._in_order([folder]):
            if manifest := read_manifest(self._paths.published(name)):
                cells.append(self._cell(name, manifest, cells))
        return cells

    def _cell(self, folder: str, manifest: Manifest, before: Iterable[Cell]) -> Cell:
        run, made = _run(manifest, self._paths, self._stages), {cell.folder for cell in before}
        return Cell(
            key=folder,
            scene=str(self._paths.scene),
            output=str(self._paths.output),
            folder=folder,
            stage=manifest.stage,
            config=run.config.model_dump(mode="json"),
            seed=run.seed,
            resources=run.stage.resources(run.config),
            needs=tuple(made & _of(manifest, "inputs").keys()),
        )

    def _in_order(self, folders: Iterable[str]) -> list[str]:
        """The folders and all that they were made of, what is read before what reads it."""
        ordered: dict[str, None] = {}
        for folder in folders:
            manifest = None if folder in ordered else read_manifest(self._paths.published(folder))
            before = [] if manifest is None else self._in_order(_of(manifest, "inputs"))
            ordered |= dict.fromkeys([*before, folder])
        return list(ordered)


def _run(manifest: Manifest, paths: ScenePaths, stages: Stages) -> Run:
    """The run that made a folder, with the settings it had."""
    stage = stages.load(manifest.stage)()
    values = merge(_of(manifest, "config"), _of(manifest, "means"))
    config = parse_config(stage.config_type, values, where=f"the settings of {manifest.stage}")
    seed = manifest.parts.get("seed")
    return Run(stage=stage, config=config, paths=paths, seed=seed if isinstance(seed, int) else 0)


def _of(manifest: Manifest, part: str) -> JsonObject:
    found = manifest.parts.get(part)
    return found if isinstance(found, dict) else {}


def _published_folders(output: Path) -> Iterator[str]:
    for pattern in (f"*/{MANIFEST_NAME}", f"*/*/{MANIFEST_NAME}"):
        names = (path.parent.relative_to(output).as_posix() for path in output.glob(pattern))
        yield from (name for name in names if "." not in name)
