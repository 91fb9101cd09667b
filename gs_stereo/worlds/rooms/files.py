"""The files of an exact scene: where they are, what they are called, and their bytes.

images/000.png ...             training photos, nothing else
test/images/, test/right_b100/ held-out left views and their true right images (b in millimetres)
gt/train/, gt/test/            000.npz ...: z, cls, and occ_bXXX and disp_bXXX for each baseline
poses.json                     intrinsics, baselines, `cam_from_world` of every view
sparse/0/                      COLMAP text model of the training views
camera_positions.txt           name x y z of the training cameras, metres

Of a wild capture photos are images/000.jpg ..., and beside the truth lie
gt/clean/000.png ...           the photos without faults, at the scene's exposure, nobody in them
gt/masks/000.jpg.png ...       255 where a photo shows the room, 0 where somebody passes
gt/wild.json                   camera and, a photo, exposure, white balance, blur, quality
"""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from gs_stereo.geometry.disparity import disparity_from_depth
from gs_stereo.types import Camera
from gs_stereo.worlds.render import RenderedView
from gs_stereo.worlds.rooms.config import SampleConfig
from gs_stereo.worlds.rooms.hard_room import HARD_VERSION, kind_of

_DROPPED_MANTISSA_BITS = 7


def baseline_tag(baseline_m: float) -> str:
    """`b100` for 0.1 m."""
    return f"b{round(baseline_m * 1000):03d}"


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as a compressed npz whose bytes depend on nothing but the arrays (no time stamps)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def truth_arrays(view: RenderedView, occlusion: Mapping[float, UInt8[np.ndarray, "h w"]]) -> dict[str, np.ndarray]:
    """The arrays of one gt file; occlusion: bits 0 hidden and 1 out of frame, by baseline in metres.

    z keeps 16 mantissa bits (relative error under 8e-6), so that it compresses.
    """
    z = _rounded(view.depth)
    arrays: dict[str, np.ndarray] = {"z": z, "cls": view.surface}
    for baseline, bits in occlusion.items():
        arrays[f"occ_{baseline_tag(baseline)}"] = bits
        disparity = disparity_from_depth(z.astype(np.float64), view.camera.focal_px * baseline)
        arrays[f"disp_{baseline_tag(baseline)}"] = _rounded(disparity.astype(np.float32))
    return arrays


def _rounded(values: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Positive floats rounded to 16 mantissa bits."""
    half = np.uint32(1 << (_DROPPED_MANTISSA_BITS - 1))
    bits = (values.view(np.uint32) + half) >> np.uint32(_DROPPED_MANTISSA_BITS) << np.uint32(_DROPPED_MANTISSA_BITS)
    return np.asarray(bits.view(np.float32))


def poses_text(name: str, config: SampleConfig, train: list[Camera], test: list[Camera]) -> str:
    """poses.json."""
    camera = train[0]
    k = camera.intrinsics
    values: dict[str, Any] = {
        "scene": name,
        "width": camera.width,
        "height": camera.height,
        "fx": float(k[0, 0]),
        "fy": float(k[1, 1]),
        "cx": float(k[0, 2]),
        "cy": float(k[1, 2]),
        "units": "metre",
        "convention": "cam_from_world 4x4 row-major, OpenCV axes (+x right, +y down, +z forward); "
        "pixel (col, row) has its centre at (col+0.5, row+0.5)",
        "baselines": list(config.baselines_m),
        "train": [_pose(view, "images", "gt/train") for view in train],
        "test": [_pose(view, "test/images", "gt/test", config.right_baselines_m) for view in test],
    }
    return json.dumps(values, indent=1) + "\n"


def _pose(view: Camera, images: str, truth: str, right_baselines_m: tuple[float, ...] = ()) -> dict[str, Any]:
    rights = {f"right_{baseline_tag(b)}": f"test/right_{baseline_tag(b)}/{view.name}" for b in right_baselines_m}
    return {
        "name": view.name,
        "image": f"{images}/{view.name}",
        **rights,
        "gt": f"{truth}/{Path(view.name).stem}.npz",
        "cam_from_world": view.cam_from_world.tolist(),
    }


def positions_text(cameras: list[Camera]) -> str:
    """camera_positions.txt: one `name x y z` a line, metres."""
    lines = ["# name x y z, camera centres in metres"]
    lines += [" ".join([view.name, *(f"{value:.9f}" for value in view.centre_in_world)]) for view in cameras]
    return "\n".join(lines) + "\n"


_WILD_README = """
The photos are a casual capture: exposure and white balance change, the camera has a vignette and a response curve of
its own, a sixth of the photos are shaken, all have noise and are JPEGs, and people pass in half of them. The truth is
that of the empty room. Beside it: `gt/clean/` the same photos without all this, `gt/masks/` 0 where somebody covers the
room, `gt/wild.json` what was done to each photo. Held-out views are clean.
"""


def readme_text(config: SampleConfig, seed: int) -> str:
    """README.md."""
    scene = f"hard room, version {HARD_VERSION}, {kind_of(seed)}" if config.hard else "living room"
    last_classes = "3 without texture, 4 sky" if config.hard else "3 without texture"
    baselines = ", ".join(f"{value:g}" for value in config.baselines_m)
    tag = baseline_tag(config.baselines_m[0])
    wild = _WILD_README if config.wild else ""
    return f"""# Sample capture: {scene}, seed {seed}

Written by `gsstereo sample`: ray cast from procedural geometry and textures, with exact truth. Units are metres.

- `images/`: {config.views} training photos, {config.width} x {config.height}, 8-bit sRGB. Nothing else is in there.
- `test/images/`: {config.test_views} held-out left views; `test/right_bXXX/`: their true right images, XXX mm away.
- `gt/train/`, `gt/test/`: one npz a view. `z` is the depth along the optical axis of the surface on the ray through
  the pixel's centre (float32, 16 mantissa bits); `disp_{tag}` the disparity f b / z in pixels; `occ_{tag}` bit 0 =
  hidden from the right camera, bit 1 = outside the right image; `cls` 0 plain, 1 thin, 2 glossy, {last_classes}.
  Baselines: {baselines} m.
- `poses.json`: intrinsics and `cam_from_world` (4x4, OpenCV axes); the centre of pixel (column c, row r) is at
  (c + 0.5, r + 0.5).
- `sparse/0/`: COLMAP text model with the exact cameras and exact surface points of the training views.
- `camera_positions.txt`: name x y z of the training cameras, a source of scale.

A pixel of a photo is the mean over its area; at depth edges it can mix two surfaces. Glossy surfaces carry their own
depth, not that of what they reflect.
{wild}"""
