"""A long stage as a list of independent units: finished ones are recorded and survive an interruption."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gs_stereo.core.hashing import sha256_file, sha256_text
from gs_stereo.core.records import Record, read_record, write_record
from gs_stereo.errors import InputError

UNITS_FOLDER = ".units"


@dataclass(frozen=True, kw_only=True)
class _FinishedUnit(Record):
    """files: path below the work folder -> sha256. result: JSON values."""

    unit: str
    files: Mapping[str, str]
    result: Any


class UnitLedger:
    """Records of finished units in the work folder. A record counts only while its files are what it says."""

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir

    def _record_path(self, unit_id: str) -> Path:
        return self._work_dir / UNITS_FOLDER / f"{sha256_text(unit_id)[:24]}.json"

    def record(self, unit_id: str, files: Iterable[Path], result: Any = None) -> None:
        """Say that a unit is done: its files (already in place) and a small JSON result."""
        entries = {str(path.relative_to(self._work_dir)): sha256_file(path) for path in files}
        write_record(self._record_path(unit_id), _FinishedUnit(unit=unit_id, files=entries, result=result), indent=None)

    def _read(self, unit_id: str) -> _FinishedUnit | None:
        try:
            record = read_record(_FinishedUnit, self._record_path(unit_id), fix="it is made again")
        except InputError:
            return None
        if record.unit != unit_id:
            return None
        for name, digest in record.files.items():
            path = self._work_dir / name
            if not path.is_file() or sha256_file(path) != digest:
                return None
        return record

    def done(self, unit_id: str) -> bool:
        """True if the unit has a valid record."""
        return self._read(unit_id) is not None

    def result(self, unit_id: str) -> Any:
        """What `record` was given; only for units that are done."""
        record = self._read(unit_id)
        if record is None:
            raise KeyError(unit_id)
        return record.result
