"""Whole shards of a remote data set on the local disk, the ones used last; workers of one machine share them."""

import os
from dataclasses import dataclass
from pathlib import Path

from gs_stereo.core.atomic import atomic_path
from gs_stereo.core.hashing import sha256_file, sha256_text
from gs_stereo.core.records import record_from_json
from gs_stereo.datasets.probe import probe_shards
from gs_stereo.datasets.schema import INDEX_NAME, DatasetIndex
from gs_stereo.errors import InputError
from gs_stereo.io.remote import Place

DEFAULT_BYTES = 50 << 30


@dataclass(frozen=True, kw_only=True)
class ShardCache:
    """folder: where the copies lie. most_bytes: of all copies of this data set; the one being read stays anyway."""

    place: Place
    index: DatasetIndex
    folder: Path
    most_bytes: int = DEFAULT_BYTES

    @classmethod
    def of(cls, url: str, cache: Path | None = None, most_bytes: int = DEFAULT_BYTES) -> "ShardCache":
        """The data set at a URL; InputError if there is none, StageError if its store does not answer."""
        place = Place.of(url)
        text = place.read(INDEX_NAME)
        if text is None:
            raise InputError(f"There is no finished dataset at {url} (no {INDEX_NAME}); check the address.")
        try:
            index = record_from_json(DatasetIndex, text)
        except ValueError as error:
            raise InputError(f"The file {url}/{INDEX_NAME} is broken ({error}); publish it again.") from error
        root = cache or Path.home() / ".cache" / "gsstereo"
        return cls(place=place, index=index, folder=root / f"shards-{sha256_text(url)[:24]}", most_bytes=most_bytes)

    def path(self, number: int) -> Path:
        """Shard `number` as a local file, fetched if it is not there; InputError if it is damaged in the store."""
        entry = self.index.shards[number]
        path = self.folder / f"{entry.sha256[:16]}.h5"
        if not path.is_file():
            with atomic_path(path) as temporary:
                self.place.get(entry.file, temporary)
                if sha256_file(temporary) != entry.sha256:
                    raise InputError(f"The shard {self.place.url}/{entry.file} is damaged; publish it again.")
                probe_shards([temporary])
        os.utime(path)
        self._make_room(path)
        return path

    def _make_room(self, kept: Path) -> None:
        """Remove the copies that were used longest ago. Whoever has one open can go on reading it."""
        copies = [(path.stat().st_mtime_ns, path.stat().st_size, path) for path in self.folder.glob("[!.]*.h5")]
        total = sum(size for _, size, _ in copies)
        for _, size, path in sorted(copies):
            if total > self.most_bytes and path != kept:
                path.unlink(missing_ok=True)
                total -= size
