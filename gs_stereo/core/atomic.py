"""Files and folders that appear whole or not at all: temp, fsync, rename."""

import errno
import fcntl
import glob
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gs_stereo.errors import InputError, StageError

_LEFTOVER = re.compile(r"\..+\.(?:tmp|old)-\d+(?:\..*)?")  # what the functions below call temporaries
_NOT_WRITABLE = "it is not writable; choose another folder (for results: --out) or change its permissions"
_WHY = {
    errno.ENOSPC: (StageError, "the disk is full; free some space and run again"),
    errno.EDQUOT: (StageError, "the disk quota is used up; free some space and run again"),
    errno.EACCES: (InputError, _NOT_WRITABLE),
    errno.EPERM: (InputError, _NOT_WRITABLE),
    errno.EROFS: (InputError, "it is on a read-only file system; choose another folder (for results: --out)"),
}


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of writing `path` into one sentence with the fix."""
    try:
        yield
    except OSError as error:
        kind, fix = _WHY.get(error.errno or 0, (StageError, f"{error.strerror or error}; check the disk"))
        raise kind(f"Cannot write {path}: {fix}.") from error


def fsync_path(path: Path) -> None:
    """Flush a file or folder entry to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it replaces `path` if the block ends well, else it is removed."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}{path.suffix}")
    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            fsync_path(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        fsync_path(path.parent)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` to fill; it takes the place of `folder` if the block ends well.

    Otherwise it is removed and `folder` stays as it was. Files must be flushed by who writes them. StageError if
    another process is filling one for the same place, or has written there meanwhile.
    """
    target = folder.resolve()
    work, old = (target.with_name(f".{target.name}.{kind}-{os.getpid()}") for kind in ("tmp", "old"))
    with write_errors(folder):
        _take_over(target)
        work.mkdir(parents=True)
        lock = os.open(work, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel frees it when we die
            before = _stamp(target)
            yield work
            for path in [*(path for path in work.rglob("*") if path.is_dir()), work]:
                fsync_path(path)
            if _stamp(target) != before:
                raise StageError(f"Another process has written {folder} meanwhile; look at it, or choose another one.")
            if target.exists():
                os.replace(target, old)
            try:
                os.replace(work, target)
            except OSError:
                if old.exists():
                    os.replace(old, target)
                raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
            os.close(lock)
        fsync_path(target.parent)
        shutil.rmtree(old, ignore_errors=True)


def _take_over(target: Path) -> None:
    """Remove or put back what a killed process has left; StageError if it lives and is still writing."""
    for work in target.parent.glob(f".{glob.escape(target.name)}.tmp-*"):
        handle = os.open(work, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(work)
        except BlockingIOError as error:
            raise StageError(f"Another process is writing {target}; wait for it, or choose another folder.") from error
        finally:
            os.close(handle)
    for old in target.parent.glob(f".{glob.escape(target.name)}.old-*"):
        if target.exists():
            shutil.rmtree(old)
        else:
            os.replace(old, target)  # it was killed between the two renames


def _stamp(path: Path) -> tuple[int, int] | None:
    """Changes when a folder is replaced, or entries of it are made or removed; None if it is not there."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers have left anywhere below a folder in which nobody else is writing."""
    for path in sorted(folder.rglob(".*"), reverse=True):
        if _LEFTOVER.fullmatch(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file atomically."""
    write_bytes(path, text.encode("utf-8"))
