"""Checks of what comes into a rasterizer, shared by all of them, and the cameras as tensors."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from gs_stereo.errors import InputError
from gs_stereo.splat.raster.protocol import RenderExtras, RenderSettings
from gs_stereo.types import Camera
from gs_stereo.types.gaussians import Gaussians

SH_COUNTS = (1, 4, 9, 16)


def check_inputs(gaussians: Gaussians, cameras: Sequence[Camera], extras: RenderExtras, device: torch.device) -> None:
    """Raise InputError if shapes, devices or image sizes do not fit together. Does not look at values."""
    sizes = {(camera.width, camera.height) for camera in cameras}
    if len(sizes) != 1:
        raise InputError(f"The cameras of one render call have sizes {sorted(sizes)}; pass cameras of one size.")
    if min(sizes.pop()) < 1:
        raise InputError("A camera has no pixels; give it a width and height of at least 1.")
    for camera in cameras:
        if not (np.isfinite(camera.cam_from_world).all() and np.isfinite(camera.intrinsics).all()):
            raise InputError(f"Camera {camera.name!r} holds NaN or infinity; fix its pose or intrinsics.")
    count, views = len(gaussians), len(cameras)
    coefficients = gaussians.sh.shape[1] if gaussians.sh.ndim == 3 else -1
    if coefficients not in SH_COUNTS:
        raise InputError(f"sh has shape {tuple(gaussians.sh.shape)}; make it (N, K, 3) with K one of {SH_COUNTS}.")
    expected: dict[str, tuple[torch.Tensor | None, tuple[int, ...]]] = {
        "means": (gaussians.means, (count, 3)),
        "quats_wxyz": (gaussians.quats_wxyz, (count, 4)),
        "log_scales": (gaussians.log_scales, (count, 3)),
        "opacity_logits": (gaussians.opacity_logits, (count,)),
        "sh": (gaussians.sh, (count, coefficients, 3)),
        "features": (extras.features, (count, extras.features.shape[-1] if extras.features is not None else 0)),
        "cam_from_world": (extras.cam_from_world, (views, 4, 4)),
        "pixel_mask": (extras.pixel_mask, (views, cameras[0].height, cameras[0].width)),
    }
    for name, (tensor, shape) in expected.items():
        if tensor is not None and tuple(tensor.shape) != shape:
            raise InputError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}; reshape it.")
        if tensor is not None and tensor.device.type != device.type:
            raise InputError(f"{name} is on {tensor.device}, this rasterizer works on {device}; move it with .to().")


def not_finite(name: str) -> InputError:
    """The error for NaN or infinity in a parameter."""
    return InputError(f"{name} holds NaN or infinity; remove those Gaussians or lower the learning rate.")


def check_finite(gaussians: Gaussians) -> None:
    """Raise InputError if a parameter holds NaN or infinity. The cpu rasterizer looks while it projects instead."""
    for name, tensor in gaussians.tensors().items():
        if not tensor.isfinite().all():
            raise not_finite(name)


def used_sh_degree(gaussians: Gaussians, settings: RenderSettings) -> int:
    """The degree to evaluate: what is asked for, at most what is there."""
    return gaussians.sh_degree if settings.sh_degree is None else min(settings.sh_degree, gaussians.sh_degree)


def poses(
    cameras: Sequence[Camera], extras: RenderExtras, like: torch.Tensor | None = None
) -> Float[torch.Tensor, "c 4 4"]:
    """The cameras' poses, or the tensor that replaces them; in `like`'s dtype and device if given."""
    if extras.cam_from_world is not None:
        stacked = extras.cam_from_world
    else:
        stacked = torch.from_numpy(np.stack([camera.cam_from_world for camera in cameras]))
    return stacked if like is None else stacked.to(like)
