"""Makes checkouts with the entry points and checkpoint layouts of iSQoE and MEt3R, and judges of one line inside."""

from __future__ import annotations

from pathlib import Path

import torch

_EXTRACTOR = """
class DINOv2:
    def __init__(self, backbone, feature, xatten, xatten_layers):
        assert (backbone, feature, xatten) == ("dinov2_vits14", "patches", "concat")
        self.layers = xatten_layers
"""
_LIGHTNING = """
import torch
from torch import nn

class Perceptual(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, left, right):
        assert left.shape == right.shape == (1, 3, 720, 1280) and not torch.is_grad_enabled() and not self.training
        assert 0 <= left.min() and left.max() <= 1
        print("a judge may print to stdout")
        return self.gain * (left.mean() - 2 * right.mean())

class LightningPerceptualModel(nn.Module):
    def __init__(self, feature_extractor, dataset_dir, use_lora, lora_r, lora_alpha, lora_dropout):
        super().__init__()
        assert feature_extractor.layers == [2, 5, 8, 11] and use_lora and lora_r == 8
        self.stereo_perceptual_model = Perceptual()
"""
_MET3R = """
import os
import torch
from torch import nn

class MEt3R(nn.Module):
    def __init__(self, img_size, use_norm, backbone, feature_backbone, feature_backbone_weights, upsampler, distance,
                 freeze):
        super().__init__()
        assert (backbone, feature_backbone, upsampler, distance) == ("mast3r", "dino16", "featup", "cosine")
        assert os.environ["HF_HUB_OFFLINE"] == "1"
        self.size = img_size

    def forward(self, images):
        assert images.shape == (1, 2, 3, self.size, self.size)
        if images.min() == images.max():
            raise ValueError("no points")
        return (images[:, 0].mean(dim=(1, 2, 3)) - 3 * images[:, 1].mean(dim=(1, 2, 3)),)
"""


def make_isqoe(folder: Path, gain: float = 2.0) -> Path:
    """The checkout; its checkpoint is `isqoe_1_1.ckpt` in it."""
    package = folder / "isqoe"
    (package / "pretrained_models").mkdir(parents=True)
    for each in (package, package / "pretrained_models"):
        (each / "__init__.py").touch()
    (package / "lightning_model.py").write_text(_LIGHTNING)
    (package / "pretrained_models" / "feature_extractor.py").write_text(_EXTRACTOR)
    weights = {"stereo_perceptual_model.gain": torch.full((1,), gain)}
    torch.save({"state_dict": weights}, folder / "isqoe_1_1.ckpt")
    return folder


def make_met3r(folder: Path) -> Path:
    """The checkout."""
    (folder / "met3r").mkdir(parents=True)
    (folder / "met3r" / "__init__.py").write_text(_MET3R)
    return folder
