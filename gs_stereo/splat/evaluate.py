"""How well a splat shows photos: PSNR and SSIM of views at their photos' resolution."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from gs_stereo.core.prefetch import prefetched
from gs_stereo.log import progress
from gs_stereo.metrics.image import psnr, ssim
from gs_stereo.splat.quality import ViewQuality
from gs_stereo.splat.raster.protocol import Rasterizer, RenderSettings
from gs_stereo.types import Camera
from gs_stereo.types.gaussians import Gaussians
from gs_stereo.types.photo_source import PhotoSource, mask_of


@dataclass(frozen=True, kw_only=True)
class SplatQuality:
    """The quality of some views; the means are over views and NaN if there are none."""

    views: tuple[ViewQuality, ...] = field(default=())

    @property
    def psnr_db(self) -> float:
        return float(np.mean([view.psnr_db for view in self.views])) if self.views else float("nan")

    @property
    def ssim(self) -> float:
        return float(np.mean([view.ssim for view in self.views])) if self.views else float("nan")


def evaluate_views(
    rasterizer: Rasterizer,
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    photos: PhotoSource,
    settings: RenderSettings = RenderSettings(),
) -> SplatQuality:
    """Render each camera and compare it with its photo, where that is not cut out. Cameras may differ in size."""
    settings = replace(settings, depth_moments=0, median_depth=False)

    def rendered() -> Iterator[tuple[Camera, torch.Tensor]]:
        for camera in cameras:
            with torch.no_grad():
                rgb = rasterizer.render(gaussians, [camera], settings).rgb[0]
            yield camera, rgb

    def compared(view: tuple[Camera, torch.Tensor]) -> ViewQuality:
        camera, rgb = view
        shown = np.clip(rgb.permute(1, 2, 0).cpu().numpy(), 0, 1)  # as a screen would
        photo = photos(camera.name).astype(np.float64) / 255
        mask = mask_of(photos, camera.name)
        if mask is None or not mask.any():
            mask = np.ones(photo.shape[:2], bool)
        shown = np.where(mask[..., None], shown, photo)
        db = psnr(shown[mask][None], photo[mask][None])
        return ViewQuality(name=camera.name, psnr_db=db, ssim=ssim(shown, photo))

    with progress("compare with the photos", len(cameras), "views") as bar:
        scores = []
        for score in prefetched(compared, rendered()):  # while the next view is rendered
            scores.append(score)
            bar.advance()
    return SplatQuality(views=tuple(scores))
