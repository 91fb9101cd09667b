"""Whatever ends a verb is one sentence with an exit code; what is our fault leaves a file to send."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gs_stereo.cli import run_verbs
from gs_stereo.cli.main import app

BROKEN_NAME = os.fsdecode(b"caf\xe9")  # latin-1, as of an old disk


def status_that_raises(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> tuple[int, str]:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(run_verbs, "run_recipe", fail)
    result = CliRunner().invoke(app, ["status"])
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (MemoryError(), 4, "The memory is used up"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 3, "'/x/y' (Permission denied)"),
        (OSError(errno.EIO, "Input/output error", "/x"), 3, "Input/output error"),
        (UnicodeEncodeError("utf-8", "a\udce9", 1, 2, "no"), 3, "not valid UTF-8 ('a\\udce9')"),
        (UnicodeDecodeError("utf-8", b"a\xe9", 1, 2, "no"), 3, "not valid UTF-8"),
    ],
)
def test_foreign_failures_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, told: str
) -> None:
    found, text = status_that_raises(monkeypatch, error)
    assert found == code
    assert told in text
    assert text.count("\n") == 1


def test_a_fault_of_ours_is_one_line_and_a_file_with_all_of_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, text = status_that_raises(monkeypatch, KeyError("a\udce9\nb"))
    assert code == 4
    assert text.count("\n") == 1
    [path] = tmp_path.iterdir()
    assert str(path) in text
    report = path.read_text(encoding="utf-8")
    assert re.search(r"gsstereo \S+, Python 3", report)
    assert "command: [" in report
    assert "in fail" in report


def test_a_fault_where_no_file_can_be_written_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    code, text = status_that_raises(monkeypatch, KeyError("x"))
    assert code == 4
    assert "please report it" in text


@pytest.mark.parametrize("verb", [["status"], ["reconstruct"], ["run"], ["report"], ["view"], ["render-pairs"]])
def test_a_scene_folder_whose_name_is_no_text_is_named(tmp_path: Path, verb: list[str]) -> None:
    folder = tmp_path / BROKEN_NAME
    folder.mkdir()
    result = CliRunner().invoke(app, [*verb, str(folder)])
    assert result.exit_code == 3
    assert "no UTF-8" in result.stderr
    assert result.stderr.count("\n") == 1


def forbidden(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for another user; root may read all."""
    access, scandir = os.access, os.scandir

    def refuse(path: object) -> bool:
        return os.fspath(path) == str(folder)  # type: ignore[call-overload]

    def scandir_of_others(path: object = ".") -> object:
        if refuse(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scandir(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "access", lambda path, mode: not refuse(path) and access(path, mode))
    monkeypatch.setattr(os, "scandir", scandir_of_others)


@pytest.mark.parametrize("verb", [["status"], ["run"], ["refresh"], ["label"], ["report"], ["view"], ["train"]])
def test_results_that_may_not_be_read_are_named_by_every_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    results = tmp_path / "gsstereo"
    results.mkdir()
    forbidden(results, monkeypatch)
    result = CliRunner().invoke(app, [*verb, str(tmp_path)])
    assert result.exit_code == 3
    assert f"The results in {results} cannot be read" in result.stderr


def test_photos_that_may_not_be_read_are_not_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    forbidden(tmp_path / "images", monkeypatch)
    result = CliRunner().invoke(app, ["reconstruct", str(tmp_path)])
    assert result.exit_code == 3
    assert "images cannot be read (Permission denied)" in result.stderr
