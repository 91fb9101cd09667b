"""Splat files: the round trip, other writers' layouts, and files that lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gs_stereo.errors import InputError
from gs_stereo.io.ply import load_splat, read_origin, save_splat
from gs_stereo.types.gaussians import Gaussians

_NAMES = [
    "x",
    "y",
    "z",
    "f_dc_0",
    "f_dc_1",
    "f_dc_2",
    "opacity",
    *(f"scale_{i}" for i in range(3)),
    *(f"rot_{i}" for i in range(4)),
]


def test_the_place_that_the_means_are_relative_to_is_kept(tmp_path: Path) -> None:
    origin = (450000.25, 5600000.0, -1e-3)
    save_splat(tmp_path / "far.ply", _gaussians(3, 1), origin)
    save_splat(tmp_path / "near.ply", _gaussians(3, 1))
    assert read_origin(tmp_path / "far.ply") == origin
    assert read_origin(tmp_path / "near.ply") == (0.0, 0.0, 0.0)
    assert b"comment" not in (tmp_path / "near.ply").read_bytes()
    far, near = load_splat(tmp_path / "far.ply"), load_splat(tmp_path / "near.ply")
    assert torch.equal(far.means, near.means)
    (tmp_path / "odd.ply").write_bytes(b"ply\ncomment origin_in_world a b nan\nend_header\n")
    assert read_origin(tmp_path / "odd.ply") == (0.0, 0.0, 0.0)


def _gaussians(count: int, degree: int) -> Gaussians:
    generator = torch.Generator().manual_seed(count + degree)
    shapes = {"means": (3,), "quats_wxyz": (4,), "log_scales": (3,), "opacity_logits": (), "sh": ((degree + 1) ** 2, 3)}
    return Gaussians(**{name: torch.randn(count, *shape, generator=generator) for name, shape in shapes.items()})


def _write(path: Path, names: list[str], rows: np.ndarray, kind: str = "float", count: int | None = None) -> Path:
    header = [
        "ply", "format binary_little_endian 1.0", "comment from elsewhere",
        f"element vertex {len(rows) if count is None else count}",
        *(f"property {kind} {name}" for name in names), "end_header", "",
    ]  # fmt: skip
    path.write_bytes("\n".join(header).encode() + rows.tobytes())
    return path


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("count", [1, 17])
def test_round_trip_is_exact(tmp_path: Path, degree: int, count: int) -> None:
    before = _gaussians(count, degree)
    save_splat(tmp_path / "a.ply", before)
    after = load_splat(tmp_path / "a.ply")
    assert after.sh_degree == degree
    for name, tensor in before.tensors().items():
        assert torch.equal(after.tensors()[name], tensor), name


def test_layout_is_the_reference_one(tmp_path: Path) -> None:
    save_splat(tmp_path / "a.ply", _gaussians(1, 3))
    header = (tmp_path / "a.ply").read_bytes().split(b"end_header\n")[0].decode().splitlines()
    properties = [line.split()[2] for line in header if line.startswith("property float ")]
    rest = [f"f_rest_{i}" for i in range(45)]
    assert properties == ["x", "y", "z", "nx", "ny", "nz", *_NAMES[3:6], *rest, *_NAMES[6:]]


def test_rest_is_channel_major(tmp_path: Path) -> None:
    gaussians = _gaussians(1, 1)
    save_splat(tmp_path / "a.ply", gaussians)
    values = np.frombuffer((tmp_path / "a.ply").read_bytes().split(b"end_header\n")[1], "<f4")
    assert values[9:18].tolist() == gaussians.sh[0, 1:].T.flatten().tolist()


def test_property_order_and_other_types_do_not_matter(tmp_path: Path) -> None:
    rows = np.arange(28, dtype="<f8").reshape(2, 14)
    splat = load_splat(_write(tmp_path / "a.ply", _NAMES[::-1], rows, kind="double"))
    assert splat.means.tolist() == [[13, 12, 11], [27, 26, 25]]
    assert splat.means.dtype == torch.float32
    assert splat.sh_degree == 0


def test_ascii_and_further_elements_are_read(tmp_path: Path) -> None:
    lines = ["ply", "format ascii 1.0", "element vertex 1", *(f"property float {name}" for name in _NAMES)]
    lines += ["element face 1", "property list uchar int vertex_indices", "end_header"]
    lines += [" ".join(str(float(i)) for i in range(14)), "3 0 0 0", ""]
    (tmp_path / "a.ply").write_text("\n".join(lines))
    assert load_splat(tmp_path / "a.ply").quats_wxyz.tolist() == [[10, 11, 12, 13]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_left_out_and_never_written(
    tmp_path: Path, value: float, caplog: pytest.LogCaptureFixture
) -> None:
    rows = np.zeros((3, 14), "<f4")
    rows[:, 0], rows[1, 7] = (1, 2, 3), value
    with caplog.at_level("WARNING"):
        kept = load_splat(_write(tmp_path / "a.ply", _NAMES, rows))
    assert kept.means[:, 0].tolist() == [1, 3]
    assert "1 of 3 Gaussians hold NaN or infinity and are left out" in caplog.text
    gaussians = _gaussians(3, 0)
    gaussians.means[1, 1] = value
    with pytest.raises(InputError, match="NaN or infinity"):
        save_splat(tmp_path / "b.ply", gaussians)
    assert not (tmp_path / "b.ply").exists()


def test_a_double_too_large_for_float32_is_refused(tmp_path: Path) -> None:
    rows = np.full((1, 14), 1e300, "<f8")
    with pytest.raises(InputError, match="none of its Gaussians is finite"):
        load_splat(_write(tmp_path / "a.ply", _NAMES, rows, kind="double"))


def test_an_empty_splat_is_refused(tmp_path: Path) -> None:
    save_splat(tmp_path / "a.ply", _gaussians(0, 1))
    with pytest.raises(InputError, match="holds no Gaussian"):
        load_splat(tmp_path / "a.ply")


def test_activated_values_are_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = np.full((5, 14), 0.5, "<f4")
    with caplog.at_level("WARNING"):
        load_splat(_write(tmp_path / "a.ply", _NAMES, rows))
    assert "activated values" in caplog.text


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "git lfs pull"),
        (b"<!DOCTYPE html><html><body>Google Drive</body></html>", "web page"),
        (
            b"ply\nformat binary_little_endian 1.0\nelement chunk 1\nproperty float min_x\nend_header\n0000",
            "compressed",
        ),
    ],
)
def test_what_is_no_splat_is_named_with_its_remedy(tmp_path: Path, content: bytes, remedy: str) -> None:
    (tmp_path / "a.ply").write_bytes(content)
    with pytest.raises(InputError, match=remedy):
        load_splat(tmp_path / "a.ply")


@pytest.mark.parametrize("count", [4, 10**11, 10**12 - 1])
def test_a_header_that_promises_too_much_is_refused_at_once(tmp_path: Path, count: int) -> None:
    with pytest.raises(InputError, match="too short"):
        load_splat(_write(tmp_path / "a.ply", _NAMES, np.zeros((3, 14), "<f4"), count=count))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty: copy it again"),
        (b"ply\n", "PLY header"),
        (b"\x00" * 100_000, "PLY header"),
        (b"ply\nformat pdp_endian 1.0\nelement vertex 1\nproperty float x\nend_header\n", "format"),
        (b"ply\nformat ascii 1.0\nelement face 1\nproperty float x\nend_header\n", "vertex"),
        (b"ply\nformat ascii 1.0\nelement vertex -1\nproperty float x\nend_header\n", "number"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty list uchar int x\nend_header\n", "header line"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float x\nend_header\n1 1", "repeated"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n", "'y'"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\nhello\n", "no number"),
    ],
)  # fmt: skip
def test_broken_files_are_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.ply").write_bytes(content)
    with pytest.raises(InputError, match=reason):
        load_splat(tmp_path / "a.ply")


def test_an_odd_number_of_coefficients_and_integer_columns_are_refused(tmp_path: Path) -> None:
    names = [*_NAMES, "f_rest_0"]
    with pytest.raises(InputError, match="no degree"):
        load_splat(_write(tmp_path / "a.ply", names, np.zeros((1, 15), "<f4")))
    with pytest.raises(InputError, match="no float"):
        load_splat(_write(tmp_path / "b.ply", _NAMES, np.zeros((1, 14), "<i4"), kind="int"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.ply"):
        load_splat(tmp_path / "none.ply")


def test_the_3d_filter_of_mip_splatting_is_taken_into_scales_and_opacities(tmp_path: Path) -> None:
    """A Gaussian of sizes 1, 2, 3 and a filter of 2 has the variances 5, 8, 13, and less opacity for its volume."""
    row = np.zeros(15, "<f4")
    row[7:10] = np.log([1.0, 2.0, 3.0])
    row[10], row[14] = 1.0, 2.0
    splat = load_splat(_write(tmp_path / "a.ply", [*_NAMES, "filter_3D"], row[None]))
    np.testing.assert_allclose(torch.exp(2 * splat.log_scales[0]).numpy(), [5, 8, 13], rtol=1e-5)
    opacity = torch.sigmoid(splat.opacity_logits[0]).item()
    assert opacity == pytest.approx(0.5 * np.sqrt(1 * 4 * 9 / (5 * 8 * 13)), rel=1e-5)
