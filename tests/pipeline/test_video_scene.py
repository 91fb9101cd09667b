"""A video as SCENE: its results lie in a folder of its name beside it, and every verb finds them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from gs_stereo.cli.main import app
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import read_photo
from gs_stereo.pipeline.scene import ScenePaths


def gsstereo(*words: object) -> Result:
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A walk through the sample room."""
    folder = tmp_path_factory.mktemp("video")
    size = "--width", 256, "--height", 192, "--set", "test_views=0"
    assert gsstereo("sample", folder / "room", "--views", 16, *size, "-q").exit_code == 0
    writer = cv2.VideoWriter(str(folder / "clip.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10.0, (256, 192))
    for path in sorted((folder / "room/images").iterdir()):
        writer.write(np.ascontiguousarray(read_photo(path)[:, :, ::-1]))
    writer.release()
    return folder / "clip.mp4"


def test_a_video_is_a_scene(clip: Path) -> None:
    before = clip.read_bytes()
    done = gsstereo("reconstruct", clip, "--set", "max_frames=12", "--json")
    assert done.exit_code == 0, done.output
    [stage] = json.loads(done.stdout)["stages"]
    assert Path(stage["folder"]) == clip.parent / "clip/gsstereo/reconstruct"
    assert stage["metrics"]["registered"] >= 8
    plan = json.loads(gsstereo("run", clip, "--set", "reconstruct.max_frames=12", "--dry-run", "--json").stdout)
    assert [entry["state"] for entry in plan][:2] == ["up to date", "missing"]
    assert "no data set" in gsstereo("report", clip).stderr
    refused = gsstereo("export", clip, "--format", "kitti", "--to", clip.parent / "k").stderr
    assert f"There is no dataset at {clip.parent / 'clip/gsstereo/dataset'}" in refused
    assert clip.read_bytes() == before


def test_a_video_has_its_name_and_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Room.MOV").touch()
    paths = ScenePaths.of(tmp_path / "Room.MOV")
    assert (paths.name, paths.output) == ("Room", tmp_path / "Room/gsstereo")
    assert ScenePaths.of(tmp_path / "Room.MOV", tmp_path / "out").output == tmp_path / "out"
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError, match="give a folder with photos in it, or a video"):
        ScenePaths.of(tmp_path / "a.jpg")
