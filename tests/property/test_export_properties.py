"""Laws of the exports: quantised disparity is off by at most half a step, and random bytes are data or InputError."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import INFO, SAMPLE_SHAPE, make_sample
from exported import FINDERS, pairs_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gs_stereo.datasets.layouts.foundation_stereo import decode, encode
from gs_stereo.datasets.layouts.protocol import EXPORTERS, ExportConfig, ExportJob
from gs_stereo.datasets.layouts.selection import LabelCounts, selected
from gs_stereo.errors import InputError
from gs_stereo.io.disparity_files import from_steps, read_pfm, to_steps

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)
VALUES = st.one_of(st.floats(0, 20_000, width=32), st.just(float("nan")))
MAPS = hnp.arrays(np.float32, SHAPES, elements=VALUES)
FULL_MAPS = hnp.arrays(np.float32, SAMPLE_SHAPE, elements=VALUES, fill=st.just(float("nan")))


@given(disparity=MAPS, steps_per_px=st.sampled_from([64.0, 256.0, 1000.0]))
def test_steps(disparity: np.ndarray, steps_per_px: float) -> None:
    steps = to_steps(disparity, steps_per_px)
    np.testing.assert_array_equal(steps == 0, np.isnan(disparity))
    again = from_steps(steps, steps_per_px)
    wanted = np.maximum(disparity.astype(np.float64), 1 / steps_per_px)
    error = np.abs(again - wanted)[np.isfinite(disparity)]
    assert (error <= 0.5 / steps_per_px + np.spacing(np.float32(20_000))).all()
    np.testing.assert_array_equal(to_steps(again, steps_per_px), steps)  # a second trip changes nothing


@given(disparity=hnp.arrays(np.float32, SHAPES, elements=st.floats(0, 16_600, width=32)))
def test_three_digits(disparity: np.ndarray) -> None:
    np.testing.assert_array_equal(decode(encode(disparity)), from_steps(to_steps(disparity, 1000.0), 1000.0))


@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("name", EXPORTERS.names())
@given(disparity=FULL_MAPS, min_confidence=st.sampled_from([0.0, 0.5, 1.0]))
def test_any_disparity_is_kept_or_counted(name: str, disparity: np.ndarray, min_confidence: float) -> None:
    exporter, counts = EXPORTERS.load(name)(), LabelCounts()
    config = ExportConfig(min_confidence=min_confidence)
    sample = replace(make_sample(3), disparity=disparity)
    with tempfile.TemporaryDirectory() as folder:
        stream = selected([sample], exporter.holds, config, counts)
        exporter.write(Path(folder), stream, ExportJob(info=INFO, config=config))
        if name == "middlebury":  # its reader takes a disparity of 0 for a hole
            found = read_pfm(Path(folder) / "2014/000000/disp0.pfm")
        else:
            found = pairs_of(name, Path(folder))[0].disparity
    known = np.isfinite(found)
    assert counts.labels == known.sum()
    assert counts.labels + counts.left_out.total() == np.isfinite(disparity).sum()
    step = 1 / (exporter.holds.steps_per_px or np.inf)
    error = np.abs(found[known] - np.maximum(disparity[known].astype(np.float64), step))
    assert (error <= step / 2 + np.spacing(np.float32(20_000))).all()


@settings(max_examples=40, deadline=None)
@given(
    place=st.sampled_from(
        [
            "training/disp_occ_0/000000_10.png",
            "2014/0/disp0.pfm",
            "FlyingThings3D/disparity/TRAIN/A/s/left/0.pfm",
            "s/dataset/data/left/rgb/0.png",
        ]
    ),
    head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"Pf\n2 1\n-1\n"]),
    body=st.binary(max_size=700),
)
def test_random_bytes_are_an_input_error(place: str, head: bytes, body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(head + body)
        for name in FINDERS:
            with contextlib.suppress(InputError):
                assert not pairs_of(name, Path(folder))
