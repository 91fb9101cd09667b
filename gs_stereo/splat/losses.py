"""The photometric loss of 3D Gaussian splatting: (1 - w) L1 + w (1 - SSIM).

SSIM (imaging/ssim.py) has zero padding and biased variances, as 3DGS and gsplat compute it. On the CPU a native kernel
makes value and gradient in one go; elsewhere plain torch does.
"""

from functools import lru_cache
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch.nn import functional

from gs_stereo.errors import InputError
from gs_stereo.imaging.ssim import gaussian_window, ssim_from_moments
from gs_stereo.splat.engine import ENGINE

Images = Float[torch.Tensor, "c 3 h w"]


def l1_dssim(
    rendered: Images, photo: Images, dssim_weight: float = 0.2, mask: Bool[torch.Tensor, "h w"] | None = None
) -> Float[torch.Tensor, ""]:
    """The loss, averaged over cameras, channels and pixels; differentiable by `rendered` only.

    Both images are in [0, 1] (`rendered` may exceed it) and have one shape and device. Raises InputError otherwise.
    mask: where the photos say something; elsewhere the images count as equal. None = everywhere.
    """
    if rendered.shape != photo.shape or rendered.ndim != 4 or rendered.device != photo.device:
        raise InputError(
            f"l1_dssim needs two (C, 3, H, W) images on one device, got {tuple(rendered.shape)} on {rendered.device} "
            f"and {tuple(photo.shape)} on {photo.device}; reshape or move one of them."
        )
    if rendered.device.type == "cpu" and rendered.dtype == photo.dtype == torch.float32:
        return cast(torch.Tensor, _NativeL1Dssim.apply(rendered, photo.detach(), dssim_weight, mask))
    return l1_dssim_torch(rendered, photo.detach(), dssim_weight, mask)


def l1_dssim_torch(
    rendered: Images, photo: Images, dssim_weight: float = 0.2, mask: Bool[torch.Tensor, "h w"] | None = None
) -> Float[torch.Tensor, ""]:
    """The same loss in plain torch, for any device and precision."""
    if mask is not None:
        rendered = rendered.where(mask, photo)
    absolute = (rendered - photo).abs().mean()
    return (1 - dssim_weight) * absolute + dssim_weight * (1 - ssim_map(rendered, photo).mean())


def ssim_map(first: Images, second: Images) -> Images:
    """SSIM of every pixel and channel."""
    window = _window(first.dtype, first.device)
    reach = len(window) // 2

    def blur(image: torch.Tensor) -> torch.Tensor:
        flat = image.reshape(-1, 1, *image.shape[-2:])
        rows = functional.conv2d(flat, window[None, None, :, None], padding=(reach, 0))
        return functional.conv2d(rows, window[None, None, None, :], padding=(0, reach)).reshape(image.shape)

    mean_1, mean_2 = blur(first), blur(second)
    variance_sum = blur(first.square() + second.square()) - mean_1.square() - mean_2.square()
    ssim: Images = ssim_from_moments(mean_1, mean_2, variance_sum, blur(first * second) - mean_1 * mean_2)
    return ssim


@lru_cache
def _window(dtype: torch.dtype, device: torch.device) -> Float[torch.Tensor, "taps"]:
    return torch.as_tensor(gaussian_window()).to(device, dtype)


class _NativeL1Dssim(torch.autograd.Function):
    """Value and gradient come from one native call; backward only scales the stored gradient."""

    @staticmethod
    def forward(
        ctx: Any, rendered: torch.Tensor, photo: torch.Tensor, dssim_weight: float, mask: torch.Tensor | None
    ) -> torch.Tensor:
        rendered, photo = rendered.contiguous(), photo.contiguous()
        gradient = torch.empty_like(rendered)
        planes, height, width = rendered.shape[0] * rendered.shape[1], *rendered.shape[2:]
        shown, wanted, by_shown = (image.detach().view(planes, height, width) for image in (rendered, photo, gradient))
        loss = ENGINE.struct(
            "Loss", planes=planes, height=height, width=width, threads=torch.get_num_threads(),
            rendered=shown, photo=wanted, gradient=by_shown, dssim_weight=dssim_weight,
            mask=None if mask is None else mask.contiguous(),
        )  # fmt: skip
        ENGINE.call("gs_l1_dssim", loss)
        ctx.save_for_backward(gradient)
        return torch.tensor(loss.value, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, grad_loss: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient if float(grad_loss) == 1 else gradient * grad_loss, None, None, None
