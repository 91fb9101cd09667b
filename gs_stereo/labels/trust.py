"""From evidence to a trusted error: a small monotone network, stored as a YAML file.

One network judges the disparities of every kind of source. Its inputs are logarithms of the evidence, clipped to the
range that calibration saw, a 1 for each piece that is unknown, and the kind of source. Its outputs are the expected
error in pixels and the probability that the error is under 1 px. Weights that a reason for doubt passes through are not
negative and x / (1 + |x|) rises, so more reason for doubt never makes a disparity look better (Archer & Wang 1993).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gs_stereo.config import load_yaml
from gs_stereo.errors import ConfigError
from gs_stereo.labels.confidence import with_order

MODEL_FILE = Path(__file__).parent / "trust.yaml"
FORMAT_VERSION = 2
SMALLEST_EVIDENCE = 0.01
_PIXELS_AT_ONCE = 1 << 14
_PIXELS_OF_A_PRODUCT = 128
"""BLAS multiplies matrices this small in one thread. Larger ones it splits, and rounds by the number of threads."""

_LARGEST_LOGIT = 30.0


@dataclass(frozen=True, kw_only=True)
class InputScale:
    """How one piece of evidence enters: its logarithm clipped to [low, high], less centre, over spread.

    doubt: True if more of it must never raise the trust.
    """

    name: str
    doubt: bool
    low: float
    high: float
    centre: float
    spread: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """weights @ x + bias."""

    weights: Float[np.ndarray, "out in"]
    bias: Float[np.ndarray, "out"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """expected_error_px: mean of |error|, at most 20. probability: that |error| < 1 px. Same shape as the evidence."""

    expected_error_px: Float[np.ndarray, "*shape"]
    probability: Float[np.ndarray, "*shape"]

    @property
    def confidence(self) -> Float[np.ndarray, "*shape"]:
        """The probability, with the order of expected errors where it is close to 1; see `with_order`."""
        return with_order(self.probability, self.expected_error_px)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrustModel:
    """The network, and what it was calibrated on.

    experts: the matchers behind the kind `matched`. The first layer's inputs are the scaled evidence, a 1 for each
    unknown piece, and a 1 for the kind. The last layer's outputs are log expected error and log odds of an error of
    1 px or more.
    """

    version: int
    trained_on: tuple[str, ...]
    experts: tuple[str, ...]
    kinds: tuple[str, ...]
    inputs: tuple[InputScale, ...]
    layers: tuple[Layer, ...]

    def judge(self, kind: str, evidence: Mapping[str, Float[np.ndarray, "*shape"]]) -> Judgement:
        """What to expect of a disparity that came from `kind` of source; evidence that is not given is unknown."""
        if kind not in self.kinds:
            raise ConfigError(f"The trust model knows no disparity of kind {kind!r}; calibrate it.")
        shape = next(iter(evidence.values())).shape
        flat = {name: np.ravel(values) for name, values in evidence.items()}
        count = int(np.prod(shape))
        outputs = np.empty((2, count), np.float32)
        for start in range(0, count, _PIXELS_AT_ONCE):
            part = slice(start, min(start + _PIXELS_AT_ONCE, count))
            scaled = scaled_inputs(self.inputs, {name: values[part] for name, values in flat.items()}, part)
            outputs[:, part] = self._run(scaled, self.kinds.index(kind))
        log_error, odds = np.clip(outputs.reshape(2, *shape).astype(np.float64), -_LARGEST_LOGIT, _LARGEST_LOGIT)
        return Judgement(expected_error_px=np.exp(log_error), probability=1 / (1 + np.exp(odds)))

    def _run(self, scaled: Float[np.ndarray, "inputs n"], kind: int) -> Float[np.ndarray, "2 n"]:
        first, *others = self.layers
        count, pixels = scaled.shape
        blocks = -(-pixels // _PIXELS_OF_A_PRODUCT)
        padded = np.pad(scaled, ((0, 0), (0, blocks * _PIXELS_OF_A_PRODUCT - pixels)))
        value = first.weights[:, :count] @ padded.reshape(count, blocks, _PIXELS_OF_A_PRODUCT).transpose(1, 0, 2)
        value += (first.bias + first.weights[:, count + kind])[:, None]
        for layer in others:
            value /= 1 + np.abs(value)
            value = layer.weights @ value
            value += layer.bias[:, None]
        return value.transpose(1, 0, 2).reshape(len(value[0]), -1)[:, :pixels]


def scaled_inputs(
    inputs: tuple[InputScale, ...], evidence: Mapping[str, Float[np.ndarray, "n"]], part: slice
) -> Float[np.ndarray, "inputs n"]:
    """The network's inputs but for the kind: scaled evidence, 0 where unknown, then 1 where unknown."""
    scaled = np.zeros((2 * len(inputs), part.stop - part.start), np.float32)
    for row, scale in enumerate(inputs):
        values = evidence.get(scale.name)
        if values is None:
            scaled[len(inputs) + row] = 1
            continue
        value = values.astype(np.float32)
        value += np.float32(SMALLEST_EVIDENCE)
        np.log(value, out=value)
        np.clip(value, scale.low, scale.high, out=value)
        value -= np.float32(scale.centre)
        value /= np.float32(scale.spread)
        unknown = np.isnan(value)
        value[unknown] = 0
        scaled[row], scaled[len(inputs) + row] = value, unknown
    return scaled


@lru_cache(maxsize=4)
def load_trust(path: Path = MODEL_FILE) -> TrustModel:
    """Read a model; ConfigError names what is wrong with it."""
    values = load_yaml(path)
    try:
        if values["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {values['format_version']} is unknown")
        model = TrustModel(
            version=int(values["version"]),
            **{name: tuple(str(item) for item in values[name]) for name in ("trained_on", "experts", "kinds")},
            inputs=tuple(InputScale(**item) for item in values["inputs"]),
            layers=tuple(_layer(item) for item in values["layers"]),
        )
        _check(model)
        return model
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"The trust model {path} is broken ({error}); install the package again.") from error


def to_values(model: TrustModel) -> dict[str, Any]:
    """The model as YAML values, the inverse of `load_trust`."""
    return {
        "format_version": FORMAT_VERSION,
        "version": model.version,
        "trained_on": list(model.trained_on),
        "experts": list(model.experts),
        "kinds": list(model.kinds),
        "inputs": [dict(vars(scale)) for scale in model.inputs],
        "layers": [{"weights": _plain(layer.weights), "bias": _plain(layer.bias)} for layer in model.layers],
    }


def _plain(values: np.ndarray) -> Any:
    """Nested lists of the shortest decimals that give the same float32."""
    return [_plain(row) for row in values] if values.ndim > 1 else [float(str(value)) for value in values]


def _layer(values: Mapping[str, Any]) -> Layer:
    weights, bias = (np.array(values[name], dtype=np.float32) for name in ("weights", "bias"))
    if not (weights.ndim == 2 and bias.shape == weights.shape[:1] and np.isfinite(weights).all()):
        raise ValueError("a layer is no matrix with a bias")
    if not np.isfinite(bias).all():
        raise ValueError("a bias is not finite")
    return Layer(weights=weights, bias=bias)


def _check(model: TrustModel) -> None:
    """ValueError if the layers do not fit or a reason for doubt could raise the trust."""
    widths = [2 * len(model.inputs) + len(model.kinds), *(len(layer.bias) for layer in model.layers)]
    if [layer.weights.shape[1] for layer in model.layers] != widths[:-1] or widths[-1] != 2 or len(widths) < 3:
        raise ValueError("the layers do not fit")
    doubts = [row for row, scale in enumerate(model.inputs) if scale.doubt]
    passed = [model.layers[0].weights[:, doubts], *(layer.weights for layer in model.layers[1:])]
    if any((weights < 0).any() for weights in passed):
        raise ValueError("a weight is not monotone")
    if not all(np.isfinite([s.low, s.high, s.centre]).all() and s.low <= s.high and s.spread > 0 for s in model.inputs):
        raise ValueError("an input has no range")
