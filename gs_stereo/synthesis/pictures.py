"""A picture of one made view: source and truth, then of every synthesizer what it made, an anaglyph, and the error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from gs_stereo.imaging.colour_maps import anaglyph, coloured

Picture = UInt8[np.ndarray, "h w 3"]
_LARGEST_ERROR = 64.0
_GAP_PX = 3
_TITLE_PX = 18


def comparison_picture(source: Picture, truth: Picture, made: Mapping[str, Picture], *, to_the_left: bool) -> Picture:
    """Rows of three: source, truth and their anaglyph; then made, its anaglyph, and |made - truth| up to 64 levels.

    to_the_left: the made view is the left eye.
    """
    rows = [_row("source | truth | anaglyph", [source, truth, _anaglyph(source, truth, to_the_left)])]
    for name, image in made.items():
        error = np.abs(image.astype(np.float64) - truth).mean(axis=2)
        shown = [image, _anaglyph(source, image, to_the_left), coloured(error, 0.0, _LARGEST_ERROR)]
        rows.append(_row(f"{name}: made | anaglyph | error", shown))
    return np.concatenate(rows)


def _anaglyph(source: Picture, other: Picture, to_the_left: bool) -> Picture:
    return anaglyph(other, source, 0) if to_the_left else anaglyph(source, other, 0)


def _row(title: str, images: list[Picture]) -> Picture:
    import cv2

    gap = np.full((images[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    body = np.concatenate([part for image in images for part in (image, gap)], axis=1)
    head = np.full((_TITLE_PX, body.shape[1], 3), 255, np.uint8)
    cv2.putText(head, title, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, cv2.LINE_AA)
    return np.concatenate([head, body])
