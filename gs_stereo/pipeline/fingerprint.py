"""Fingerprints: what a stage's result depends on, and which part of it changed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gs_stereo.config import canonical_json
from gs_stereo.core.atomic import write_text
from gs_stereo.core.hashing import sha256_file, sha256_text
from gs_stereo.core.records import json_text, read_object
from gs_stereo.core.text import printable
from gs_stereo.errors import GsStereoError, InputError

_MEANS = "means"


@dataclass(frozen=True, kw_only=True)
class FingerprintParts:
    """Everything that decides a stage's result, known before it runs.

    inputs: published folder -> its fingerprint. external: logical file name -> sha256 of its content. means: settings
    by which it is made, and which do not decide it: they are kept to make it again, and are no part of the fingerprint.
    """

    stage: str
    version: int
    config: Mapping[str, Any]
    seed: int
    inputs: Mapping[str, str]
    external: Mapping[str, str]
    means: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        deciding = {name: value for name, value in asdict(self).items() if name != _MEANS}
        return sha256_text(canonical_json(deciding))


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Readable differences between two nested mappings, such as `config.iterations (500 -> 3000)`."""
    for key in sorted({*old, *new} - {_MEANS}):
        name, a, b = f"{prefix}{key}", old.get(key), new.get(key)
        if a == b:
            continue
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from changed_keys(a, b, f"{name}.")
        elif prefix.startswith(("external.", "inputs.")):
            yield f"{name} {'added' if a is None else 'removed' if b is None else 'changed'}"
        else:
            yield f"{name} ({_short(a)} -> {_short(b)})"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


class HashCache:
    """sha256 of files, remembered by path, size and times of change, so that a rerun need not read all photos.

    The time of the inode counts too: `cp -p` and rsync give a replaced photo the old time of modification.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dirty = False
        try:
            self._known = read_object(path, fix="nothing")
        except InputError:  # only a cache: a lost or broken one costs a second look at the files
            self._known = {}

    def sha256(self, path: Path) -> str:
        key = printable(str(path.resolve()))
        try:
            stat = path.stat()
        except OSError:
            return sha256_file(path)  # raises the readable error
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        entry = self._known.get(key)
        if isinstance(entry, list) and entry[:3] == stamp:
            return str(entry[3])
        digest = sha256_file(path)
        self._known[key] = [*stamp, digest]
        self._dirty = True
        return digest

    def save(self) -> None:
        """Keep what was learned; a folder that cannot be written to only loses the shortcut."""
        if not self._dirty:
            return
        try:
            for stale in self._path.parent.glob(f".{self._path.name}.tmp-*"):
                stale.unlink(missing_ok=True)  # of a killed run; whoever still writes one loses the shortcut only
            write_text(self._path, json_text(self._known, indent=None, sort_keys=True))
        except GsStereoError:
            return
        self._dirty = False
