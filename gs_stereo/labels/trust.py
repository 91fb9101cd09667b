"""From evidence to a trusted error: a small monotone network, stored as a YAML file.

One network judges the disparities of every kind of source. Its inputs are logarithms of the evidence, clipped to the
range that calibration saw, a 1 for each piece that is unknown, and the kind of source. Its outputs are the expected
error in pixels and the probability that the error is under 1 px. Weights that a reason for doubt passes through are not
negative and x / (1 + |x|) rises, so more reason for doubt never makes a disparity look better (Archer & Wang 1993).
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from gs_stereo.config import load_yaml
from gs_stereo.errors import ConfigError
from gs_stereo.labels.confidence import with_order
from gs_stereo.labels.config import TRUST_MODEL_FILE

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

    def apply(self, values: Float[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
        """The evidence as the network takes it; NaN where it is unknown."""
        value = values.astype(np.float32)
        value += np.float32(SMALLEST_EVIDENCE)
        np.log(value, out=value)
        np.clip(value, self.low, self.high, out=value)
        value -= np.float32(self.centre)
        value /= np.float32(self.spread)
        return value


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

    def scaled(self, evidence: Mapping[str, Float[np.ndarray, "*shape"]]) -> dict[str, Float32[np.ndarray, "*shape"]]:
        """Evidence as the network takes it, for `judge_scaled`: what several judgements share is scaled once.

        Evidence that the network does not ask for, or that is unknown everywhere, is left out.
        """
        found = {scale.name: scale.apply(evidence[scale.name]) for scale in self.inputs if scale.name in evidence}
        return {name: values for name, values in found.items() if np.isfinite(values).any()}

    def judge(self, kind: str, evidence: Mapping[str, Float[np.ndarray, "*shape"]]) -> Judgement:
        """What to expect of a disparity that came from `kind` of source; evidence that is not given is unknown."""
        return self.judge_scaled(kind, self.scaled(evidence), next(iter(evidence.values())).shape)

    def judge_scaled(
        self, kind: str, scaled: Mapping[str, Float32[np.ndarray, "*shape"]], shape: tuple[int, ...]
    ) -> Judgement:
        """The same for evidence that is scaled already. shape: of its maps, of which there may be none."""
        if kind not in self.kinds:
            raise ConfigError(f"The trust model knows no disparity of kind {kind!r}; calibrate it.")
        flat = [np.ravel(scaled[scale.name]) for scale in self.inputs if scale.name in scaled]
        count = int(np.prod(shape))
        layers = (self._first_layer(kind, scaled), *self.layers[1:])
        outputs = np.empty((2, count), np.float32)
        for start in range(0, count, _PIXELS_AT_ONCE):
            part = slice(start, min(start + _PIXELS_AT_ONCE, count))
            outputs[:, part] = _run(layers, input_rows([values[part] for values in flat], part.stop - part.start))
        log_error, odds = np.clip(outputs.reshape(2, *shape), -_LARGEST_LOGIT, _LARGEST_LOGIT)
        return Judgement(expected_error_px=np.exp(log_error), probability=1 / (1 + np.exp(odds)))

    def _first_layer(self, kind: str, known: Container[str]) -> Layer:
        """The first layer for what is known. What the kind and unknown evidence add to it is the same everywhere."""
        first, count = self.layers[0], len(self.inputs)
        given = [row for row, scale in enumerate(self.inputs) if scale.name in known]
        absent = [count + row for row in range(count) if row not in given]
        constant = first.weights[:, [*absent, 2 * count + self.kinds.index(kind)]].sum(axis=1)
        return Layer(
            weights=np.ascontiguousarray(first.weights[:, [*given, *(count + row for row in given)]]),
            bias=first.bias + constant,
        )


def input_rows(scaled: Sequence[Float32[np.ndarray, "n"]], pixels: int) -> Float32[np.ndarray, "inputs n"]:
    """The network's inputs but for the kind: scaled evidence, 0 where unknown, then 1 where unknown."""
    count = len(scaled)
    rows = np.empty((2 * count, pixels), np.float32)
    for row, values in enumerate(scaled):
        rows[row], rows[count + row] = values, np.isnan(values)
    np.copyto(rows[:count], 0, where=rows[count:] > 0)
    return rows


def _run(layers: Sequence[Layer], rows: Float32[np.ndarray, "inputs n"]) -> Float32[np.ndarray, "outputs n"]:
    """The network on a part of the pixels: x / (1 + |x|) between the layers."""
    count, pixels = rows.shape
    blocks = -(-pixels // _PIXELS_OF_A_PRODUCT)
    if missing := blocks * _PIXELS_OF_A_PRODUCT - pixels:
        rows = np.pad(rows, ((0, 0), (0, missing)))
    value = rows.reshape(count, blocks, _PIXELS_OF_A_PRODUCT).transpose(1, 0, 2)
    for number, layer in enumerate(layers):
        if number:
            size = np.abs(value)
            size += 1
            value /= size
        value = layer.weights @ value
        value += layer.bias[:, None]
    return value.transpose(1, 0, 2).reshape(len(value[0]), -1)[:, :pixels]


@lru_cache(maxsize=4)
def load_trust(path: Path = TRUST_MODEL_FILE) -> TrustModel:
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
