"""manifest.json: the proof that a published stage folder is complete, and the record of how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from gs_stereo.core.atomic import fsync_path, write_text
from gs_stereo.core.hashing import sha256_file
from gs_stereo.errors import InputError

MANIFEST_NAME = "manifest.json"
MANIFEST_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """One file of a published folder, with `path` relative to the folder."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """See DESIGN: what was run, on what, with what result. `parts` is what the fingerprint was taken of."""

    stage: str
    fingerprint: str
    parts: Mapping[str, Any]
    outputs: tuple[OutputFile, ...]
    code_version: str
    libraries: Mapping[str, str]
    device: str
    seconds: float
    peak_memory_bytes: int
    metrics: Mapping[str, Any] = field(default_factory=dict)
    drops: Mapping[str, int] = field(default_factory=dict)
    summary: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    format: int = MANIFEST_FORMAT


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
    write_text(folder / MANIFEST_NAME, json.dumps(asdict(manifest), indent=1, ensure_ascii=False) + "\n")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a published folder, None if there is none; InputError if it is broken."""
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    broken = f"The manifest {path} is broken; run the stage again with --force."
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.get("format") != MANIFEST_FORMAT:
            raise InputError(broken)
        values = {name: values[name] for name in (item.name for item in fields(Manifest))}
        outputs = tuple(OutputFile(**entry) for entry in values.pop("outputs"))
        return Manifest(outputs=outputs, **values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(broken) from error


def damaged_output(folder: Path, manifest: Manifest) -> str | None:
    """The first recorded file that is gone or has another size, else None. Cheap: contents are not read."""
    for output in manifest.outputs:
        path = folder / output.path
        if not path.is_file() or path.stat().st_size != output.size:
            return output.path
    return None
