"""Frames of a video: the sharp ones, spread over its length, the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import read_photo
from gs_stereo.imaging.sharpness import frame_sharpness
from gs_stereo.imaging.video import extract_frames

FRAMES, SHARP_EVERY = 40, 5


def write_video(path: Path) -> None:
    """Noise that is blurred in all frames but every fifth."""
    import cv2

    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (128, 96))
    assert writer.isOpened()
    for index in range(FRAMES):
        writer.write(noise if index % SHARP_EVERY == 1 else cv2.GaussianBlur(noise, (0, 0), 3))
    writer.release()


def test_sharp_and_spaced_frames_are_chosen(tmp_path: Path) -> None:
    write_video(tmp_path / "ä.avi")
    frames = extract_frames(tmp_path / "ä.avi", tmp_path / "out", FRAMES // SHARP_EVERY)
    assert [int(path.stem.split("_")[1]) for path in frames] == list(range(1, FRAMES, SHARP_EVERY))
    assert min(frame_sharpness(read_photo(path)) for path in frames) > 500


@pytest.mark.parametrize("wanted", [2, 7, 40, 1000])
def test_number_of_frames_is_kept_and_names_are_in_order(tmp_path: Path, wanted: int) -> None:
    write_video(tmp_path / "a.avi")
    frames = extract_frames(tmp_path / "a.avi", tmp_path / "out", wanted)
    assert len(frames) == min(wanted, FRAMES)
    assert [path.name for path in frames] == sorted({path.name for path in frames})


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi")
    first, second = (extract_frames(tmp_path / "a.avi", tmp_path / name, 6) for name in ("x", "y"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize("content", [b"", b"this is no video" * 100, None])
def test_what_is_no_video_is_an_input_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.mp4"):
        extract_frames(tmp_path / "a.mp4", tmp_path / "out", 5)


def test_every_frame_that_is_looked_at_is_reported(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi")
    seen: list[tuple[int, int]] = []
    extract_frames(tmp_path / "a.avi", tmp_path / "out", 6, lambda done, total: seen.append((done, total)))
    assert seen == [(number + 1, FRAMES) for number in range(FRAMES)]
