"""Files appear whole or not at all; full disks and read-only folders are one sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gs_stereo.core.atomic import atomic_folder, atomic_path, remove_leftovers, write_errors, write_text
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


def test_two_writers_of_one_folder_the_second_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with atomic_folder(target) as work:
        (work / "first.txt").write_text("1")
        with pytest.raises(StageError, match="Another process is writing .*wait for it"), atomic_folder(target):
            raise AssertionError
    assert [path.name for path in target.iterdir()] == ["first.txt"]


def test_a_folder_that_was_written_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"

    def late(meanwhile: Callable[[], object]) -> None:
        with atomic_folder(target) as work:
            (work / "late.txt").write_text("late")
            meanwhile()

    with pytest.raises(StageError, match="has written .* meanwhile"):
        late(target.mkdir)
    with pytest.raises(StageError, match="has written .* meanwhile"):
        late((target / "theirs.txt").touch)
    assert [path.name for path in target.iterdir()] == ["theirs.txt"]
    assert list(tmp_path.iterdir()) == [target]


_KILLED = """
import os, signal, sys
from pathlib import Path
from gs_stereo.core.atomic import atomic_folder
replace, left = os.replace, int(sys.argv[2])
def killing(a, b):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(a, b)
os.replace = killing
with atomic_folder(Path(sys.argv[1])) as work:
    (work / "new.txt").write_text("new")
"""


@pytest.mark.parametrize("renames", [0, 1])
def test_what_a_killed_writer_left_is_put_right_by_the_next(tmp_path: Path, renames: int) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old.txt").write_text("old")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", _KILLED, str(target), str(renames)]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    with contextlib.suppress(InputError), atomic_folder(target):
        assert [path.name for path in target.iterdir()] == ["old.txt"]
        raise InputError("stop")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old.txt"]


def test_leftovers_are_what_our_writers_call_temporaries(tmp_path: Path) -> None:
    with (
        contextlib.suppress(InputError),
        atomic_folder(tmp_path / "pairs/a") as work,
        atomic_path(work / "b.json") as b,
    ):
        b.touch()
        remembered = [path.relative_to(tmp_path).as_posix() for path in (work, b)]
        raise InputError("as if killed")
    for name in remembered:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch() if name.endswith(".json") else (tmp_path / name).mkdir()
    (tmp_path / ".manifest.json.tmp-77.json").touch()
    kept = [tmp_path / name for name in (".units", ".labels", "notes.tmp-77", ".hidden.txt")]
    for path in kept:
        path.touch()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "pairs"])
    assert not list((tmp_path / "pairs").iterdir())
