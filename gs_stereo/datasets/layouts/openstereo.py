"""OpenStereo (Guo et al., arXiv 2312.00343): lists of files, the dataset class that reads them, and a configuration.

Its training programs take a list of files a line, relative to a root that `cfgs/data_basic.py` names for each dataset
class, and one YAML file for data, net and optimizer. Its losses and scores skip disparities that are not above 0, so
the class turns "no label" into 0. Every tenth view is held out for evaluation, with all its baselines.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gs_stereo.core.atomic import write_text
from gs_stereo.datasets.layouts.pair_files import SEEN_BY_BOTH
from gs_stereo.datasets.layouts.protocol import ExportJob, Holds
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.imaging.images import write_png
from gs_stereo.imaging.png import write_gray_png
from gs_stereo.io.disparity_files import write_pfm

_FOLDERS = ("left", "right", "disparity", "seen")
_HELD_OUT_EVERY = 10
_MULTIPLE_PX = 32
"""Sides of crops and padded images: what the nets of OpenStereo need."""
_CROP = (320, 736)
"""Largest training crop, height and width, px: that of most of OpenStereo's own configurations."""
_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

_CLASS_FILE = "gs_stereo_dataset.py"
_DATASET_CLASS = '''\
"""OpenStereo's reader of a gs_stereo export.

Copy this file to stereo/datasets/, add GsStereoDataset to the imports and to __all__ of stereo/datasets/__init__.py,
and add the line 'GsStereoDataset': './data/GsStereo' to DATA_PATH_DICT of cfgs/data_basic.py. A line of a list
names left image, right image, disparity and the mask of pixels that both eyes see.
"""

import os

import cv2
import numpy as np

from .dataset_template import DatasetTemplate


def _read(path, flags):
    image = cv2.imread(path, flags)
    if image is None:
        raise FileNotFoundError(path + " is missing or broken; export it again.")
    return image


class GsStereoDataset(DatasetTemplate):
    def __getitem__(self, idx):
        left, right, disparity, seen = (os.path.join(self.root, name) for name in self.data_list[idx])
        known = _read(disparity, cv2.IMREAD_UNCHANGED).astype(np.float32)  # infinity = no label
        sample = {
            "left": _read(left, cv2.IMREAD_COLOR)[:, :, ::-1].astype(np.float32),
            "right": _read(right, cv2.IMREAD_COLOR)[:, :, ::-1].astype(np.float32),
            "disp": np.where(np.isfinite(known), known, 0).astype(np.float32),
            "occ_mask": _read(seen, cv2.IMREAD_GRAYSCALE) == 0,
        }
        if self.transform is not None:
            sample = self.transform(sample)
        sample["valid"] = sample["disp"] > 0
        sample["index"] = idx
        sample["name"] = left
        return sample
'''


class OpenStereoExporter:
    """The layout that OpenStereo trains on."""

    name = "openstereo"
    holds = Holds(
        files=(
            ("left/000000.png", "left image"),
            ("right/000000.png", "right image"),
            ("disparity/000000.pfm", "disparity of the left image, float32 px"),
            ("seen/000000.png", f"{SEEN_BY_BOTH} = both eyes see it, 0 = hidden from the right one"),
            ("train.txt", "one line a pair: the four paths above"),
            ("val.txt", f"the same for every {_HELD_OUT_EVERY}th view, held out"),
            (_CLASS_FILE, "the dataset class; where it goes stands at its head"),
            ("foundationstereo.yaml", "a training configuration: FoundationStereo on this data set"),
        ),
        unknown="infinity (the dataset class makes it 0, which OpenStereo skips)",
    )

    def write(self, folder: Path, samples: Iterable[ShardSample], job: ExportJob) -> list[str]:
        names, lines, size = [], [], (0, 0)
        for number, sample in enumerate(samples):
            name, size = f"{number:06d}", sample.disparity.shape
            left, right, disparity, seen = files = [
                f"{place}/{name}.{'pfm' if place == 'disparity' else 'png'}" for place in _FOLDERS
            ]
            write_png(folder / left, sample.left)
            write_png(folder / right, sample.right)
            write_pfm(folder / disparity, sample.disparity)
            write_gray_png(folder / seen, np.where(sample.non_occluded, SEEN_BY_BOTH, 0).astype(np.uint8))
            names.append(name)
            lines.append((sample.view_id, " ".join(files) + "\n"))
        views = list(dict.fromkeys(view for view, _ in lines))
        held_out = set(views[_HELD_OUT_EVERY - 1 :: _HELD_OUT_EVERY] or views[1:][-1:])
        training = [line for view, line in lines if view not in held_out]
        write_text(folder / "train.txt", "".join(training))
        write_text(folder / "val.txt", "".join(line for view, line in lines if view in held_out) or "".join(training))
        write_text(folder / _CLASS_FILE, _DATASET_CLASS)
        write_text(folder / "foundationstereo.yaml", _configuration(size))
        return names


def _configuration(size: tuple[int, ...]) -> str:
    """FoundationStereo's training on pairs of this (height, width), in OpenStereo's terms."""
    crop = [
        max(_MULTIPLE_PX, min(limit, side) // _MULTIPLE_PX * _MULTIPLE_PX)
        for limit, side in zip(_CROP, size, strict=True)
    ]
    padded = [-(-side // _MULTIPLE_PX) * _MULTIPLE_PX for side in size]
    to_tensor = [
        {"NAME": "TransposeImage"},
        {"NAME": "ToTensor"},
        {"NAME": "NormalizeImage", "MEAN": _MEAN, "STD": _STD},
    ]
    jitter = {"BRIGHTNESS": [0.6, 1.4], "CONTRAST": [0.6, 1.4], "SATURATION": [0.6, 1.4], "HUE": [-0.5, 0.5]}
    values: dict[str, Any] = {
        "DATA_CONFIG": {
            "DATA_INFOS": [
                {
                    "DATASET": "GsStereoDataset",
                    "DATA_SPLIT": {
                        "TRAINING": "./data/GsStereo/train.txt",
                        "EVALUATING": "./data/GsStereo/val.txt",
                        "TESTING": "./data/GsStereo/val.txt",
                    },
                }
            ],
            "DATA_TRANSFORM": {
                "TRAINING": [
                    {"NAME": "StereoColorJitter", **jitter, "ASYMMETRIC_PROB": 0.2},
                    {"NAME": "RandomErase", "PROB": 0.5, "MAX_TIME": 2, "BOUNDS": [50, 100]},
                    {"NAME": "RandomCrop", "SIZE": crop, "Y_JITTER": False},
                    *to_tensor,
                ],
                "EVALUATING": [{"NAME": "RightTopPad", "SIZE": padded}, *to_tensor],
            },
        },
        "MODEL": {
            "NAME": "FoundationStereo",
            "corr_levels": 2,
            "corr_radius": 4,
            "hidden_dims": [128, 128, 128],
            "low_memory": 0,
            "max_disp": 416,
            "mixed_precision": True,
            "n_downsample": 2,
            "n_gru_layers": 3,
            "vit_size": "vitl",
            "train_iters": 22,
            "valid_iters": 32,
            "FIND_UNUSED_PARAMETERS": True,
            "CKPT": -1,
            "PRETRAINED_MODEL": "",
        },
        "OPTIMIZATION": {
            "FREEZE_BN": False,
            "SYNC_BN": True,
            "AMP": True,
            "AMP_DTYPE": "bf16",
            "BATCH_SIZE_PER_GPU": 2,
            "NUM_EPOCHS": 10,
            "OPTIMIZER": {"NAME": "AdamW", "LR": 1.0e-4, "WEIGHT_DECAY": 1.0e-5, "EPS": 1.0e-8},
            "SCHEDULER": {"NAME": "OneCycleLR", "MAX_LR": 1.0e-4, "PCT_START": 0.05, "ON_EPOCH": False},
            "CLIP_GRAD": {"TYPE": "norm", "MAX_NORM": 1.0},
        },
        "EVALUATOR": {
            "BATCH_SIZE_PER_GPU": 1,
            "MAX_DISP": 192,
            "METRIC": ["d1_all", "epe", "thres_1", "thres_2", "thres_3"],
        },
        "TRAINER": {
            "EVAL_INTERVAL": 1,
            "CKPT_SAVE_INTERVAL": 1,
            "MAX_CKPT_SAVE_NUM": 10,
            "LOGGER_ITER_INTERVAL": 10,
            "TRAIN_VISUALIZATION": False,
            "EVAL_VISUALIZATION": False,
        },
    }
    head = (
        "# FoundationStereo on this export, which lies in data/GsStereo of OpenStereo: else change the lists below.\n"
        "# Start weights go to PRETRAINED_MODEL. For another net take MODEL and OPTIMIZATION of its configuration.\n"
    )
    written_out = json.loads(json.dumps(values))  # shares no part, so YAML writes no anchors
    return head + yaml.safe_dump(written_out, sort_keys=False, default_flow_style=None, width=110)
