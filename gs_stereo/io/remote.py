"""Folders here or behind a URL: read, write, create if absent, list, fetch and send, by fsspec where they are not here.

What has to hold on every store is one promise only: `create` succeeds for one of all who try. Object stores keep it by
conditional writes, file systems by O_EXCL; locks of the kernel are not relied on.
"""

import errno
import hashlib
import logging
import os
import re
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from gs_stereo.core.atomic import atomic_path, write_bytes, write_errors
from gs_stereo.core.records import Record, json_text, read_object
from gs_stereo.core.text import printable
from gs_stereo.errors import ConfigError, GsStereoError, InputError, StageError, unreadable

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.DOTALL)
_FETCHED = ".fetched.json"
_KEY_ERRORS = ("NoCredentialsError", "PartialCredentialsError", "AuthenticationException", "BadHostKeyException")
_TALKATIVE = ("gcsfs", "s3fs", "paramiko")
_SILENT = logging.NullHandler()  # one: a logger takes it once, however often it is given
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "sftp": "paramiko", "ssh": "paramiko", "abfs": "adlfs"}


@dataclass(frozen=True, kw_only=True)
class FileStamp:
    """A file below a place: its path there, its size in bytes, and a text that changes when it is written again."""

    path: str
    size: int
    stamp: str


@dataclass(frozen=True)
class Place(Record):
    """A folder: an absolute path of this machine, or a URL such as s3://bucket/room that fsspec opens.

    A store that does not answer is a StageError, for it may answer later; one that refuses is an InputError.
    """

    url: str

    @classmethod
    def of(cls, text: str) -> "Place":
        """A path from the current folder, or a URL; InputError if it is no text."""
        if printable(text) != text:
            raise InputError(f"The path {printable(text)} is no UTF-8 text; rename that file or folder.")
        if match := _URL.fullmatch(text.rstrip("/") if "://" in text else ""):
            return cls(str(Path(match[2]).absolute()) if match[1] == "file" else text.rstrip("/"))
        return cls(str(Path(text).resolve()))

    @property
    def is_local(self) -> bool:
        return _URL.fullmatch(self.url) is None

    @property
    def local(self) -> Path:
        """The folder on this machine; only where `is_local`."""
        assert self.is_local
        return Path(self.url)

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    def child(self, name: str) -> "Place":
        return Place(f"{self.url}/{name}")

    def read(self, name: str) -> bytes | None:
        """The content of a small file; None if there is none."""
        with self._errors(name):
            try:
                if self.is_local:
                    return (self.local / name).read_bytes()
                return bytes(self._fs.cat_file(self._key(name)))
            except (FileNotFoundError, NotADirectoryError):
                return None
        raise AssertionError

    def write(self, name: str, data: bytes) -> None:
        """Write a whole small file; whoever reads sees the old or the new one."""
        if self.is_local:
            write_bytes(self.local / name, data)
            return
        with self._errors(name):
            self._put(name, lambda key: self._fs.pipe_file(key, data))

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that is not there yet. Of all who try, anywhere, one gets True."""
        with self._errors(name):
            try:
                if self.is_local:
                    path = self.local / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with path.open("xb") as stream:
                        stream.write(data)
                elif self._is_ssh:
                    self._create_by_ssh(name, data)
                else:
                    self._fs.pipe_file(self._key(name), data, mode="create")
            except FileExistsError:
                return False
        return True

    def files(self, *, without: Iterable[str] = ()) -> Iterator[FileStamp]:
        """All files below, in sorted order, except those below the folders `without`."""
        left_out = set(without)
        if self.is_local:
            yield from _local_files(self.local, "", left_out)
            return
        with self._errors(""):
            self._fs.invalidate_cache()
            root = self._key("")
            try:
                found = self._fs.find(root, detail=True)
            except FileNotFoundError:
                return
        for key, info in sorted(found.items()):
            path = key.removeprefix(root).lstrip("/")
            if path.split("/")[0] not in left_out:
                yield FileStamp(path=path, size=int(info["size"]), stamp=_stamp(info))

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder below, not of those further down."""
        if self.is_local:
            path = self.local / folder
            return sorted(entry.name for entry in os.scandir(path) if entry.is_file()) if path.is_dir() else []
        with self._errors(folder):
            self._fs.invalidate_cache()
            try:
                return sorted(str(key).rsplit("/", 1)[-1] for key in self._fs.ls(self._key(folder), detail=False))
            except FileNotFoundError:
                return []
        raise AssertionError

    def stamps(self, names: Iterable[str]) -> dict[str, str]:
        """Stamps of those of the files that are there."""
        wanted = set(names)
        if not self.is_local and len(wanted) > 1:
            return {file.path: file.stamp for file in self.files() if file.path in wanted}
        found = {}
        for name in wanted:
            if self.is_local:
                with suppress(OSError):
                    found[name] = _local_stamp((self.local / name).stat())
                continue
            with self._errors(name), suppress(FileNotFoundError):
                found[name] = _stamp(self._fs.info(self._key(name)))
        return found

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those that are gone already do not matter."""
        for name in names:
            with self._errors(name):
                try:
                    if self.is_local:
                        (self.local / name).unlink()
                    else:
                        self._fs.rm_file(self._key(name))
                except FileNotFoundError:
                    continue

    def fetch(self, into: Path, *, without: Iterable[str] = (), last: str | None = None) -> None:
        """Make a local folder hold the files of a remote one. What has not changed since the last time stays.

        last: the file that says that a folder is complete; if it is the same here and there, all is.
        """
        if last is not None:
            said, here = self.read(last), into / last
            if said is not None and here.is_file() and here.read_bytes() == said:
                return
            shutil.rmtree(into, ignore_errors=True)
            if said is None:
                return
        record = into / _FETCHED
        try:
            known = read_object(record, fix="nothing")
        except InputError:
            known = {}
        found = {file.path: file for file in self.files(without=without)}
        for path in known.keys() - found.keys():
            (into / path).unlink(missing_ok=True)
        for path, file in sorted(found.items(), key=lambda item: item[0] == last):
            target = into / path
            if not target.resolve().is_relative_to(into.resolve()):
                raise InputError(f"The file {printable(path)} of {self.url} leads out of its folder; rename it.")
            if known.get(path) == file.stamp and target.is_file() and target.stat().st_size == file.size:
                continue
            with atomic_path(target) as temporary:
                self.get(path, temporary)
                if temporary.stat().st_size != file.size:
                    raise StageError(f"{self.url}/{path} arrived incomplete; check the network and try again.")
        if last is None:
            write_bytes(record, json_text({path: file.stamp for path, file in found.items()}).encode())

    def get(self, name: str, target: Path) -> None:
        """Copy one remote file to a local one."""
        with self._errors(name):
            self._fs.get_file(self._key(name), str(target))

    def send(self, folder: Path, *, last: str) -> None:
        """Make a remote folder hold the files of a local one; `last` says that it is complete.

        The old `last` goes first and the new one comes at the end, so that a mixture is never taken for a result. Other
        JSON, which says what is in files, comes after them.
        """
        old = {file.path for file in self.files()}
        new = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {_FETCHED}
        self.remove([last] if last in old else [])
        self.remove(sorted(old - new - {last}))
        for path in [*sorted(new - {last}, key=lambda path: (path.endswith(".json"), path)), last]:
            with self._errors(path):
                self._put(path, lambda key, source=str(folder / path): self._fs.put_file(source, key))  # type: ignore[misc]

    def _put(self, name: str, write: Callable[[str], None]) -> None:
        """Let `write` make a remote file; whoever reads sees the old or the new one, as object stores do it anyway."""
        key = self._key(name)
        if not self._is_ssh:
            write(key)
            return
        temporary = f"{self._folder_by_ssh(key)}/.tmp-{uuid.uuid4().hex}"
        write(temporary)
        self._fs.ftp.posix_rename(temporary, key)

    def _create_by_ssh(self, name: str, data: bytes) -> None:
        key = self._key(name)
        self._folder_by_ssh(key)
        try:
            with self._fs.ftp.open(key, "wx") as stream:
                stream.write(data)
        except OSError as error:  # the protocol does not say why
            if self._fs.exists(key):
                raise FileExistsError(key) from error
            raise

    def _folder_by_ssh(self, key: str) -> str:
        folder = key.rsplit("/", 1)[0]
        with suppress(OSError):  # another one may make it at the same moment; if it is not there, what follows says so
            self._fs.makedirs(folder, exist_ok=True)
        return folder

    @property
    def _is_ssh(self) -> bool:
        return self.url.startswith(("sftp://", "ssh://"))

    @property
    def _fs(self) -> Any:
        # Threads do not survive a fork; and two threads that share a connection of paramiko hang.
        root = "/".join(self.url.split("/", 3)[:3])
        return _file_system(root, os.getpid(), threading.get_ident() if self._is_ssh else 0)

    def _key(self, name: str) -> str:
        return str(self._fs._strip_protocol(f"{self.url}/{name}" if name else self.url))

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """Whatever a store raises as one sentence."""
        where = f"{self.url}/{name}" if name else self.url
        try:
            yield
        except GsStereoError:
            raise
        except PermissionError as error:
            raise InputError(
                f"{where} may not be read or written; check its permissions, your keys and this machine's clock."
            ) from error
        except ImportError as error:
            package = _PACKAGES.get(self.url.split(":", 1)[0], "the package for it")
            raise ConfigError(f"Opening {where} needs {package}; install it with pip.") from error
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise InputError(f"There is no {where}; check the address.") from error
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS) and not self.is_local:
                raise  # it is this machine's disk that is full, and whoever writes to it knows where
            if self.is_local:
                with write_errors(Path(where)):
                    raise
            raise _unreachable(where, error) from error
        except Exception as error:  # each store has its own
            if type(error).__name__ in _KEY_ERRORS or "authentication" in str(error):
                raise InputError(f"There are no keys that open {where}; set them up as its provider says.") from error
            raise _unreachable(where, error) from error


def _unreachable(where: str, error: Exception) -> StageError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return StageError(f"The store does not answer for {where} ({reason}); check the address and the network.")


@lru_cache
def _file_system(root: str, process: int, thread: int) -> Any:
    """root: the URL up to its host or bucket."""
    from fsspec.core import url_to_fs

    ssh = root.startswith(("sftp:", "ssh:"))
    for store in _TALKATIVE:  # what they log, tracebacks too, is said in a sentence by whoever asked
        logging.getLogger(store).addHandler(_SILENT)
    # A listing that is remembered would hide what other machines have written since; with SSH there is none.
    options = {"skip_instance_cache": True} if ssh else {"use_listings_cache": False}
    try:
        return url_to_fs(root, **options)[0]
    except ValueError as error:
        kind = root.split(":", 1)[0]
        raise ConfigError(
            f"The kind of address {kind}:// is not known; use a folder, s3://, gs:// or sftp://."
        ) from error


def _local_files(root: Path, below: str, left_out: set[str]) -> Iterator[FileStamp]:
    try:
        entries = sorted(os.scandir(root / below), key=lambda entry: entry.name)
    except OSError as error:
        raise unreadable(root / below, error) from error
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir(follow_symlinks=True):
            if path not in left_out:
                yield from _local_files(root, path, left_out)
        elif entry.is_file():
            stat = entry.stat()
            yield FileStamp(path=path, size=stat.st_size, stamp=_local_stamp(stat))


def _local_stamp(stat: os.stat_result) -> str:
    return f"{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ino}"


def _stamp(info: dict[str, Any]) -> str:
    changes = next(
        (info[key] for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created") if key in info), ""
    )
    text = str(changes.timestamp() if isinstance(changes, datetime) else changes)  # listings of some say it so
    return f"{info['size']}-{text.strip(chr(34))}"


def digest_of(files: Iterable[FileStamp]) -> str:
    """One text for a listing, which changes when a file comes, goes or is written again."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path}\0{file.stamp}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]
