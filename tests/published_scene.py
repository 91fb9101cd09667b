"""A small scene with everything that is published, made without running a stage: a wall of Gaussians and its labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from builders import HEIGHT, WIDTH, camera_at, make_info, plain_sample, tiny_scene, true_gaussians
from twins.rasterizer import ReferenceRasterizer

from gs_stereo.datasets.schema import ShardSample, sample_of
from gs_stereo.datasets.write import ShardWriting, write_dataset
from gs_stereo.imaging.images import write_png
from gs_stereo.io.colmap import model_from_sparse_scene
from gs_stereo.io.pairs import write_pair
from gs_stereo.io.ply import save_splat
from gs_stereo.io.reconstruction import IMAGE_FOLDER, ReconstructionSummary, image_file_names, write_reconstruction
from gs_stereo.labels.config import LabelConfig, LabelSettings
from gs_stereo.labels.splat import SplatSource, splat_label
from gs_stereo.splat.folder import SPLAT_NAME, SplatInfo, write_splat_info
from gs_stereo.splat.pairs import SplatRenderer, render_stereo_pair
from gs_stereo.splat.raster.protocol import RenderSettings
from gs_stereo.types import StereoPair, StereoRig

BASELINE = 0.1
VIEWS = 3


def renderer() -> SplatRenderer:
    return SplatRenderer(rasterizer=ReferenceRasterizer(), gaussians=true_gaussians(), settings=RenderSettings())


def rendered_pairs() -> list[StereoPair]:
    """One pair for each camera of the scene."""
    scene, _ = tiny_scene(VIEWS)
    return [
        render_stereo_pair(
            renderer(), StereoRig(left=camera, baseline=BASELINE), sample_id=f"{index:03d}", view_id=camera.name
        )
        for index, camera in enumerate(scene.cameras)
    ]


def publish_reconstruction(output: Path) -> None:
    scene, photos = tiny_scene(VIEWS)
    folder = output / "reconstruct"
    names = [camera.name for camera in scene.cameras]
    files = image_file_names(names)
    for name in names:
        write_png(folder / IMAGE_FOLDER / files[name], photos(name))
    summary = ReconstructionSummary(source="photos", metres_per_unit=1.0, scale_source="given", image_files=files)
    write_reconstruction(folder, model_from_sparse_scene(scene), summary)


def publish_fit(output: Path) -> None:
    folder = output / "fit"
    folder.mkdir(parents=True)
    save_splat(folder / SPLAT_NAME, true_gaussians())
    write_splat_info(folder, SplatInfo(antialiased=True))


def publish_pairs(output: Path) -> None:
    folder = output / "pairs" / "default"
    pairs = rendered_pairs()
    for pair in pairs:
        write_pair(folder / pair.sample_id, pair)
    done = [{"sample_id": p.sample_id, "view_id": p.view_id, "refusal": None, "measures": {}} for p in pairs]
    (folder / "pairs.json").write_text(json.dumps({"pairs": done}), encoding="utf-8")


def publish_dataset(output: Path) -> None:
    rules = LabelConfig()
    pairs = rendered_pairs()
    provenance = SplatSource(LabelSettings(rules=rules)).provenance()
    info = make_info(scene="wall", label="splat", provenance=provenance, metres_per_unit=None)
    folder = output / "dataset" / "splat"
    folder.mkdir(parents=True)
    samples = [sample_of(pair, splat_label(pair, rules)) for pair in pairs]
    write_dataset(folder, samples, info, sample_count=len(samples), writing=ShardWriting(samples_per_shard=2))


def publish_everything(scene: Path) -> Path:
    """All stages in SCENE/gsstereo; returns SCENE."""
    output = scene / "gsstereo"
    for publish in (publish_reconstruction, publish_fit, publish_pairs, publish_dataset):
        publish(output)
    return scene


def wall_sample(depth: float = 2.0) -> ShardSample:
    """A wall at this depth seen from (0.5, 0, 0); confidence grows from left to right."""
    camera = camera_at("a", 0.5)
    disparity = np.full((HEIGHT, WIDTH), camera.focal_px * BASELINE / depth, dtype=np.float32)
    disparity[0] = np.nan
    confidence = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    image = np.full((HEIGHT, WIDTH, 3), 77, dtype=np.uint8)
    return plain_sample(
        disparity,
        left=image,
        confidence=confidence,
        intrinsics=camera.intrinsics,
        baseline=BASELINE,
        cam_from_world=camera.cam_from_world,
    )
