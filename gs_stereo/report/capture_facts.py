"""What the report shows of earlier stages: the capture, and the splat's renders of held-out photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gs_stereo.pipeline.manifest import read_manifest
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.report.config import ReportConfig
from gs_stereo.splat import folder as splat_folder
from gs_stereo.stages import reconstruct

if TYPE_CHECKING:
    from gs_stereo.io.reconstruction import PhotosOfReconstruction
    from gs_stereo.report.facts import CaptureFacts, FitFacts, HeldOutView
    from gs_stereo.splat.pairs import SplatRenderer
    from gs_stereo.types import Camera

_PICTURE_EDGE_PX = 480


def capture_facts(folder: Path | None) -> CaptureFacts | None:
    """The reconstruction in a published folder."""
    from gs_stereo.io.reconstruction import load_sparse_scene, load_summary
    from gs_stereo.report.facts import CaptureFacts

    if folder is None:
        return None
    return CaptureFacts(summary=load_summary(folder), scene=load_sparse_scene(folder))


def fit_facts(paths: ScenePaths, config: ReportConfig) -> FitFacts | None:
    """Curves and held-out renders of the splat, if it was fitted here (an imported one has neither)."""
    from gs_stereo.report.facts import FitFacts
    from gs_stereo.report.gather import stage_values, training_curves

    folder = paths.published(splat_folder.FOLDER)
    quality, manifest = stage_values(folder / "quality.json"), read_manifest(folder)
    if quality is None or manifest is None:
        return None
    scores = _scores(quality.get("held_out"))
    return FitFacts(
        curves=training_curves(quality),
        held_out=_held_out(paths, config, scores),
        held_out_count=len(scores),
        metrics=manifest.metrics,
    )


def _scores(values: Any) -> dict[str, tuple[float, float]]:
    """PSNR and SSIM by photo name."""
    found = {}
    for value in values if isinstance(values, list) else []:
        if isinstance(value, dict) and isinstance(value.get("psnr_db"), int | float):
            found[str(value.get("name"))] = (float(value["psnr_db"]), float(value.get("ssim") or 0.0))
    return found


def _held_out(
    paths: ScenePaths, config: ReportConfig, scores: dict[str, tuple[float, float]]
) -> tuple[HeldOutView, ...]:
    """Render the held-out photos again. They are spread evenly if there are many."""
    from gs_stereo.io.reconstruction import PhotosOfReconstruction, load_sparse_scene

    folder = paths.published(reconstruct.FOLDER)
    cameras = [camera for camera in load_sparse_scene(folder).cameras if camera.name in scores]
    step = max(1, -(-len(cameras) // config.max_held_out)) if config.max_held_out else 0
    chosen = cameras[::step] if step else []
    if not chosen:
        return ()
    renderer, photos = _renderer(paths, config.backend), PhotosOfReconstruction(folder)
    return tuple(_view(renderer, photos, camera, scores[camera.name]) for camera in chosen)


def _renderer(paths: ScenePaths, backend: str) -> SplatRenderer:
    from gs_stereo.io.ply import load_splat
    from gs_stereo.splat.fit import make_rasterizer
    from gs_stereo.splat.pairs import SplatRenderer
    from gs_stereo.splat.raster.protocol import RenderSettings

    folder = paths.published(splat_folder.FOLDER)
    rasterizer, info = make_rasterizer(backend), splat_folder.read_splat_info(folder)
    return SplatRenderer(
        rasterizer=rasterizer,
        gaussians=load_splat(folder / splat_folder.SPLAT_NAME).to(rasterizer.device),
        settings=RenderSettings(antialiased=info.antialiased, background=info.background),
    )


def _view(
    renderer: SplatRenderer, photos: PhotosOfReconstruction, camera: Camera, scores: tuple[float, float]
) -> HeldOutView:
    from gs_stereo.report.facts import HeldOutView
    from gs_stereo.report.pictures import data_uri, difference

    photo, render = photos(camera.name), renderer.render([camera])[0].image
    return HeldOutView(
        name=camera.name,
        photo=data_uri(photo, _PICTURE_EDGE_PX),
        render=data_uri(render, _PICTURE_EDGE_PX),
        difference=data_uri(difference(render, photo), _PICTURE_EDGE_PX),
        psnr_db=scores[0],
        ssim=scores[1],
    )
