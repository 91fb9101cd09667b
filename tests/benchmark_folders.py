"""Benchmark folders of a few pixels, in every layout that the readers know."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from builders import make_info, plain_sample

from gs_stereo.datasets.write import write_dataset
from gs_stereo.io.disparity_files import write_pfm, write_steps_png
from gs_stereo.types import LabelFlag, Provenance

HEIGHT, WIDTH = 12, 20
CALIBRATION = """cam0=[994.978 0 311.193; 0 994.978 254.877; 0 0 1]
cam1=[994.978 0 342.279; 0 994.978 254.877; 0 0 1]
doffs=31.086
baseline=193.001
width=741
"""


def image(seed: int, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def truth(seed: int = 0) -> np.ndarray:
    """Disparities of 1 to 9 px in steps of 1/16, about a fifth unknown."""
    rng = np.random.default_rng(seed)
    values = rng.integers(16, 9 * 16, (HEIGHT, WIDTH)).astype(np.float32) / 16
    values[rng.random(values.shape) < 0.2] = np.nan
    return values


def seen_by_both(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed + 100).random((HEIGHT, WIDTH)) < 0.7


def write_image(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), values[..., ::-1] if values.ndim == 3 else values)


def write_mask(path: Path, mask: np.ndarray) -> None:
    """255 = both eyes see it, 128 = occluded, as Middlebury stores it."""
    write_image(path, np.where(mask, 255, 128).astype(np.uint8))


def write_truth(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pfm(path, values)


def write_generic_pair(folder: Path, seed: int = 0, *, mask: bool = True) -> None:
    write_image(folder / "left.png", image(seed))
    write_image(folder / "right.png", image(seed + 1))
    write_truth(folder / "disp_left.pfm", truth(seed))
    if mask:
        write_mask(folder / "nonocc_left.png", seen_by_both(seed))


def write_middlebury(scene: Path, seed: int, truth_name: str = "disp0GT.pfm", mask: bool = True) -> None:
    write_image(scene / "im0.png", image(seed))
    write_image(scene / "im1.png", image(seed + 1))
    write_truth(scene / truth_name, truth(seed))
    (scene / "calib.txt").write_text(CALIBRATION)
    if mask:
        write_mask(scene / "mask0nocc.png", seen_by_both(seed))


def write_kitti(folder: Path, images: tuple[str, str], truths: tuple[str, str], seed: int) -> None:
    write_image(folder / images[0] / "000003_10.png", image(seed))
    write_image(folder / images[1] / "000003_10.png", image(seed + 1))
    write_image(folder / images[0] / "000003_11.png", image(9))
    for name, values in zip(truths, (truth(seed), np.where(seen_by_both(seed), truth(seed), np.nan)), strict=True):
        (folder / name).mkdir(parents=True, exist_ok=True)
        write_steps_png(folder / name / "000003_10.png", values.astype(np.float32), 256)


def write_frame(part: Path, path: str, seed: int, passed: str = "frames_cleanpass", stem: str = "0006") -> None:
    write_image(part / passed / path / f"left/{stem}.png", image(seed))
    write_image(part / passed / path / f"right/{stem}.png", image(seed + 1))
    write_truth(part / "disparity" / path / f"left/{stem}.pfm", truth(seed))
    write_truth(part / "disparity" / path / f"right/{stem}.pfm", truth(seed + 1))


def write_foundation_stereo(folder: Path) -> None:
    place = folder / "room/dataset/data"
    write_image(place / "left/rgb/0001.jpg", image(1))
    write_image(place / "right/rgb/0001.jpg", image(2))
    steps = np.nan_to_num(truth(1) * 1000).round().astype(int)
    digits = np.stack([steps // 255**2, steps // 255 % 255, steps % 255], axis=-1)
    write_image(place / "left/disparity/0001.png", digits.astype(np.uint8))


def write_motorcycle(folder: Path) -> None:
    write_image(folder / "motorcycle_left.png", image(1))
    write_image(folder / "motorcycle_right.png", image(2))
    np.savez(folder / "motorcycle_disp.npz", np.where(np.isnan(truth()), np.inf, truth()))


def write_dataset_of_two(folder: Path) -> None:
    """Two samples of our shards; the first column is out of frame, the second hidden."""
    flags = np.zeros((HEIGHT, WIDTH), np.uint16)
    flags[:, 0], flags[:, 1] = LabelFlag.OUT_OF_FRAME, LabelFlag.OCCLUDED
    samples = [
        plain_sample(
            truth(seed),
            sample_id=f"s{seed}",
            left=image(seed),
            right=image(seed + 1),
            flags=flags,
            intrinsics=np.diag([10.0, 10.0, 1.0]),
        )
        for seed in (1, 2)
    ]
    info = make_info(
        scene="tiny", label="exact", provenance=Provenance(name="exact", version="1", licence="Apache-2.0")
    )
    write_dataset(folder, samples, info, sample_count=2)


def write_exact(folder: Path) -> None:
    """One test view of a wall at 2 m: f b = 4 px m, so the disparity is 2 px; the left two columns are out of frame."""
    view = {
        "name": "000.png",
        "image": "l.png",
        "gt": "t.npz",
        "cam_from_world": np.eye(4).tolist(),
        "right_b100": "r.png",
    }
    write_image(folder / "l.png", image(1))
    write_image(folder / "r.png", image(2))
    occlusion = np.zeros((HEIGHT, WIDTH), np.uint8)
    occlusion[:, :2] = 2
    z = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    np.savez(folder / "t.npz", z=z, cls=np.zeros((HEIGHT, WIDTH), np.uint8), occ_b100=occlusion)
    camera = {"width": WIDTH, "height": HEIGHT, "fx": 40.0, "fy": 40.0, "cx": WIDTH / 2, "cy": HEIGHT / 2}
    values = {"scene": "wall", **camera, "baselines": [0.1], "train": [], "test": [view]}
    (folder / "poses.json").write_text(json.dumps(values))
