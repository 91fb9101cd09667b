"""`quality.json` in `fit/`: how well the splat shows each photo, and the curves of the fit."""

from dataclasses import dataclass

from gs_stereo.core.records import Measured, OpenRecord

QUALITY_NAME = "quality.json"


@dataclass(frozen=True, kw_only=True)
class ViewQuality(OpenRecord):
    """PSNR in dB and SSIM of one view."""

    name: str
    psnr_db: Measured
    ssim: Measured


@dataclass(frozen=True, kw_only=True)
class FitRecord(OpenRecord):
    """One point of the curves: after `iteration` steps, the loss of that step and the number of Gaussians."""

    iteration: int
    loss: Measured
    count: int


@dataclass(frozen=True, kw_only=True)
class FitQuality(OpenRecord):
    """The content of `quality.json`."""

    photos: tuple[ViewQuality, ...]
    held_out: tuple[ViewQuality, ...]
    curves: tuple[FitRecord, ...]
