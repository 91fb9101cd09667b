"""An onnxruntime session: how it is opened, checked, run under a time limit, and how its failures are told."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gs_stereo.errors import ConfigError, InputError, PluginError, StageError
from gs_stereo.log import logger
from gs_stereo.matching.onnx_config import OnnxConfig, OnnxModelDescription

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
_SILENT = 4
# The default search times the algorithms and so picks others in every run; TF32 has 10 bits of mantissa.
_REPEATABLE_CUDA = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}


@dataclass(frozen=True, kw_only=True)
class OpenModel:
    """An onnxruntime session, the numpy type of each input, and the size it insists on (None: any)."""

    session: Any
    types: Mapping[str, Any]
    fixed_size: tuple[int, int] | None


def open_model(config: OnnxConfig, description: OnnxModelDescription) -> OpenModel:
    """Load the model and check that its inputs and outputs are those of the description.

    PluginError without onnxruntime or the wanted provider; InputError for a broken or other model; ConfigError if the
    description contradicts the model.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise PluginError(
            "The matcher 'onnx' needs onnxruntime; pip install 'gs_stereo[experts]' (or onnxruntime-gpu)."
        ) from error
    wanted = _choose_provider(config, onnxruntime.get_available_providers())
    try:
        session = _start(config, wanted)
    except Exception as error:  # onnxruntime's errors share no other base
        if wanted != "cpu" and _starts_on_cpu(config):
            session = _on_cpu_instead(config, wanted, _reason(error))
        else:
            raise InputError(
                f"Cannot load the ONNX model {config.model} ({_reason(error)}); export it again."
            ) from error
    if _PROVIDERS[wanted] not in session.get_providers():
        session = _on_cpu_instead(config, wanted, "its libraries are missing")
    return _checked(session, description, config.model)


def _start(config: OnnxConfig, provider: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.log_severity_level = _SILENT
    options.use_deterministic_compute = True
    offered = onnxruntime.get_available_providers()
    # Its own fallback would try again by itself and print to stdout.
    return onnxruntime.InferenceSession(
        str(config.model), options, providers=_with_fallbacks(provider, offered, config.device_index), enable_fallback=0
    )


def _starts_on_cpu(config: OnnxConfig) -> bool:
    """Tells a provider that does not work from a model that is broken."""
    try:
        _start(config, "cpu")
    except Exception:  # onnxruntime's errors share no other base
        return False
    return True


def _on_cpu_instead(config: OnnxConfig, wanted: str, reason: str) -> Any:
    if config.provider != "auto":
        raise PluginError(f"onnxruntime cannot start {wanted} ({reason}); install what it needs, or set provider=cpu.")
    logger.warning("onnxruntime cannot start %s (%s) and runs on the CPU.", wanted, reason)
    return _start(config, "cpu")


def _choose_provider(config: OnnxConfig, offered: Sequence[str]) -> str:
    if config.provider == "auto":
        return "cuda" if _PROVIDERS["cuda"] in offered else "cpu"
    if _PROVIDERS[config.provider] not in offered:
        raise PluginError(
            f"This onnxruntime has no {config.provider} (it has {', '.join(offered)}); "
            "pip install onnxruntime-gpu, or set provider=auto."
        )
    return config.provider


def _with_fallbacks(wanted: str, offered: Sequence[str], device_index: int) -> list[tuple[str, dict[str, str]]]:
    """The wanted provider, then those that take over the operators that it does not know."""
    order = {"tensorrt": ("tensorrt", "cuda", "cpu"), "cuda": ("cuda", "cpu"), "cpu": ("cpu",)}[wanted]
    device = {"device_id": str(device_index)}
    settings = {"tensorrt": device, "cuda": {**device, **_REPEATABLE_CUDA}, "cpu": {}}
    return [(_PROVIDERS[name], settings[name]) for name in order if _PROVIDERS[name] in offered]


def _checked(session: Any, description: OnnxModelDescription, model: Path) -> OpenModel:
    try:
        inputs = {each.name: each for each in session.get_inputs()}
        shapes = {name: list(each.shape) for name, each in inputs.items()}
        outputs = {each.name for each in session.get_outputs()}
    except UnicodeDecodeError as error:
        raise InputError(f"The ONNX model {model} has names that are no text; export it again.") from error
    wanted = {description.output, *filter(None, [description.confidence_output])}
    if set(inputs) != set(description.inputs) or not wanted <= outputs:
        raise InputError(
            f"The ONNX model {model} has inputs {sorted(inputs)} and outputs {sorted(outputs)}, its description names "
            f"{sorted(description.inputs)} and {sorted(wanted)}; correct the description."
        )
    for name, each in inputs.items():
        if each.type not in _DTYPES or len(shapes[name]) != 4:
            raise InputError(
                f"The input {name} of {model} is {each.type} {shapes[name]}, not an image batch of 4 axes."
            )
        if each.type == "tensor(uint8)" and not description.raw_pixels:
            raise ConfigError(f"The input {name} of {model} takes uint8; its description must not normalise pixels.")
    types = {name: _DTYPES[each.type] for name, each in inputs.items()}
    return OpenModel(
        session=session, types=types, fixed_size=_fixed_size(shapes[description.inputs[0]], description, model)
    )


def _fixed_size(shape: list[Any], description: OnnxModelDescription, model: Path) -> tuple[int, int] | None:
    """(height, width) that the model insists on, None if it takes any; ConfigError on contradictions."""
    height, width = shape[2:] if description.layout == "NCHW" else shape[1:3]
    in_file = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    if in_file and min(in_file) < 1:
        raise InputError(f"The ONNX model {model} takes images of {in_file} (height, width); export it again.")
    if in_file and description.size and in_file != description.size:
        raise ConfigError(
            f"The ONNX model {model} takes {in_file} (height, width), its description says {description.size}; "
            "correct the layout or remove the size."
        )
    return in_file or description.size


def run_model(
    model: OpenModel, names: Sequence[str], tensors: Mapping[str, np.ndarray], config: OnnxConfig
) -> list[Any]:
    """The outputs called `names`; tensors are converted to the types of the inputs. StageError if the run fails."""
    feed = {name: tensor.astype(model.types[name]) for name, tensor in tensors.items()}
    with _time_limit(config.timeout_s) as options:
        return _guarded_run(model.session, names, feed, options, config)


@contextmanager
def _time_limit(seconds: float) -> Iterator[Any]:
    """Run options that onnxruntime gives up on after `seconds`."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.log_severity_level = _SILENT
    timer = threading.Timer(seconds, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield options
    finally:
        timer.cancel()


def _guarded_run(
    session: Any, names: Sequence[str], feed: Mapping[str, np.ndarray], options: Any, config: OnnxConfig
) -> list[Any]:
    try:
        return session.run(list(names), dict(feed), options)
    except Exception as error:  # onnxruntime's errors share no other base
        if options.terminate:
            raise StageError(
                f"The ONNX model {config.model} ran longer than {config.timeout_s:g} s; raise timeout_s or use a GPU."
            ) from error
        reason = _reason(error)
        if "allocate" in reason or "out of memory" in reason.lower():
            raise StageError(
                f"The ONNX model {config.model} ran out of memory ({reason}); "
                "use smaller images, or a model exported at a smaller size."
            ) from error
        raise StageError(
            f"The ONNX model {config.model} failed ({reason}); check its description, or export it again."
        ) from error


def _reason(error: Exception) -> str:
    """The first line of onnxruntime's message, short enough for a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")
