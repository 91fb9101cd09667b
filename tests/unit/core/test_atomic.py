"""Files appear whole or not at all; full disks and read-only folders are one sentence."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from gs_stereo.core.atomic import atomic_folder, atomic_path, write_errors, write_text
from gs_stereo.core.hashing import sha256_file, unit_seed
from gs_stereo.errors import InputError, StageError


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half of the new")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, StageError, "the disk is full"),
        (errno.EROFS, InputError, "read-only file system"),
        (errno.EACCES, InputError, "not writable"),
        (errno.EIO, StageError, "check the disk"),
    ],
)
def test_an_os_error_is_one_sentence_with_the_fix(tmp_path: Path, number: int, kind: type, words: str) -> None:
    with pytest.raises(kind, match=words) as caught, write_errors(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert str(caught.value).count("\n") == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only folders")
def test_a_read_only_folder_is_an_input_error(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(InputError, match="not writable"):
        write_text(tmp_path / "a.txt", "x")


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(StageError, match="Cannot write"):
        write_text(tmp_path / "a" / "b.txt", "x")


def test_hashing_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot read"):
        sha256_file(tmp_path / "none")


def test_a_unit_seed_depends_on_seed_and_id_only() -> None:
    assert unit_seed(1, "a") == unit_seed(1, "a")
    assert len({unit_seed(1, "a"), unit_seed(2, "a"), unit_seed(1, "b"), unit_seed(12, "a")}) == 4
    assert 0 <= unit_seed(1, "a") < 2**63


def test_a_folder_replaces_another_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for number in range(2):
        with atomic_folder(target) as work:
            (work / f"{number}.txt").write_text("x")
    assert [path.name for path in target.iterdir()] == ["1.txt"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_leaves_the_old_one_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old.txt").write_text("old")

    def fail() -> None:
        with atomic_folder(target) as work:
            (work / "new.txt").write_text("new")
            raise InputError("stop")

    with pytest.raises(InputError, match="stop"):
        fail()
    assert [path.name for path in target.iterdir()] == ["old.txt"]
    assert list(tmp_path.iterdir()) == [target]


def test_when_the_last_rename_fails_the_old_folder_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old.txt").write_text("old")
    rename = os.replace

    def refuse_new(source: Path, destination: Path) -> None:
        if ".tmp-" in Path(source).name:
            raise OSError(errno.EIO, "stop")
        rename(source, destination)

    monkeypatch.setattr(os, "replace", refuse_new)
    with pytest.raises(StageError), atomic_folder(target):
        pass
    monkeypatch.undo()
    assert [path.name for path in target.iterdir()] == ["old.txt"]
    assert list(tmp_path.iterdir()) == [target]
