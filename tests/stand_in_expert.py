"""Makes a folder with the entry points and checkpoint layout of FoundationStereo, and a real little matcher inside.

The net is a brute-force block matcher with one weight, `gain`, that multiplies its answer. It checks what it is fed as
the original would: float pixels 0-255 in NCHW, sides in multiples of 32. The value of the first pixel of the left image
makes it misbehave (`MISBEHAVIOUR`), so that one checkout can fail in every way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gs_stereo.core.child import Answer, Program
from gs_stereo.matching import expert_worker

MISBEHAVIOUR = {"exit": 1, "out_of_memory": 3, "wrong_shape": 4, "no_tensor": 5, "raise": 6}

_NET = """
import os
import torch
from torch import nn
import torch.nn.functional as F
from core.utils.utils import InputPadder


class FoundationStereo(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.args = args
        assert args.vit_size == "vitl", "vit_size is filled in when the file has none"
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, image1, image2, iters=12, flow_init=None, test_mode=False, low_memory=False, init_disp=None):
        assert test_mode and iters == self.args.valid_iters and not torch.is_grad_enabled() and not self.training
        assert image1.dtype == torch.float32 and image1.shape == image2.shape and image1.shape[1] == 3
        assert image1.max() > 1.5, "pixels are 0-255"
        assert image1.shape[2] % 32 == 0 and image1.shape[3] % 32 == 0
        print("a net may print to stdout", len(image1), flush=True)
        padded = self._misbehave(image1)
        if padded is not None:
            return padded
        costs = []
        for d in range(self.args.max_disp):
            moved = F.pad(image2, (d, 0, 0, 0), value=1e4)[..., : image2.shape[-1]]
            costs.append(F.avg_pool2d((image1 - moved).abs().mean(1, keepdim=True), 5, 1, 2, count_include_pad=False))
        best = torch.stack(costs).argmin(0).float()
        return best * self.gain

    def run_hierachical(self, image1, image2, iters=12, test_mode=False, low_memory=False, small_ratio=0.5):
        small = [F.interpolate(each, scale_factor=small_ratio, mode="area") for each in (image1, image2)]
        padder = InputPadder(small[0].shape[-2:], divis_by=32, force_square=False)
        disp = padder.unpad(self.forward(*padder.pad(*small), iters=iters, test_mode=True))
        return F.interpolate(disp, size=image1.shape[-2:], mode="nearest") / small_ratio

    def _misbehave(self, image1):
        code = round(float(image1[0, 0].flatten()[0]))
        if image1[0, 1].flatten()[0] != 0 or image1[0, 2].flatten()[0] != 0:
            return None
        if code == 1:
            print("giving up", flush=True)
            os._exit(3)
        if code == 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        if code == 4:
            return torch.zeros(1, 1, 8, 8)
        if code == 5:
            return [image1]
        if code == 6:
            raise ValueError("a bug of the net")
        return None
"""

_PADDER = """
import torch.nn.functional as F


class InputPadder:
    def __init__(self, dims, mode="sintel", divis_by=8, force_square=False):
        self.size = tuple(dims[-2:])
        extra = [-side % divis_by for side in self.size]
        self._pad = [extra[1] // 2, extra[1] - extra[1] // 2, extra[0] // 2, extra[0] - extra[0] // 2]

    def pad(self, *inputs):
        return [F.pad(each, self._pad, mode="replicate") for each in inputs]

    def unpad(self, x):
        left, _, top, _ = self._pad
        return x[..., top : top + self.size[0], left : left + self.size[1]]
"""

# The original's environment has omegaconf; this one need not.
_OMEGACONF = """
import yaml


class _Settings(dict):
    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class OmegaConf:
    @staticmethod
    def load(path):
        with open(path) as stream:
            return _Settings(yaml.safe_load(stream))
"""


def make_checkout(folder: Path) -> Path:
    """A checkout without git; its modules have the names of the original."""
    (folder / "core" / "utils").mkdir(parents=True)  # without __init__.py, as in the original
    (folder / "core" / "foundation_stereo.py").write_text(_NET)
    (folder / "core" / "utils" / "utils.py").write_text(_PADDER)
    (folder / "omegaconf.py").write_text(_OMEGACONF)
    return folder


def make_checkpoint(folder: Path, content: object | None = None, *, gain: float = 1.0) -> Path:
    """`model_best_bp2.pth` with `cfg.yaml` beside it; `content` replaces the usual dictionary."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cfg.yaml").write_text("max_disp: 24\nmixed_precision: true\n")
    usual = {"model": {"gain": torch.full((1,), gain)}, "global_step": 200000, "epoch": 7}
    path = folder / "model_best_bp2.pth"
    torch.save(usual if content is None else content, path)
    return path


class InProcessChild:
    """Stands for `Child` and runs the worker's code here, so that a test need not start torch again."""

    started = 0

    def __init__(self, program: Program) -> None:
        type(self).started += 1
        self._expert: Any = None

    def request(
        self, header: Mapping[str, Any], payload: bytes = b"", *, timeout_s: float, answer_bytes: int = 0
    ) -> Answer:
        header = json.loads(json.dumps(header))
        try:
            if header["kind"] == "start":
                self._expert = expert_worker.Expert(header["settings"])
                return Answer(header={"kind": "ready"}, payload=b"")
            result = self._expert.predict(header["shape"], bytearray(payload)).tobytes()
        except Exception as error:
            return Answer(header=expert_worker.error_header(error), payload=b"")
        assert len(result) <= answer_bytes
        return Answer(header={"kind": "result"}, payload=result)

    def close(self) -> None:
        self._expert = None

    def log_tail(self) -> str:
        return "the log"
