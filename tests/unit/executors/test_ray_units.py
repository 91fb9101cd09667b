"""Where units of a cell may run on Ray: only where its files are seen as they are, and each begins once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is an extra")

from gs_stereo.executors.ray import _Marks, _sees_the_same, _unit
from gs_stereo.executors.spread import Done, Refused
from gs_stereo.pipeline.cell import Cell, Resources


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Marks:
    monkeypatch.setattr("gs_stereo.executors.ray.use_cores", lambda most: None)  # it concerns the whole process
    (tmp_path / "photo.png").write_text("photo")
    output = tmp_path / "gsstereo"
    (output / "dataset").mkdir(parents=True)
    cell = Cell(
        key="label room",
        scene=str(tmp_path),
        output=str(output),
        folder="dataset/fused",
        stage="label",
        config={},
        seed=0,
        resources=Resources(),
    )
    return _Marks.of(cell)


def test_a_unit_is_done_once(marks: _Marks) -> None:
    assert _unit(lambda: 7, 3, marks) == Done(7)
    assert _unit(lambda: 7, 3, marks) == Refused()
    assert not marks.begin(3)
    assert marks.begin(4)


def test_other_files_another_disk_and_other_code_are_noticed(marks: _Marks, tmp_path: Path) -> None:
    assert _sees_the_same(marks)
    assert not _sees_the_same(replace(marks, folder=tmp_path / "elsewhere"))
    assert not _sees_the_same(replace(marks, version="0.0.0"))
    assert not _sees_the_same(replace(marks, scene=str(tmp_path / "nowhere")))
    (tmp_path / "photo.png").write_text("another photo")
    _sees_the_same.cache_clear()
    assert not _sees_the_same(marks)


def test_nothing_begins_when_the_cell_has_ended(marks: _Marks) -> None:
    assert _sees_the_same(marks)
    for path in marks.folder.iterdir():
        path.unlink()
    marks.folder.rmdir()
    assert _unit(lambda: 7, 0, marks) == Refused()
