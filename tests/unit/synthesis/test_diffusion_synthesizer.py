"""The published layout behind the synthesizer protocol, with tiny random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gs_stereo.synthesis.evaluation import open_rows
from gs_stereo.synthesis.evaluation_config import EvaluateSynthesisConfig
from gs_stereo.synthesis.protocol import SourceView
from gs_stereo.synthesis.rays import default_intrinsics
from gs_stereo.synthesis.stereospace import Sampling


def test_a_folder_of_published_weights_is_known_by_what_it_holds(shared_data: Path) -> None:
    folder = shared_data / "stereospace_golden" / "weights"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    config = EvaluateSynthesisConfig(steps=(1, 2), guidance=1.25, device="cpu")
    rows = open_rows([str(folder)], config)
    assert list(rows) == ["copy", "stereospace, 1 step", "stereospace, 2 steps"]
    synthesizer = rows["stereospace, 2 steps"].synthesizer
    assert (synthesizer.unit, synthesizer.side_px, synthesizer.multiple_px) == ("metres", 768, 64)
    image = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    source = SourceView(image=image, intrinsics=default_intrinsics(128, 64))
    made = synthesizer.synthesize(source, 0.15, 3)
    model = synthesizer.model  # type: ignore[attr-defined]
    expected = model.picture_at(model.read(image, source.intrinsics), 0.15, Sampling(steps=2, guidance=1.25), 3)
    np.testing.assert_array_equal(made.image, expected)
    assert "Open RAIL" in made.provenance.licence
    assert len(made.provenance.weights_sha256 or "") == 64
