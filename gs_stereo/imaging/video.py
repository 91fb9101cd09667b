"""Sharp, evenly spaced frames of a video file.

A video is cut into as many windows of equal length as frames are wanted; from each window comes the sharpest frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import write_png
from gs_stereo.imaging.sharpness import frame_sharpness

_LAST_PART_OF_WINDOW = 0.6


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    index: int
    sharpness: float
    image: UInt8[np.ndarray, "h w 3"]


OnFrame = Callable[[int, int], None]


def _ignore(_done: int, _total: int) -> None:
    """For callers that do not watch."""


def extract_frames(video: Path, folder: Path, max_frames: int, on_frame: OnFrame = _ignore) -> list[Path]:
    """Write at most `max_frames` frames of `video` to `folder` as PNG, named by their number in the video.

    One frame is taken from each of `max_frames` windows, from its first 60 %, so that two are never close together.
    on_frame: called with (frames looked at, frames in all).
    InputError if the file cannot be read as a video or holds no frame.
    """
    total = sum(1 for _ in _frames(video, decode=False))
    if not total:
        raise InputError(f"The video {video} holds no frame that can be decoded; convert it to MP4 (H.264) or photos.")
    bounds = np.linspace(0, total, min(max_frames, total) + 1)
    written: list[Path] = []
    best: _Candidate | None = None
    for index, image in _frames(video, decode=True):
        on_frame(index + 1, total)
        window = int(np.searchsorted(bounds, index, side="right")) - 1
        if best is not None and best.index < bounds[min(window, len(bounds) - 1)]:
            written.append(_write(folder, best))
            best = None
        if window >= len(bounds) - 1 or not _counts(index, bounds[window], bounds[window + 1]):
            continue
        sharpness = frame_sharpness(image)
        if best is None or sharpness > best.sharpness:
            best = _Candidate(index=index, sharpness=sharpness, image=image)
    if best is not None:
        written.append(_write(folder, best))
    return written


def _counts(index: int, start: float, end: float) -> bool:
    """True in the first part of a window; a window always has at least its first frame."""
    return index < start + 1 or index < start + _LAST_PART_OF_WINDOW * (end - start)


def _frames(video: Path, *, decode: bool) -> Iterator[tuple[int, UInt8[np.ndarray, "h w 3"]]]:
    """Number and RGB image of every frame; an empty image where only the count matters."""
    import cv2

    if not video.is_file():
        raise InputError(f"There is no video {video}; check the path.")
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
    try:
        nothing = np.empty((0, 0, 3), dtype=np.uint8)
        index = 0
        while capture.isOpened() and capture.grab():
            if decode:
                done, image = capture.retrieve()
                if not done:
                    break
                yield index, np.ascontiguousarray(image[:, :, ::-1])
            else:
                yield index, nothing
            index += 1
    finally:
        capture.release()


def _write(folder: Path, frame: _Candidate) -> Path:
    path = folder / f"frame_{frame.index:06d}.png"
    write_png(path, frame.image)
    return path
