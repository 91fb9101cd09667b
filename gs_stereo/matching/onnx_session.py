"""An onnxruntime session: how it is opened, checked, run under a time limit, and how its failures are told."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gs_stereo.core.cores import cores
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
    offered = onnxruntime.get_available_providers()
    auto = "cuda" if _PROVIDERS["cuda"] in offered else "cpu"
    wanted = auto if config.provider == "auto" else config.provider
    if _PROVIDERS[wanted] not in offered:
        raise PluginError(
            f"This onnxruntime has no {wanted} (it has {', '.join(offered)}); "
            "pip install onnxruntime-gpu, or set experts.onnx.provider=auto."
        )
    reason = "its libraries are missing"
    try:
        session = _start(config, wanted)
    except Exception as error:  # onnxruntime's errors share no other base
        session, reason = None, _reason(error)
    if session is None or _PROVIDERS[wanted] not in session.get_providers():
        try:
            session = _start(config, "cpu")  # tells a provider that does not work from a model that is broken
        except Exception as error:
            raise InputError(f"Cannot load the ONNX model {config.model} ({reason}); export it again.") from error
        if config.provider != "auto":
            raise PluginError(
                f"onnxruntime cannot start {wanted} ({reason}); install that, or set experts.onnx.provider=cpu."
            )
        logger.warning("onnxruntime cannot start %s (%s) and runs on the CPU.", wanted, reason)
    return _checked(session, description, config.model)


def _start(config: OnnxConfig, provider: str) -> Any:
    """A session with the provider, then those that take over the operators that it does not know."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.threads or cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _SILENT
    options.use_deterministic_compute = True
    device = {"device_id": str(config.device_index)}
    settings = {"tensorrt": device, "cuda": {**device, **_REPEATABLE_CUDA}, "cpu": {}}
    names = list(settings)[list(settings).index(provider) :]
    offered = onnxruntime.get_available_providers()
    providers = [(_PROVIDERS[name], settings[name]) for name in names if _PROVIDERS[name] in offered]
    # Its own fallback would try again by itself and print to stdout.
    return onnxruntime.InferenceSession(str(config.model), options, providers=providers, enable_fallback=0)


def _checked(session: Any, description: OnnxModelDescription, model: Path) -> OpenModel:
    try:
        inputs = {each.name: each for each in session.get_inputs()}
        shapes = {name: list(each.shape) for name, each in inputs.items()}
        outputs = {each.name for each in session.get_outputs()}
    except UnicodeDecodeError as error:
        raise InputError(f"The ONNX model {model} has names that are no text; export it again.") from error
    wanted = {description.output, *filter(None, [description.confidence_output])}
    fed = {*description.inputs, *(description.half_inputs or ())}
    if set(inputs) != fed or not wanted <= outputs:
        raise InputError(
            f"The ONNX model {model} has inputs {sorted(inputs)} and outputs {sorted(outputs)}, its description names "
            f"{sorted(fed)} and {sorted(wanted)}; correct the description."
        )
    for name, each in inputs.items():
        if each.type not in _DTYPES or len(shapes[name]) != 4:
            raise InputError(
                f"The input {name} of {model} is {each.type} {shapes[name]}, not an image batch of 4 axes."
            )
        if each.type == "tensor(uint8)" and not description.raw_pixels:
            raise ConfigError(f"The input {name} of {model} takes uint8; its description must not normalise pixels.")
    types = {name: _DTYPES[each.type] for name, each in inputs.items()}
    shape = shapes[description.inputs[0]]
    height, width = shape[2:] if description.layout == "NCHW" else shape[1:3]
    in_file = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    if in_file and min(in_file) < 1:
        raise InputError(f"The ONNX model {model} takes images of {in_file} (height, width); export it again.")
    if in_file and description.size and in_file != description.size:
        raise ConfigError(
            f"The ONNX model {model} takes {in_file} (height, width), its description says {description.size}; "
            "correct the layout or remove the size."
        )
    return OpenModel(session=session, types=types, fixed_size=in_file or description.size)


def run_model(
    model: OpenModel, names: Sequence[str], tensors: Mapping[str, np.ndarray], config: OnnxConfig
) -> list[Any]:
    """The outputs called `names`; tensors are converted to the types of the inputs. StageError if the run fails."""
    import onnxruntime

    feed = {name: tensor.astype(model.types[name]) for name, tensor in tensors.items()}
    options = onnxruntime.RunOptions()
    options.log_severity_level = _SILENT
    timer = threading.Timer(config.timeout_s, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        return list(model.session.run(list(names), feed, options))
    except Exception as error:  # onnxruntime's errors share no other base
        reason = _reason(error)
        how, fix = f"failed ({reason})", "check its description, or export it again"
        if options.terminate:
            how, fix = f"ran longer than {config.timeout_s:g} s", "raise experts.onnx.timeout_s or use a GPU"
        elif "allocate" in reason or "out of memory" in reason.lower():
            how, fix = f"ran out of memory ({reason})", "use smaller images, or a model exported at a smaller size"
        raise StageError(f"The ONNX model {config.model} {how}; {fix}.") from error
    finally:
        timer.cancel()


def _reason(error: Exception) -> str:
    """The first line of onnxruntime's message, short enough for a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")
