"""Makes tiny ONNX stereo models and textured pairs with a known disparity, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 16
FAR = 1e4
ANY: list[int | str] = ["n", "c", "any_height", "any_width"]


def textured_pair(size: tuple[int, int], disparity: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """uint8 pair of a fronto-parallel wall; the disparity may be any fraction of a pixel."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
    waves = rng.uniform(-0.9, 0.9, (10, 2))
    phases = rng.uniform(0, 2 * np.pi, (10, 3))

    def image(shift: float) -> np.ndarray:
        angle = waves[:, 0, None, None] * rows + waves[:, 1, None, None] * (columns + shift)
        value = np.sin(angle[..., None] + phases[:, None, None, :]).mean(axis=0)
        return np.clip(128 + 200 * value, 0, 255).round().astype(np.uint8)

    return image(0.0), image(disparity)


def save_matcher(
    path: Path, size: tuple[int | str, int | str], *, disparities: int = 16, negative: bool = False, names: str = "fs"
) -> Path:
    """A real matcher: absolute differences, 5x5 mean, best of `disparities`. Inputs left, right; output disp."""
    left, right, output = ("left", "right", "disp") if names == "fs" else ("a", "b", "out")
    nodes, constants = [], []
    costs = []
    for d in range(disparities):
        pads, ends = _int64(f"pads{d}", [0, 0, 0, d, 0, 0, 0, -d]), _float(f"far{d}", FAR)
        constants += [pads, ends]
        nodes += [
            helper.make_node("Pad", [right, f"pads{d}", f"far{d}"], [f"moved{d}"]),
            helper.make_node("Sub", [left, f"moved{d}"], [f"difference{d}"]),
            helper.make_node("Abs", [f"difference{d}"], [f"absolute{d}"]),
            helper.make_node("ReduceMean", [f"absolute{d}"], [f"grey{d}"], axes=[1], keepdims=1),
            helper.make_node("AveragePool", [f"grey{d}"], [f"cost{d}"], kernel_shape=[5, 5], pads=[2, 2, 2, 2]),
        ]
        costs.append(f"cost{d}")
    constants.append(_float("sign", -1.0 if negative else 1.0))
    nodes += [
        helper.make_node("Concat", costs, ["volume"], axis=1),
        helper.make_node("ArgMin", ["volume"], ["best"], axis=1, keepdims=1),
        helper.make_node("Cast", ["best"], ["positive"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["positive", "sign"], [output]),
    ]
    inputs = [_value(left, ["batch_size", 3, *size]), _value(right, ["batch_size", 3, *size])]
    return _save(path, nodes, inputs, [_value(output, ["batch_size", 1, *size])], constants)


def save_echo(
    path: Path, shape: list[int | str], *, element: int = TensorProto.FLOAT, weights: tuple[float, ...] = (1, 10, 100)
) -> Path:
    """A model whose output shows what it was fed: the weighted sum of the channels of `left`, plus 0 * `right`."""
    channel_axis = 1 if shape[1] in (1, 3) else 3
    broadcast = [1, -1, 1, 1] if channel_axis == 1 else [1, 1, 1, -1]
    constants = [
        numpy_helper.from_array(np.array(weights, np.float32).reshape(broadcast), "weights"),
        _float("zero", 0.0),
    ]
    nodes = [
        helper.make_node("Cast", ["left"], ["left_float"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["right"], ["right_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["right_float", "zero"], ["nothing"]),
        helper.make_node("Mul", ["left_float", "weights"], ["weighted"]),
        helper.make_node("Add", ["weighted", "nothing"], ["both"]),
        helper.make_node("ReduceMean", ["both"], ["disp"], axes=[channel_axis], keepdims=1),
        helper.make_node("Identity", ["disp"], ["sure"]),
    ]
    inputs = [_value("left", shape, element), _value("right", shape, element)]
    outputs = [_value("disp", ANY), _value("sure", ANY)]
    return _save(path, nodes, inputs, outputs, constants)


def save_stacked(path: Path, size: tuple[int, int]) -> Path:
    """A model with one input of six channels: the difference of the first channel of both images, half resolution."""
    constants = [_int64("first", [0]), _int64("fourth", [3])]
    nodes = [
        helper.make_node("Gather", ["pair", "first"], ["left"], axis=1),
        helper.make_node("Gather", ["pair", "fourth"], ["right"], axis=1),
        helper.make_node("Sub", ["left", "right"], ["difference"]),
        helper.make_node("AveragePool", ["difference"], ["disp"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    return _save(path, nodes, [_value("pair", [1, 6, *size])], [_value("disp", ANY)], constants)


def save_halves(path: Path, size: tuple[int, int]) -> Path:
    """Four inputs as CREStereo has them: the left and right image at full size, and at half size."""
    half = [1, 3, size[0] // 2, size[1] // 2]
    constants = [_int64("first", [0])]
    nodes = [
        helper.make_node("Sub", ["next_left", "next_right"], ["full"]),
        helper.make_node("Sub", ["init_left", "init_right"], ["half"]),
        helper.make_node("Resize", ["half", "", "twice"], ["grown"], mode="nearest"),
        helper.make_node("Add", ["full", "grown"], ["both"]),
        helper.make_node("Gather", ["both", "first"], ["next_output"], axis=1),
    ]
    constants.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice"))
    inputs = [_value(f"init_{eye}", half) for eye in ("left", "right")]
    inputs += [_value(f"next_{eye}", [1, 3, *size]) for eye in ("left", "right")]
    return _save(path, nodes, inputs, [_value("next_output", ANY)], constants)


def save_endless(path: Path, size: tuple[int, int]) -> Path:
    """A valid model that loops for years."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Sin", ["state"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            _value("state", ANY),
        ],
        [helper.make_tensor_value_info("go_on", TensorProto.BOOL, []), _value("next", ANY)],
    )
    constants = [
        numpy_helper.from_array(np.array(2**62, np.int64), "steps"),
        numpy_helper.from_array(np.array(True), "yes"),
    ]
    nodes = [
        helper.make_node("Add", ["left", "right"], ["start"]),
        helper.make_node("Loop", ["steps", "yes", "start"], ["disp"], body=body),
    ]
    shape = [1, 3, *size]
    return _save(path, nodes, [_value("left", shape), _value("right", shape)], [_value("disp", ANY)], constants)


def _save(path: Path, nodes: list, inputs: list, outputs: list, constants: list) -> Path:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializer=constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def _value(name: str, shape: list, element: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


def _int64(name: str, values: list[int]) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def _float(name: str, value: float) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(value, np.float32), name)
