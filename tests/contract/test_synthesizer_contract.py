"""What every registered synthesizer keeps: size, seed, its input untouched, a baseline of 0 is no crash, provenance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import write_small_model

from gs_stereo.errors import ConfigError
from gs_stereo.synthesis.protocol import SYNTHESIZERS, SourceView, Synthesizer, SynthesizerSettings

# The settings that each built-in needs; None: its weights are too large for a test, tests/unit/synthesis has tiny ones.
SETTINGS: dict[str, Callable[[Path], SynthesizerSettings] | None] = {
    "copy": lambda folder: SynthesizerSettings(),
    "shift": lambda folder: SynthesizerSettings(),
    "warp": lambda folder: SynthesizerSettings(),
    "latent_warp": lambda folder: SynthesizerSettings(weights=write_small_model(folder), steps=5),
    "stereospace": None,
    "stereospace-small": lambda folder: SynthesizerSettings(weights=write_small_model(folder), steps=2),
}


def test_every_built_in_is_tested() -> None:
    assert set(SETTINGS) == set(SYNTHESIZERS.builtin)


@pytest.fixture(scope="module", params=[name for name, settings in SETTINGS.items() if settings])
def synthesizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    settings = SETTINGS[request.param]
    assert settings is not None
    return SYNTHESIZERS.load(request.param)(settings(tmp_path_factory.mktemp("model")))


@pytest.fixture
def source() -> SourceView:
    rng = np.random.default_rng(0)
    intrinsics = np.array([[60.0, 0, 32], [0, 60, 16], [0, 0, 1]])
    return SourceView(
        image=rng.integers(0, 256, (32, 64, 3), np.uint8), intrinsics=intrinsics, depth=rng.uniform(1, 2, (32, 64))
    )


def test_it_keeps_the_protocol(synthesizer: Synthesizer, source: SourceView) -> None:
    before = source.image.copy()
    assert isinstance(synthesizer, Synthesizer)
    for baseline in (0.1, -0.1, 0.0):
        made = synthesizer.synthesize(source, baseline, 3)
        assert made.image.shape == source.image.shape
        assert made.image.dtype == np.uint8
        assert made.filled is None or (made.filled.shape == source.image.shape[:2] and made.filled.dtype == bool)
        again = synthesizer.synthesize(source, baseline, 3)
        np.testing.assert_array_equal(again.image, made.image)
        other = synthesizer.synthesize(source, baseline, 4)
        assert (other.image != made.image).any() == (synthesizer.steps is not None)
    np.testing.assert_array_equal(source.image, before)


def test_it_says_where_the_pixels_come_from(synthesizer: Synthesizer) -> None:
    known = synthesizer.provenance
    assert known.settings["pixels"] == "generated, not observed"
    assert known.licence
    assert (known.weights_sha256 is not None) == (synthesizer.steps is not None)
    assert known.settings.get("steps") == synthesizer.steps


def test_published_weights_must_be_given() -> None:
    with pytest.raises(ConfigError, match="give stereospace=FOLDER"):
        SYNTHESIZERS.load("stereospace")(SynthesizerSettings())
