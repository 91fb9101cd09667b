"""SOG: what a bundle or a folder holds is what was packed, and hostile files are one sentence."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gs_stereo.errors import InputError
from gs_stereo.io.ply import SplatFile
from gs_stereo.io.sog import load_sog, sog_files

COUNT, PALETTE = 50, 70


def picture(rows: np.ndarray, width: int = 8) -> bytes:
    """Pixels one after the other, with some to spare, as lossless WebP that keeps colours under any alpha."""
    height = -(-len(rows) // width) + 1
    pixels = np.zeros((height * width, 4), np.uint8)
    pixels[: len(rows), : rows.shape[1]] = rows
    if rows.shape[1] < 4:
        pixels[:, 3] = 255
    out = io.BytesIO()
    Image.fromarray(pixels.reshape(height, width, 4)).save(out, "WEBP", lossless=True, exact=True)
    return out.getvalue()


def nearest(book: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.abs(values[..., None] - book).argmin(axis=-1).astype(np.uint8)


def truth() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    quats = random.normal(size=(COUNT, 4))
    return {
        "means": 20 * random.normal(size=(COUNT, 3)),
        "quats_wxyz": quats / np.linalg.norm(quats, axis=1, keepdims=True),
        "log_scales": -4 + random.normal(size=(COUNT, 3)),
        "opacity_logits": random.normal(size=COUNT),
        "dc": random.normal(size=(COUNT, 3)),
        "palette": 0.3 * random.normal(size=(PALETTE, 8, 3)),
        "label": random.integers(0, PALETTE, COUNT),
    }


def packed() -> dict[str, bytes]:
    """As the specification says, one Gaussian after the other."""
    splat = truth()
    logs = np.sign(splat["means"]) * np.log1p(np.abs(splat["means"]))
    low, high = logs.min(axis=0), logs.max(axis=0)
    whole = np.rint((logs - low) / (high - low) * 65535).astype(int)
    rotations = []
    for quaternion in splat["quats_wxyz"]:
        largest = int(np.argmax(np.abs(quaternion)))
        turned = quaternion * np.sign(quaternion[largest])
        small = [round((turned[k] * math.sqrt(2) + 1) / 2 * 255) for k in range(4) if k != largest]
        rotations.append([*small, 252 + largest])
    books = {name: np.linspace(splat[name].min(), splat[name].max(), 256) for name in ("log_scales", "dc", "palette")}
    opacity = np.rint(255 / (1 + np.exp(-splat["opacity_logits"]))).astype(np.uint8)
    entries = np.zeros((2, 64, 8, 3), np.uint8)
    entries.reshape(-1, 8, 3)[:PALETTE] = nearest(books["palette"], splat["palette"])
    label = splat["label"]
    meta: dict[str, Any] = {
        "version": 2,
        "count": COUNT,
        "antialias": True,
        "means": {"mins": low.tolist(), "maxs": high.tolist(), "files": ["low.webp", "high.webp"]},
        "scales": {"codebook": books["log_scales"].tolist(), "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": books["dc"].tolist(), "files": ["sh0.webp"]},
        "shN": {
            "count": PALETTE,
            "bands": 2,
            "codebook": books["palette"].tolist(),
            "files": ["palette.webp", "labels.webp"],
        },
    }
    return {
        "meta.json": json.dumps(meta).encode(),
        "low.webp": picture(whole % 256),
        "high.webp": picture(whole // 256),
        "scales.webp": picture(nearest(books["log_scales"], splat["log_scales"])),
        "quats.webp": picture(np.array(rotations)),
        "sh0.webp": picture(np.column_stack([nearest(books["dc"], splat["dc"]), opacity])),
        "palette.webp": picture(entries.reshape(-1, 3), width=64 * 8),
        "labels.webp": picture(np.column_stack([label % 256, label // 256, 0 * label])),
    }


def written(folder: Path, files: dict[str, bytes], bundle: bool) -> Path:
    folder.mkdir(exist_ok=True)
    if bundle:
        with zipfile.ZipFile(folder / "scene.sog", "w") as out:
            for name, content in files.items():
                out.writestr(name, content)
        return folder / "scene.sog"
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / "meta.json"


@pytest.mark.parametrize("bundle", [False, True])
def test_gaussians_survive_but_for_rounding(tmp_path: Path, bundle: bool) -> None:
    path = written(tmp_path, packed(), bundle)
    found: SplatFile = load_sog(path)
    splat, expected = found.gaussians, truth()
    assert found.antialiased
    np.testing.assert_allclose(splat.means.numpy(), expected["means"], rtol=1e-3, atol=1e-3)
    alike = np.abs((splat.quats_wxyz.numpy() * expected["quats_wxyz"]).sum(axis=1))
    assert alike.min() > 0.9999
    np.testing.assert_allclose(splat.log_scales.numpy(), expected["log_scales"], atol=0.02)
    np.testing.assert_allclose(splat.opacity_logits.numpy(), expected["opacity_logits"], atol=0.05)
    sh = np.concatenate([expected["dc"][:, None], expected["palette"][expected["label"]]], axis=1)
    np.testing.assert_allclose(splat.sh.numpy(), sh, atol=0.02)
    assert len(sog_files(path)) == (1 if bundle else 8)


@pytest.mark.parametrize("bundle", [False, True])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quats.webp": None}, "quats.webp"),
        ({"count": 5000}, "5000 Gaussians"),
        ({"version": 3}, "version"),
        ({"sh0": {"codebook": [0.0], "files": ["sh0.webp"]}}, "codebook"),
        ({"quats": {"files": ["../quats.webp"]}}, "quats.webp"),
        ({"quats.webp": b"no picture"}, "cannot identify"),
        ({"labels.webp": picture(np.full((COUNT, 3), 255))}, "beyond the palette"),
        ({"palette.webp": picture(np.zeros((COUNT, 3)))}, "palette"),
    ],
)
def test_broken_files_are_one_sentence(tmp_path: Path, bundle: bool, change: dict[str, Any], said: str) -> None:
    files = packed()
    for name, value in change.items():
        if name not in files:
            files["meta.json"] = json.dumps({**json.loads(files["meta.json"]), name: value}).encode()
        elif value is None:
            del files[name]
        else:
            files[name] = value
    with pytest.raises(InputError, match=said):
        load_sog(written(tmp_path, files, bundle))


def test_other_files_are_no_sog(tmp_path: Path) -> None:
    (tmp_path / "scene.sog").write_bytes(b"<!doctype html>")
    with pytest.raises(InputError, match="web page"):
        load_sog(tmp_path / "scene.sog")
    with pytest.raises(InputError, match="Cannot read"):
        load_sog(tmp_path / "none.sog")
