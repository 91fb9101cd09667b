"""The program that runs a learned judge: `PYTHON judge_worker.py`, started by `learned.py`.

It is run by the interpreter of the user's own environment, so it imports nothing of this package (`core/channel.py`,
which needs the standard library only, is loaded by its path) and only what that environment has: torch, numpy and the
checkout. It calls what the checkouts publish: iSQoE's `LightningPerceptualModel` and `DINOv2`, MEt3R's `MEt3R`.

Requests are `start` (settings) and `score` (uint8 images, left and right); answers are `ready`, `result` (one score)
and `error` (a message).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from typing import Any

_ISQOE_SIZE = (720, 1280)
_ISQOE_LAYERS = [2, 5, 8, 11]


class Isqoe:
    """One number for (left, right). The weights hold nothing but tensors."""

    def __init__(self, torch: Any, settings: dict[str, Any], device: Any) -> None:
        self.torch, self.device = torch, device
        extractor = importlib.import_module("isqoe.pretrained_models.feature_extractor").DINOv2(
            backbone="dinov2_vits14", feature="patches", xatten="concat", xatten_layers=_ISQOE_LAYERS
        )
        model = importlib.import_module("isqoe.lightning_model").LightningPerceptualModel(
            feature_extractor=extractor,
            dataset_dir=os.path.join(settings["repo"], "dataset", "scope"),
            use_lora=True,
            lora_r=8,
            lora_alpha=32,
            lora_dropout=0.1,
        )
        stored = torch.load(settings["checkpoint"], map_location="cpu", weights_only=True)
        model.load_state_dict(stored.get("state_dict", stored))
        self.model = model.to(device).eval().stereo_perceptual_model

    def score(self, left: Any, right: Any) -> float:
        eyes = [
            self.torch.nn.functional.interpolate(eye, size=_ISQOE_SIZE, mode="bicubic", antialias=True).clamp(0, 1)
            for eye in (left, right)
        ]
        return float(self.model(*eyes))


class Met3r:
    """The mean of both directions; the module compares in the frame of its first picture."""

    def __init__(self, torch: Any, settings: dict[str, Any], device: Any) -> None:
        self.torch, self.size = torch, settings["size_px"]
        metric = importlib.import_module("met3r").MEt3R
        self.metric = metric(
            img_size=self.size,
            use_norm=True,
            backbone="mast3r",
            feature_backbone="dino16",
            feature_backbone_weights="mhamilton723/FeatUp",
            upsampler="featup",
            distance="cosine",
            freeze=True,
        ).to(device)

    def score(self, left: Any, right: Any) -> float:
        both = self.torch.cat([left, right])
        small = self.torch.nn.functional.interpolate(both, size=(self.size, self.size), mode="area") * 2 - 1
        directions = [self.metric(images=pair[None])[0] for pair in (small, small.flip(0))]
        return sum(float(each.mean()) for each in directions) / 2


def start(settings: dict[str, Any]) -> Any:
    """The judge that the settings name, on its device. Its modules come from the checkout."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [settings["repo"], *(path for path in sys.path if os.path.abspath(path or ".") != here)]
    import torch

    cuda = torch.cuda.is_available()
    if settings["device"] == "cuda" and not cuda:
        raise RuntimeError("its torch finds no CUDA device")
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    device = torch.device("cuda" if cuda and settings["device"] != "cpu" else "cpu")
    return {"iSQoE": Isqoe, "MEt3R": Met3r}[settings["judge"]](torch, settings, device), torch, device


def main() -> None:
    """Answer requests until the process ends."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    spec = importlib.util.spec_from_file_location("_channel", os.path.join(package, "core", "channel.py"))
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    channel = module.Channel(alive=True)
    judge: Any = None
    try:
        while True:
            header, payload = channel.receive()
            if header["kind"] == "start":
                judge, torch, device = start(header["settings"])
                channel.send({"kind": "ready"})
                continue
            import numpy

            images = torch.from_numpy(numpy.frombuffer(payload, dtype=numpy.uint8).reshape(header["shape"]))
            left, right = (image[None].permute(0, 3, 1, 2).to(device).float() / 255 for image in images)
            channel.send({"kind": "result", "score": judge.score(left, right)})
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        channel.send({"kind": "error", "message": f"{type(error).__name__}: {(lines or ['no message'])[0][:300]}"})
    os._exit(1)


if __name__ == "__main__":
    main()
