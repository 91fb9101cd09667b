"""What a fit minimises: L1 + D-SSIM against the photo, and mild preferences among splats that show it equally well.

The preferences act on what photos leave open: haze (opacity), huge Gaussians (scale), pixels left to the background
though a photo is opaque there, or covered though it is cut out (alpha), depth that is smeared along a ray (relative
variance of z) or far from the plane sweep's rough depth. The last fades out, because photos know better in the end.
Weights of 0 switch them off.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float

from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.losses import l1_dssim
from gs_stereo.splat.photos import TrainingView
from gs_stereo.splat.raster.protocol import RenderOutput
from gs_stereo.types.gaussians import Gaussians


@dataclass(frozen=True, kw_only=True, eq=False)
class Objective:
    """The loss of one view. extent: in scene units. progress: share of the iterations done."""

    config: FitConfig
    extent: float
    progress: float

    def loss(self, output: RenderOutput, view: TrainingView, gaussians: Gaussians) -> Float[torch.Tensor, ""]:
        config = self.config
        rgb = output.rgb
        transparency = 1 - output.alpha
        if view.mask is not None:  # elsewhere the photo says nothing, or that nothing is there
            rgb = rgb.where(view.mask, view.photo)
            transparency = transparency.where(view.mask, 0.0)
        if view.cut_out is not None:
            transparency = transparency.where(~view.cut_out, output.alpha)
        loss = view.weight * l1_dssim(rgb, view.photo[None], config.dssim_weight)
        if config.opacity_weight > 0:
            loss = loss + config.opacity_weight * gaussians.opacities.mean()
        if config.scale_weight > 0:
            loss = loss + config.scale_weight * gaussians.scales.mean() / self.extent
        if config.alpha_weight > 0:
            loss = loss + config.alpha_weight * transparency.mean()
        if config.depth_variance_weight > 0:
            loss = loss + config.depth_variance_weight * relative_depth_variance(output)
        fading = 1 - self.progress / config.depth_share if config.depth_share > 0 else 0.0
        if config.depth_weight > 0 and fading > 0 and view.depth is not None:
            loss = loss + config.depth_weight * fading * relative_depth_error(output, view.depth)
        return loss


def relative_depth_error(output: RenderOutput, depth: Float[torch.Tensor, "h w"]) -> Float[torch.Tensor, ""]:
    """Mean over pixels of |z - depth| / depth, weighted by alpha; pixels without depth count as 0."""
    known = depth.isfinite()
    wanted = depth.where(known, 1.0)
    error = (output.z_sum[0] - output.alpha[0] * wanted).abs() / wanted
    return error.where(known, 0.0).mean()


def relative_depth_variance(output: RenderOutput) -> Float[torch.Tensor, ""]:
    """Mean over pixels of alpha^2 var(z) / mean(z)^2, written without a division by alpha."""
    scaled = output.z2_sum * output.alpha - output.z_sum.square()
    hit = output.alpha.detach() > 0
    size = output.z_sum.detach().square().where(hit, 1.0)
    return (scaled / size).clamp_min(0.0).mean()
