"""manifest.json: the proof that a published stage folder is complete, and the record of how it was made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gs_stereo.core.atomic import fsync_path
from gs_stereo.core.hashing import sha256_file
from gs_stereo.core.records import JsonObject, OpenRecord, read_record, write_record
from gs_stereo.errors import InputError

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class OutputFile(OpenRecord):
    """One file of a published folder, with `path` relative to the folder."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest(OpenRecord):
    """See DESIGN: what was run, on what, with what result. `parts` is what the fingerprint was taken of."""

    stage: str
    fingerprint: str
    parts: JsonObject
    outputs: tuple[OutputFile, ...]
    code_version: str
    libraries: Mapping[str, str]
    device: str
    seconds: float
    peak_memory_bytes: int
    metrics: JsonObject = field(default_factory=dict)
    drops: Mapping[str, int] = field(default_factory=dict)
    summary: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    format: Literal[1] = 1

    def __post_init__(self) -> None:
        wrong = [name for name in ("config", "inputs", "external") if not isinstance(self.parts.get(name, {}), Mapping)]
        if wrong:
            raise ValueError(f"parts.{wrong[0]} is no object")


def list_outputs(folder: Path) -> tuple[OutputFile, ...]:
    """Every file below `folder` except the manifest, hashed and flushed to disk, in sorted order."""
    outputs = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / MANIFEST_NAME:
            fsync_path(path)
            name = path.relative_to(folder).as_posix()
            outputs.append(OutputFile(path=name, size=path.stat().st_size, sha256=sha256_file(path)))
    return tuple(outputs)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest atomically, as the last file of the folder."""
    write_record(folder / MANIFEST_NAME, manifest)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a published folder, None if there is none; InputError if it is broken."""
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    return read_record(Manifest, path, fix="run the stage that makes this folder again with --force")


@dataclass(frozen=True, kw_only=True)
class PublishedFolder:
    """A complete folder of an earlier stage, and the fingerprint of what lies in it."""

    path: Path
    fingerprint: str


def published_folder(path: Path) -> PublishedFolder:
    """The folder with its fingerprint; InputError if it is incomplete."""
    manifest = read_manifest(path)
    if manifest is None:
        raise InputError(f"{path} is missing or incomplete; run the stage that makes it again.")
    return PublishedFolder(path=path, fingerprint=manifest.fingerprint)


def damaged_output(folder: Path, manifest: Manifest) -> str | None:
    """The first recorded file that is gone or has another size, else None. Cheap: contents are not read."""
    for output in manifest.outputs:
        path = folder / output.path
        if not path.is_file() or path.stat().st_size != output.size:
            return output.path
    return None
