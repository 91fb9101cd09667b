"""Laws of the file formats: what is written is what is read, and random bytes give InputError or a map."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import numpy as np
from builders import plain_sample
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gs_stereo.datasets.read import read_dataset
from gs_stereo.datasets.schema import DatasetInfo
from gs_stereo.datasets.write import ShardWriting, write_dataset
from gs_stereo.errors import InputError
from gs_stereo.io.disparity_files import read_pfm, read_steps_png, write_pfm, write_steps_png
from gs_stereo.types import Provenance

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)


def maps(largest: float) -> st.SearchStrategy[np.ndarray]:
    values = st.one_of(st.floats(0, largest, width=32), st.just(float("nan")))
    return hnp.arrays(np.float32, SHAPES, elements=values)


@given(disparity=maps(2.0**100))
def test_pfm_keeps_every_value(disparity: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.pfm"
        write_pfm(path, disparity)
        np.testing.assert_array_equal(read_pfm(path), disparity)


@given(disparity=maps(255.0))
def test_steps_keep_values_to_half_a_step(disparity: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.png"
        write_steps_png(path, disparity, 256)
        again = read_steps_png(path, 256)
        np.testing.assert_array_equal(np.isnan(again), np.isnan(disparity))
        near = np.maximum(np.nan_to_num(disparity), 1 / 256)
        assert np.abs(np.nan_to_num(again, nan=0.0) - np.where(np.isnan(disparity), 0, near)).max() <= 1 / 512
        write_steps_png(path, again, 256)
        np.testing.assert_array_equal(read_steps_png(path, 256), again)


@given(head=st.sampled_from([b"", b"Pf\n2 1\n-1\n", b"\x89PNG\r\n\x1a\n"]), tail=st.binary(max_size=80))
def test_random_bytes_are_a_map_or_an_input_error(head: bytes, tail: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(head + tail)
        for read in (read_pfm, lambda path: read_steps_png(path, 256)):
            with contextlib.suppress(InputError):
                assert read(path).dtype == np.float32


@settings(max_examples=25, deadline=None)
@given(
    disparity=maps(4096.0),
    name=st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20),
    baseline=st.floats(1e-6, 1e6),
    compression=st.sampled_from(["zstd", "gzip"]),
    data=st.data(),
)
def test_shards_keep_every_byte(disparity, name, baseline, compression, data) -> None:
    shape = disparity.shape
    bytes_of = lambda *dims: data.draw(hnp.arrays(np.uint8, dims))  # noqa: E731
    sample = plain_sample(
        disparity,
        sample_id=name,
        left=bytes_of(*shape, 3),
        right=bytes_of(*shape, 3),
        confidence=bytes_of(*shape),
        flags=bytes_of(*shape).astype(np.uint16),
        intrinsics=np.diag([baseline, 2.0, 1.0]),
        baseline=baseline,
    )
    source = Provenance(name=name, version="1", licence="x")
    info = DatasetInfo(scene=name, split="val", label="x", provenance=source, generator="t", metres_per_unit=baseline)
    with tempfile.TemporaryDirectory() as folder:
        index = write_dataset(
            Path(folder), [sample], info, sample_count=1, writing=ShardWriting(compression=compression)
        )
        assert index.info == info
        (again,) = read_dataset(Path(folder))
    for field in ("left", "right", "disparity", "confidence", "flags", "intrinsics", "cam_from_world"):
        np.testing.assert_array_equal(getattr(again, field), getattr(sample, field))
    assert (again.sample_id, again.view_id, again.baseline) == (name, name, baseline)
