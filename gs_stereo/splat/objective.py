"""What a fit minimises: L1 + D-SSIM against the photo, and mild preferences among splats that show it equally well.

The preferences act on what photos leave open: haze (opacity), huge Gaussians (scale), pixels left to the background
though a photo is opaque there, or covered though it is cut out (alpha), depth that is smeared along a ray (relative
variance of z) or far from the plane sweep's rough depth. The last fades out, because photos know better in the end.
Weights of 0 switch them off. On the CPU a native kernel makes those of pixels and their gradients in one pass.
"""

from dataclasses import astuple, dataclass
from typing import Any, cast

import torch
from jaxtyping import Float

from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.engine import ENGINE
from gs_stereo.splat.losses import l1_dssim
from gs_stereo.splat.photos import TrainingView
from gs_stereo.splat.raster.protocol import RenderOutput
from gs_stereo.types.gaussians import Gaussians


@dataclass(frozen=True, kw_only=True)
class PixelWeights:
    """Weights of the preferences that pixels have: of alpha, of the variance of z, of the swept depth."""

    alpha: float
    variance: float
    depth: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Objective:
    """The loss of one view. extent: in scene units. progress: share of the iterations done."""

    config: FitConfig
    extent: float
    progress: float

    def loss(self, output: RenderOutput, view: TrainingView, gaussians: Gaussians) -> Float[torch.Tensor, ""]:
        """`output` has both moments of z."""
        config = self.config
        loss = view.weight * l1_dssim(output.rgb, view.photo[None], config.dssim_weight, view.mask)
        if config.opacity_weight > 0:
            loss = loss + config.opacity_weight * gaussians.opacities.mean()
        if config.scale_weight > 0:
            loss = loss + config.scale_weight * gaussians.scales.mean() / self.extent
        fading = 1 - self.progress / config.depth_share if config.depth_share > 0 else 0.0
        weights = PixelWeights(
            alpha=config.alpha_weight,
            variance=config.depth_variance_weight,
            depth=config.depth_weight * max(fading, 0.0),
        )
        if any(astuple(weights)):
            loss = loss + preferences(output, view, weights)
        return loss


def preferences(output: RenderOutput, view: TrainingView, weights: PixelWeights) -> Float[torch.Tensor, ""]:
    """What is preferred of the opacity and depth of pixels, averaged over them."""
    images = (output.alpha, output.z_sum, output.z2_sum)
    if len(output.alpha) == 1 and all(each.device.type == "cpu" and each.dtype == torch.float32 for each in images):
        return cast(torch.Tensor, _NativePreferences.apply(view, weights, *images))
    return preferences_torch(output, view, weights)


def preferences_torch(output: RenderOutput, view: TrainingView, weights: PixelWeights) -> Float[torch.Tensor, ""]:
    """The same in plain torch, for any device and precision."""
    transparency = 1 - output.alpha
    if view.mask is not None:  # elsewhere the photo says nothing, or that nothing is there
        transparency = transparency.where(view.mask, 0.0)
    if view.cut_out is not None:
        transparency = transparency.where(~view.cut_out, output.alpha)
    value = weights.alpha * transparency.mean() + weights.variance * relative_depth_variance(output)
    if view.depth is not None:
        value = value + weights.depth * relative_depth_error(output, view.depth)
    return value


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


class _NativePreferences(torch.autograd.Function):
    """Value and gradients come from one native call; backward only scales the stored gradients."""

    @staticmethod
    def forward(ctx: Any, view: TrainingView, weights: PixelWeights, *images: torch.Tensor) -> torch.Tensor:
        alpha, z_sum, z2_sum = (image.detach()[0].contiguous() for image in images)
        by_alpha, by_z_sum, by_z2_sum = gradients = [torch.empty_like(image) for image in images]
        asked = ENGINE.struct(
            "Preferences", height=alpha.shape[0], width=alpha.shape[1], threads=torch.get_num_threads(),
            alpha=alpha, z_sum=z_sum, z2_sum=z2_sum, mask=view.mask, cut_out=view.cut_out,
            depth=view.depth if weights.depth > 0 else None,
            by_alpha=by_alpha[0], by_z_sum=by_z_sum[0], by_z2_sum=by_z2_sum[0],
            alpha_weight=weights.alpha, variance_weight=weights.variance, depth_weight=weights.depth,
        )  # fmt: skip
        ENGINE.call("gs_preferences", asked)
        ctx.save_for_backward(*gradients)
        return torch.tensor(asked.value, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, grad_loss: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        scale = float(grad_loss)
        return None, None, *(each if scale == 1 else scale * each for each in ctx.saved_tensors)
