"""sha256 of files and texts, and seeds derived from them."""

import hashlib
from pathlib import Path

from gs_stereo.errors import unreadable

_BLOCK_BYTES = 1 << 20


def sha256_file(path: Path) -> str:
    """Hex digest of a file's content; InputError if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()


def sha256_text(text: str) -> str:
    """Hex digest of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def unit_seed(run_seed: int, unit_id: str) -> int:
    """A 63-bit seed for one unit of work: depends on the run's seed and the unit's id, never on order or worker."""
    return int(sha256_text(f"{run_seed}/{unit_id}")[:16], 16) >> 1
