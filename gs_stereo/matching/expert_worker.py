"""The program that runs FoundationStereo: `PYTHON expert_worker.py`, started by `foundation_stereo.py`.

It is run by the interpreter of the user's own FoundationStereo environment, so it imports nothing of this package
(`core/channel.py`, which needs the standard library only, is loaded by its path) and only what that environment has:
torch, numpy, omegaconf and the checkout itself. It calls the entry points that the checkout publishes:
`FoundationStereo(cfg)`, `ckpt["model"]`, `InputPadder`, `forward` and `run_hierachical`.

Requests are `start` (settings) and `predict` (uint8 images: all left ones, then all right ones); answers are `ready`,
`result` (float32 disparities) and `error` (a `reason` and a `message`).
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import traceback
from typing import Any

# How the versions of torch say that a file holds more than weights. A broken file has an invalid load key instead.
MORE_THAN_WEIGHTS = ("GLOBAL", "nsupported class", "unrecognized function", "Can only build")


class RefusalError(Exception):
    """Something that the parent can explain to the user. `reason` is one of the keys it knows."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Expert:
    """The loaded net."""

    def __init__(self, settings: dict[str, Any]) -> None:
        _import_from(settings["repo"])
        try:
            import torch
        except (ImportError, OSError) as error:
            raise RefusalError("import", _one_line(error)) from error
        self.settings = settings
        if settings["device"] == "cuda" and not torch.cuda.is_available():
            raise RefusalError("no_cuda", "its torch finds no CUDA device")
        self.device = torch.device("cuda" if settings["device"] != "cpu" and torch.cuda.is_available() else "cpu")
        torch.manual_seed(0)
        torch.backends.cudnn.benchmark = False
        try:
            load_yaml = importlib.import_module("omegaconf").OmegaConf.load
            model_class = getattr(importlib.import_module("core.foundation_stereo"), "FoundationStereo", None)
            self.padder_class = importlib.import_module("core.utils.utils").InputPadder
        except (ImportError, AttributeError, RuntimeError, OSError) as error:  # the last two: libraries that do not fit
            raise RefusalError("import", _one_line(error)) from error
        self.model = _load(torch, settings, model_class, load_yaml).to(self.device).eval()

    def predict(self, shape: list[int], payload: bytearray) -> Any:
        """(2, B, H, W, 3) uint8, left and right -> (B, H, W) float32 in pixels of these images."""
        import numpy
        import torch

        _, batch, height, width, _ = shape
        images = torch.from_numpy(numpy.frombuffer(payload, dtype=numpy.uint8).reshape(shape))
        left, right = (image.to(self.device).float().permute(0, 3, 1, 2).contiguous() for image in images)
        padder = self.padder_class(left.shape, divis_by=32, force_square=False)
        padded = padder.pad(left, right)
        half = self.device.type == "cuda" and self.settings["mixed_precision"]
        with torch.no_grad(), torch.autocast("cuda", dtype=torch.float16) if half else contextlib.nullcontext():
            answer = self._run(*padded)
        if not torch.is_tensor(answer) or answer.ndim != 4 or answer.shape[-2:] != padded[0].shape[-2:]:
            raise RefusalError("wrong_output", _what(answer))
        disparity = padder.unpad(answer.float()).cpu().numpy()
        if disparity.shape != (batch, 1, height, width):
            raise RefusalError("wrong_output", _what(disparity))
        return numpy.ascontiguousarray(disparity[:, 0], dtype="<f4")

    def _run(self, left: Any, right: Any) -> Any:
        iters = self.settings["valid_iters"]
        if self.settings["hierarchical"]:
            return self.model.run_hierachical(left, right, iters=iters, test_mode=True, small_ratio=0.5)
        return self.model.forward(left, right, iters=iters, test_mode=True)


def _import_from(repo: str) -> None:
    """Modules come from the checkout, and none from the folder of this file, whose names mean other things."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [repo, *(path for path in sys.path if os.path.abspath(path or ".") != here)]


def _load(torch: Any, settings: dict[str, Any], model_class: Any, load_yaml: Any) -> Any:
    checkpoint = _read_checkpoint(torch, settings)
    if isinstance(checkpoint, torch.nn.Module):  # Fast-FoundationStereo stores the whole module
        return _adjust_module(checkpoint, settings)
    weights = checkpoint.get("model") if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict):
        raise RefusalError("wrong_checkpoint", "it holds no 'model'")
    if model_class is None:
        raise RefusalError("import", "core/foundation_stereo.py has no FoundationStereo")
    try:
        cfg = _model_config(load_yaml(settings["cfg"]), settings)
        model = model_class(cfg)
    except Exception as error:
        if _is_out_of_memory(error) or isinstance(error, (ImportError, OSError)):
            raise
        raise RefusalError("wrong_cfg", f"{type(error).__name__}: {_one_line(error)}") from error
    try:
        model.load_state_dict(weights)
    except (RuntimeError, AttributeError, TypeError) as error:
        # Its first line says only that there are errors.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        what = (lines[1:] or lines or [type(error).__name__])[0][:200]
        fit = f"its state_dict does not fit the net of cfg.yaml with vit_size {cfg['vit_size']}: {what}"
        raise RefusalError("wrong_checkpoint", fit) from error
    return model


def _read_checkpoint(torch: Any, settings: dict[str, Any]) -> Any:
    import pickle

    path, unsafe = settings["checkpoint"], settings["allow_unsafe_pickle"]
    try:
        return torch.load(path, map_location="cpu", weights_only=not unsafe)
    except pickle.UnpicklingError as error:
        refused = not unsafe and any(sign in str(error) for sign in MORE_THAN_WEIGHTS)
        if refused:
            raise RefusalError("unsafe_pickle", _one_line(error)) from error
        # torch advises to load such a file without care, which cannot help: it is no pickle at all.
        raise RefusalError("wrong_checkpoint", "it is damaged, or no file of torch.save") from error
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, ImportError, OSError) as error:
        if _is_out_of_memory(error):
            raise
        raise RefusalError("wrong_checkpoint", _one_line(error)) from error


def _model_config(cfg: Any, settings: dict[str, Any]) -> Any:
    if "vit_size" not in cfg:  # configurations older than the option mean the large one
        cfg["vit_size"] = "vitl"
    cfg["valid_iters"] = settings["valid_iters"]
    cfg["hiera"] = int(settings["hierarchical"])
    cfg["mixed_precision"] = settings["mixed_precision"]
    if settings["max_disparity"] is not None:
        cfg["max_disp"] = settings["max_disparity"]
    return cfg


def _adjust_module(module: Any, settings: dict[str, Any]) -> Any:
    module.args.valid_iters = settings["valid_iters"]
    module.args.mixed_precision = settings["mixed_precision"]
    if settings["max_disparity"] is not None:
        module.args.max_disp = settings["max_disparity"]
    return module


def _what(answer: Any) -> str:
    shape = tuple(answer.shape) if hasattr(answer, "shape") else type(answer).__name__
    return f"the net answered with {shape}"


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    refused = [line for line in lines if any(sign in line for sign in MORE_THAN_WEIGHTS)]
    return (refused or lines or [type(error).__name__])[0][:300]


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "can't allocate" in str(error)


def main() -> None:
    """Answer requests until the process ends."""
    channel = _channel()
    expert: Any = None
    try:
        while True:
            header, payload = channel.receive()
            if header["kind"] == "start":
                expert = Expert(header["settings"])
                channel.send({"kind": "ready", "device": expert.device.type})
            else:
                channel.send({"kind": "result"}, expert.predict(header["shape"], payload))
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        channel.send(error_header(error))
    os._exit(1)


def _channel() -> Any:
    """The pipes to the parent."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    spec = importlib.util.spec_from_file_location("_channel", os.path.join(package, "core", "channel.py"))
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module.Channel(alive=True)


def error_header(error: Exception) -> dict[str, Any]:
    """The answer that tells the parent what went wrong."""
    if isinstance(error, RefusalError):
        return {"kind": "error", "reason": error.reason, "message": str(error)}
    reason = "out_of_memory" if _is_out_of_memory(error) else "failed"
    return {"kind": "error", "reason": reason, "message": f"{type(error).__name__}: {_one_line(error)}"}


if __name__ == "__main__":
    main()
