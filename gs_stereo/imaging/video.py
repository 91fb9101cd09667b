"""Sharp, evenly spaced frames of a video file.

A video is cut into as many windows of equal length as frames are wanted; from each window comes the sharpest frame.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import write_png
from gs_stereo.imaging.sharpness import frame_sharpness

_FIRST_PART_OF_WINDOW = 0.6


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
    frames = _frames(video, decode=True)
    for window, members in groupby(frames, lambda frame: int(np.searchsorted(bounds, frame[0], side="right")) - 1):
        start, *ends = bounds[window : window + 2]
        # A window has at least its first frame; frames that were not there when they were counted belong to none.
        last = start + max(1, _FIRST_PART_OF_WINDOW * (ends[0] - start)) if ends else 0
        best, sharpest = None, -1.0
        for index, image in members:
            on_frame(index + 1, total)
            if index < last and (sharpness := frame_sharpness(image)) > sharpest:
                best, sharpest = (index, image), sharpness
        if best is not None:
            written.append(folder / f"frame_{best[0]:06d}.png")
            write_png(written[-1], best[1])
    return written


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
