"""An exact scene small enough to count by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

HEIGHT, WIDTH, FOCAL = 24, 32, 40.0


def _pose_entry(name: str, split: str) -> dict[str, object]:
    images = "images" if split == "train" else "test/images"
    entry: dict[str, object] = {
        "name": f"{name}.png",
        "image": f"{images}/{name}.png",
        "gt": f"gt/{split}/{name}.npz",
        "cam_from_world": np.eye(4).tolist(),
    }
    return entry if split == "train" else {**entry, "right_b100": f"test/right_b100/{name}.png"}


def step_truth() -> dict[str, np.ndarray]:
    """A wall at 2 m with a board at 1 m before columns 12 to 19; f b = 4 px m at 0.1 m, so disparities are 2 and 4."""
    z = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    z[:, 12:20] = 1.0
    occlusion = np.zeros((HEIGHT, WIDTH), np.uint8)
    occlusion[:, 10:12] = 1
    occlusion[:, :2] = 2
    cls = np.zeros((HEIGHT, WIDTH), np.uint8)
    cls[:, 12:20] = 1
    return {"z": z, "cls": cls, "occ_b100": occlusion}


@pytest.fixture
def step_scene(tmp_path: Path) -> Path:
    folder = tmp_path / "step"
    entries = {
        "train": [_pose_entry("000", "train"), _pose_entry("001", "train")],
        "test": [_pose_entry("000", "test")],
    }
    for views in entries.values():
        for view in views:
            for key in ("image", "gt", "right_b100"):
                if key in view:
                    (folder / str(view[key])).parent.mkdir(parents=True, exist_ok=True)
                    (folder / str(view[key])).write_bytes(b"not looked at")
            np.savez_compressed(folder / str(view["gt"]), **step_truth())
    values = {
        "scene": "step",
        "width": WIDTH,
        "height": HEIGHT,
        "fx": FOCAL,
        "fy": FOCAL,
        "cx": WIDTH / 2,
        "cy": HEIGHT / 2,
        "baselines": [0.1],
        **entries,
    }
    (folder / "poses.json").write_text(json.dumps(values))
    return folder
