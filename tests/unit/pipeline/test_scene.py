"""Which folder is a scene."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gs_stereo.cli.options import path_near_scene
from gs_stereo.errors import InputError
from gs_stereo.pipeline.scene import ScenePaths


def test_the_folder_of_results_is_no_scene_and_the_scene_is_named(tmp_path: Path) -> None:
    results = tmp_path / "room/gsstereo"
    (results / "fit").mkdir(parents=True)
    assert ScenePaths.of(results).scene == results  # a scene may be called so
    (results / "fit/manifest.json").touch()
    with pytest.raises(InputError, match=re.escape(f"give the scene itself, {tmp_path / 'room'}.")):
        ScenePaths.of(results)
    assert ScenePaths.of(tmp_path / "room").output == results


def test_files_are_looked_for_in_the_scene_and_then_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "room").mkdir()
    monkeypatch.chdir(tmp_path)
    assert path_near_scene(Path("a.csv"), Path("room")) == str(tmp_path / "a.csv")
    (tmp_path / "room/a.csv").touch()
    assert path_near_scene(Path("a.csv"), Path("room")) == str(tmp_path / "room/a.csv")
