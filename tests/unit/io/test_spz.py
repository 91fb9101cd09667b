"""SPZ: what a file of each version holds is what was packed, and hostile files are one sentence."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from twins.rasterizer import sh_basis

from gs_stereo.errors import InputError
from gs_stereo.io.ply import load_splat_file, save_splat
from gs_stereo.io.spz import load_spz
from gs_stereo.types.gaussians import Gaussians

COUNT, FRACTION_BITS = 40, 12
SIGNS = np.array([-1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1])


def gaussians() -> Gaussians:
    random = torch.Generator().manual_seed(0)
    quats = torch.randn(COUNT, 4, generator=random)
    return Gaussians(
        means=3 * torch.randn(COUNT, 3, generator=random),
        quats_wxyz=quats / quats.norm(dim=1, keepdim=True),
        log_scales=-4 + torch.randn(COUNT, 3, generator=random),
        opacity_logits=torch.randn(COUNT, generator=random),
        sh=0.3 * torch.randn(COUNT, 16, 3, generator=random),
    )


def packed(version: int, splat: Gaussians) -> list[bytes]:
    """The attributes as the format's README and reference packer have them, written slowly; axes right, up, back."""
    flip = np.array([1, -1, -1])
    fixed = np.rint(splat.means.numpy() * flip * (1 << FRACTION_BITS)).astype(int)
    positions = b"".join(int(value).to_bytes(4, "little", signed=True)[:3] for value in fixed.ravel())
    wxyz = splat.quats_wxyz.numpy().astype(float) * [1, 1, -1, -1]
    rotations = b"".join(_rotation(version, np.roll(quaternion, -1)) for quaternion in wxyz)
    sh = splat.sh.numpy()
    alphas = 255 / (1 + np.exp(-splat.opacity_logits.numpy()))
    values = (
        alphas,
        sh[:, 0] * 0.15 * 255 + 127.5,
        (splat.log_scales.numpy() + 10) * 16,
    )
    alpha, colour, scale = (np.rint(value).clip(0, 255).astype(np.uint8).tobytes() for value in values)
    rest = np.rint(sh[:, 1:] * SIGNS[:, None] * 128 + 128).clip(0, 255).astype(np.uint8).tobytes()
    return [positions, alpha, colour, scale, rotations, rest]


def _rotation(version: int, xyzw: np.ndarray) -> bytes:
    if version == 2:
        return bytes(np.rint(xyzw[:3] * np.sign(xyzw[3]) * 127.5 + 127.5).clip(0, 255).astype(np.uint8))
    largest = int(np.argmax(np.abs(xyzw)))
    word = largest
    for component in range(4):
        if component != largest:
            negative = (xyzw[component] < 0) != (xyzw[largest] < 0)
            word = word << 10 | int(negative) << 9 | int(511 * abs(xyzw[component]) * 2**0.5 + 0.5)
    return word.to_bytes(4, "little")


def legacy(version: int, parts: list[bytes], count: int = COUNT, flags: int = 1) -> bytes:
    header = struct.pack("<4sIIBBBB", b"NGSP", version, count, 3, FRACTION_BITS, flags, 0)
    return gzip.compress(header + b"".join(parts))


def latest(parts: list[bytes]) -> bytes:
    zstandard = pytest.importorskip("zstandard")
    streams = [zstandard.ZstdCompressor().compress(part) for part in parts]
    header = struct.pack("<4sIIBBBBI12x", b"NGSP", 4, COUNT, 3, FRACTION_BITS, 0, len(parts), 40)
    toc = b"".join(struct.pack("<QQ", len(stream), len(part)) for stream, part in zip(streams, parts, strict=True))
    return header + b"8 bytes." + toc + b"".join(streams)


@pytest.mark.parametrize("version", [2, 3, 4])
def test_gaussians_survive_but_for_rounding(tmp_path: Path, version: int) -> None:
    splat = gaussians()
    parts = packed(version, splat)
    (tmp_path / "a.spz").write_bytes(latest(parts) if version == 4 else legacy(version, parts))
    read = load_spz(tmp_path / "a.spz")
    assert read.antialiased == (version < 4)
    found = read.gaussians
    torch.testing.assert_close(found.means, splat.means, rtol=0, atol=0.51 / (1 << FRACTION_BITS))
    torch.testing.assert_close(found.log_scales, splat.log_scales, rtol=0, atol=0.04)
    torch.testing.assert_close(found.opacities, splat.opacities, rtol=0, atol=0.003)
    torch.testing.assert_close(found.sh[:, 0], splat.sh[:, 0], rtol=0, atol=0.014)
    torch.testing.assert_close(
        found.sh[:, 1:].clamp(-0.98, 0.98), splat.sh[:, 1:].clamp(-0.98, 0.98), rtol=0, atol=0.01
    )
    alike = (found.quats_wxyz * splat.quats_wxyz).sum(dim=1).abs()
    assert alike.min() > (0.995 if version == 2 else 0.9999)


def test_turned_harmonics_show_the_same_colours() -> None:
    """Along a ray with y and z turned round they are those of the ray."""
    rays = torch.nn.functional.normalize(torch.randn(COUNT, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    turned = rays * torch.tensor([1.0, -1.0, -1.0])
    signs = torch.tensor(np.concatenate([[1.0], SIGNS]), dtype=torch.float32)
    torch.testing.assert_close(sh_basis(turned, 3) * signs, sh_basis(rays, 3))


def hostile() -> dict[str, bytes]:
    parts = packed(3, gaussians())
    whole = legacy(3, parts)
    return {
        "empty": b"",
        "text": b"no splat",
        "gzip of nothing": gzip.compress(b""),
        "truncated": whole[: len(whole) // 2],
        "too many": legacy(3, parts, count=COUNT + 1),
        "far too many": legacy(3, parts, count=2**32 - 1),
        "none": legacy(3, parts, count=0),
        "another version": legacy(9, parts),
        "a bomb": gzip.compress(struct.pack("<4sIIBBBB", b"NGSP", 3, 10**7, 3, 12, 0, 0) + bytes(10**6)),
        "streams outside": struct.pack("<4sIIBBBBI12x", b"NGSP", 4, COUNT, 3, 12, 0, 6, 2**31),
        "long streams": struct.pack("<4sIIBBBBI12x", b"NGSP", 4, COUNT, 3, 12, 0, 6, 32) + bytes([255] * 96),
    }


@pytest.mark.parametrize("name", hostile())
def test_hostile_files_are_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.spz").write_bytes(hostile()[name])
    with pytest.raises(InputError) as caught:
        load_spz(tmp_path / "a.spz")
    assert str(caught.value).count("\n") == 0


def test_a_ply_says_that_it_is_antialiased(tmp_path: Path) -> None:
    save_splat(tmp_path / "mip.ply", gaussians(), antialiased=True)
    save_splat(tmp_path / "plain.ply", gaussians())
    assert b"\ncomment SplatRenderMode: mip\n" in (tmp_path / "mip.ply").read_bytes()
    assert load_splat_file(tmp_path / "mip.ply").antialiased
    assert not load_splat_file(tmp_path / "plain.ply").antialiased
