"""Makes the picture of the README from a labelled data set.

    python tools/make_pictures.py demo/gsstereo/dataset/fused [--sample ID]

Writes docs/pair.webp: left and right image, disparity with its scale in pixels, confidence in percent. Without --sample
it shows the sample whose disparities spread most.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from gs_stereo.core.atomic import write_bytes
from gs_stereo.datasets.read import read_dataset
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.imaging.colour_maps import colour_table, coloured, shown_range

TARGET = Path(__file__).parents[1] / "docs" / "pair.webp"
TILE_WIDTH_PX, BAR_PX, CAPTION_PX, GAP_PX = 480, 12, 26, 6
CONFIDENCE_PERCENT = (80, 100)  # pixels below have no label by default
INK, PAPER = (40, 40, 44), 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--sample")
    arguments = parser.parse_args()
    samples = [each for each in read_dataset(arguments.dataset) if arguments.sample in (None, each.sample_id)]
    if not samples:
        raise SystemExit(f"{arguments.dataset} has no sample {arguments.sample!r}; leave --sample out.")
    picture = sheet(max(samples, key=spread_px))
    done, data = cv2.imencode(".webp", picture[:, :, ::-1], [cv2.IMWRITE_WEBP_QUALITY, 86])
    assert done
    write_bytes(TARGET, data.tobytes())
    print(f"{TARGET}: {picture.shape[1]} x {picture.shape[0]}, {len(data) / 1000:.0f} kB")


def spread_px(sample: ShardSample) -> float:
    """How far the disparities of a sample spread: 1st to 99th percentile."""
    low, high = shown_range(sample.disparity)
    return high - low


def sheet(sample: ShardSample) -> np.ndarray:
    """Two rows of two tiles."""
    low, high = shown_range(sample.disparity)
    labelled = np.isfinite(sample.disparity)
    percent = np.where(labelled, sample.confidence / 2.55, np.nan)
    tiles = [
        tile(sample.left, "left"),
        tile(sample.right, "right"),
        tile(coloured(sample.disparity, low, high), "disparity, px", (low, high)),
        tile(coloured(percent, *CONFIDENCE_PERCENT), "confidence, % (striped: no label)", CONFIDENCE_PERCENT),
    ]
    gap = np.full((tiles[0].shape[0], GAP_PX, 3), PAPER, np.uint8)
    rows = [np.concatenate([tiles[k], gap, tiles[k + 1]], axis=1) for k in (0, 2)]
    return np.concatenate(rows)


def tile(image: np.ndarray, caption: str, bounds: tuple[float, float] | None = None) -> np.ndarray:
    """A picture with its caption below, and a colour bar with its bounds where it has one."""
    height = round(image.shape[0] * TILE_WIDTH_PX / image.shape[1])
    small = cv2.resize(image, (TILE_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    strip = np.full((CAPTION_PX, TILE_WIDTH_PX, 3), PAPER, np.uint8)
    write(strip, caption, 2)
    if bounds:
        left, right = TILE_WIDTH_PX - 160, TILE_WIDTH_PX - 44
        ramp = colour_table()[np.linspace(0, 255, right - left).astype(int)]
        strip[7 : 7 + BAR_PX, left:right] = ramp
        write(strip, f"{bounds[0]:.0f}", left - 30)
        write(strip, f"{bounds[1]:.0f}", right + 6)
    return np.concatenate([small, strip])


def write(strip: np.ndarray, text: str, x: int) -> None:
    cv2.putText(strip, text, (x, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.48, INK, 1, cv2.LINE_AA)


if __name__ == "__main__":
    main()
