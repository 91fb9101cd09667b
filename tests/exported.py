"""Exports read back: by the product's finders, and layouts that it only writes as a stranger reads them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from gs_stereo.datasets.layouts.foundation_stereo import find_foundation_stereo
from gs_stereo.datasets.layouts.kitti import find_kitti_2015
from gs_stereo.datasets.layouts.middlebury import find_middlebury
from gs_stereo.datasets.layouts.pair_files import LabelledPair, PairSource
from gs_stereo.datasets.layouts.sceneflow import find_sceneflow

FINDERS: dict[str, Callable[[Path], list[PairSource]]] = {
    "kitti": find_kitti_2015,
    "middlebury": find_middlebury,
    "sceneflow": find_sceneflow,
    "foundationstereo": find_foundation_stereo,
}


def sources_of(layout: str, folder: Path) -> list[PairSource]:
    """The pairs of an export in the order in which they were written."""
    strangers = {"nerf-stereo": _nerf_stereo, "webdataset": _webdataset, "openstereo": _openstereo}
    return FINDERS[layout](folder) if layout in FINDERS else list(strangers[layout](folder))


def pairs_of(layout: str, folder: Path) -> list[LabelledPair]:
    return [source.read() for source in sources_of(layout, folder)]


def _nerf_stereo(folder: Path) -> Iterator[PairSource]:
    for line in (folder / "train.txt").read_text().splitlines():
        _, centre, right, disparity, _ = line.split()
        images = [np.array(Image.open(folder / name)) for name in (centre, right)]
        steps = cv2.imread(str(folder / disparity), cv2.IMREAD_UNCHANGED).astype(np.float32)
        yield _source(centre, images, np.where(steps == 0, np.float32(np.nan), steps / 64))


def _openstereo(folder: Path) -> Iterator[PairSource]:
    lists = [(folder / name).read_text().splitlines() for name in ("train.txt", "val.txt")]
    for line in sorted({line for lines in lists for line in lines}):
        left, right, disparity, _ = (folder / name for name in line.split(" "))
        values = cv2.imread(str(disparity), cv2.IMREAD_UNCHANGED)
        images = [np.array(Image.open(name)) for name in (left, right)]
        yield _source(line, images, np.where(np.isinf(values), np.float32(np.nan), values))


def _webdataset(folder: Path) -> Iterator[PairSource]:
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            members = {entry.name: archive.extractfile(entry).read() for entry in archive}
        for key in sorted({name.split(".")[0] for name in members}):
            images = [np.array(Image.open(io.BytesIO(members[f"{key}.{eye}.png"]))) for eye in ("left", "right")]
            yield _source(key, images, np.load(io.BytesIO(members[f"{key}.disparity.npy"]), allow_pickle=False))


def _source(name: str, images: list[np.ndarray], disparity: np.ndarray) -> PairSource:
    pair = LabelledPair(left=images[0], right=images[1], disparity=disparity)
    return PairSource(name=name, read=partial(lambda pair: pair, pair))
