"""Cameras and photos -> a fitted splat in `fit/`."""

import shutil

from gs_stereo.core.records import write_record
from gs_stereo.log import progress
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.folder import FOLDER, SPLAT_NAME, TRANSIENTS_NAME, SplatInfo, write_splat_info
from gs_stereo.splat.quality import QUALITY_NAME, FitQuality
from gs_stereo.stages import reconstruct

_NAMED = 4


class FitStage(Stage):
    """Publishes `splat.ply` (the standard 3DGS layout), `splat.json`, `quality.json` with curves and metrics, and
    `appearance.json`: exposure, colour and vignette of the photos as far as they were undone; `transients/`: for photos
    with something before the scene, white where it is."""

    name = "fit"
    version = 8
    config_type = FitConfig

    def folder(self, config: FitConfig) -> str:
        return FOLDER

    def inputs(self, paths: ScenePaths, config: FitConfig) -> StageInputs:
        return StageInputs(published={reconstruct.FOLDER: "reconstruct"})

    def resources(self, config: FitConfig) -> Resources:
        return Resources(cores=2, gpus=int(config.backend == "gsplat"), memory_mb=900 + config.max_gaussians // 600)

    def run(self, context: StageContext, config: FitConfig) -> StageOutcome:
        import numpy as np

        from gs_stereo.imaging.png import write_gray_png
        from gs_stereo.io.ply import save_splat
        from gs_stereo.io.reconstruction import PhotosOfReconstruction, load_sparse_scene, load_summary
        from gs_stereo.splat.appearance import APPEARANCE_NAME
        from gs_stereo.splat.fit import fit_gaussians

        folder = context.published(reconstruct.FOLDER)
        checkpoints = context.work_dir / ".checkpoints"
        checkpoints.mkdir(exist_ok=True)
        with progress("fit", config.iterations, "step") as bar:
            result = fit_gaussians(
                load_sparse_scene(folder),
                PhotosOfReconstruction(folder),
                config,
                work_dir=checkpoints,
                seed=context.seed,
                progress=bar,
            )
        settings, photos, held_out = result.settings, result.photos, result.held_out
        splat = context.work_dir / SPLAT_NAME
        save_splat(splat, result.gaussians, result.origin, antialiased=settings.antialiased)
        info = SplatInfo(antialiased=settings.antialiased, background=settings.background, origin=result.origin)
        write_splat_info(context.work_dir, info)
        quality = FitQuality(photos=photos.views, held_out=held_out.views, curves=result.records)
        write_record(context.work_dir / QUALITY_NAME, quality)
        write_record(context.work_dir / APPEARANCE_NAME, result.appearance)
        files = load_summary(folder).image_files
        for name, transient in result.transients.items():
            white = np.where(transient, np.uint8(255), np.uint8(0))
            write_gray_png(context.work_dir / TRANSIENTS_NAME / files[name], white)
        shutil.rmtree(checkpoints)
        metrics = {
            "gaussians": len(result.gaussians),
            "photos_psnr_db": photos.psnr_db,
            "photos_ssim": photos.ssim,
            "held_out_psnr_db": held_out.psnr_db,
            "held_out_ssim": held_out.ssim,
            "held_out": result.held_out_names,
        }
        exposures = [photo.exposure_ev for photo in result.appearance.photos]
        if exposures:
            metrics["exposure_range_ev"] = max(exposures) - min(exposures)
        summary = {"Gaussians": str(len(result.gaussians)), "PSNR": f"{photos.psnr_db:.2f} dB on photos"}
        if result.held_out_names:
            scores = f"{held_out.psnr_db:.2f} dB, SSIM {held_out.ssim:.3f}"
            summary["held-out PSNR"] = f"{scores} ({len(result.held_out_names)} photos)"
        if result.transients:
            share = sum(float(mask.mean()) for mask in result.transients.values()) / len(files)
            metrics["transient_share"] = share
            summary["transients"] = (
                f"in {len(result.transients)} of {len(files)} photos, {100 * share:.1f} % of all pixels"
            )
        if exposures:
            summary["exposure undone"] = f"{min(exposures):+.2f} to {max(exposures):+.2f} EV"
        if blurred := result.blur_weights:
            metrics["blurred_photos"] = {name: round(weight, 3) for name, weight in sorted(blurred.items())}
            summary["blurred photos"] = f"{len(blurred)} weigh less: {', '.join(sorted(blurred)[:_NAMED])}"
        return StageOutcome(metrics=metrics, summary=summary, device="cuda" if result.backend == "gsplat" else "cpu")
