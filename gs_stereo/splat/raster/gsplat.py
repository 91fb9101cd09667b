"""The CUDA rasterizer: a thin adapter from the Rasterizer protocol to gsplat 1.5.

gsplat draws the colour in one pass; z, z^2 and features go through a second pass as plain channels over a black
background, so that all of them get gradients. gsplat has no median depth for 3D Gaussians: it is worked out from
gsplat's list of intersections, front to back for every pixel, without gradient. This file needs a CUDA device.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from gs_stereo.errors import PluginError
from gs_stereo.splat.raster.inputs import check_finite, check_inputs, poses, used_sh_degree
from gs_stereo.splat.raster.protocol import RenderExtras, RenderOutput, RenderSettings, ScreenGradients
from gs_stereo.types import Camera, StereoRig
from gs_stereo.types.gaussians import Gaussians

ALPHA_MAX = 0.999
EVERYTHING = 1 << 30  # more Gaussians than a pixel ever has


class GsplatRasterizer:
    """The Rasterizer protocol on CUDA. Raises PluginError where there is no CUDA device or no gsplat."""

    name = "gsplat"

    def __init__(self, device: torch.device | str = "cuda") -> None:
        if not torch.cuda.is_available():
            raise PluginError(
                "The gsplat rasterizer needs a CUDA device and torch sees none; use the cpu rasterizer (--backend cpu)."
            )
        try:
            import gsplat
        except ImportError as error:
            raise PluginError(f"gsplat cannot be imported ({error}); install gsplat 1.5.3 or newer.") from error
        self._gsplat: Any = gsplat
        self.device = torch.device(device)

    def render(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        settings: RenderSettings,
        extras: RenderExtras = RenderExtras(),
    ) -> RenderOutput:
        """See Rasterizer.render."""
        check_inputs(gaussians, cameras, extras, self.device)
        check_finite(gaussians)
        cam_from_world = poses(cameras, extras, like=gaussians.means)
        mask = None if extras.pixel_mask is None else extras.pixel_mask[:, None].to(gaussians.means)
        degree = used_sh_degree(gaussians, settings)
        colours, alpha, meta = self._rasterize(gaussians, cameras, cam_from_world, settings, gaussians.sh, degree)
        background = colours.new_tensor(settings.background)[None, :, None, None]
        rgb, alpha = _planar(colours) + background * (1 - _planar(alpha)), _planar(alpha)
        if mask is not None:
            rgb, alpha = rgb * mask, alpha * mask
        if extras.screen_gradients is not None and meta["means2d"].requires_grad:
            _fill_after_backward(meta["means2d"], extras.screen_gradients)
        channels = self._channel_pass(gaussians, cameras, cam_from_world, settings, extras.features)
        if channels is not None and mask is not None:
            channels = channels * mask
        return self._output(rgb, alpha[:, 0], channels, meta, settings, mask, extras.features is not None)

    def render_stereo(
        self, gaussians: Gaussians, rig: StereoRig, settings: RenderSettings
    ) -> tuple[RenderOutput, RenderOutput]:
        """See Rasterizer.render_stereo."""
        with torch.no_grad():
            both = self.render(gaussians, [rig.left, rig.right], settings)
        return both.view(0), both.view(1)

    def _rasterize(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        cam_from_world: torch.Tensor,
        settings: RenderSettings,
        colours: torch.Tensor,
        sh_degree: int | None,
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        intrinsics = torch.from_numpy(np.stack([camera.intrinsics for camera in cameras])).to(gaussians.means)
        images, alpha, meta = self._gsplat.rasterization(
            means=gaussians.means, quats=gaussians.quats_wxyz, scales=gaussians.scales,
            opacities=gaussians.opacities, colors=colours, viewmats=cam_from_world, Ks=intrinsics,
            width=cameras[0].width, height=cameras[0].height, near_plane=settings.near, eps2d=settings.eps2d,
            sh_degree=sh_degree, packed=False, absgrad=True, render_mode="RGB",
            rasterize_mode="antialiased" if settings.antialiased else "classic",
        )  # fmt: skip
        return images, alpha, meta

    def _channel_pass(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        cam_from_world: torch.Tensor,
        settings: RenderSettings,
        features: torch.Tensor | None,
    ) -> Float[torch.Tensor, "c d h w"] | None:
        """The moments of z, then the features; None if there are none."""
        z = torch.einsum("ck,nk->cn", cam_from_world[:, 2, :3], gaussians.means) + cam_from_world[:, 2, 3, None]
        channels = [z[..., None] ** power for power in range(1, settings.depth_moments + 1)]
        if features is not None:
            channels.append(features.expand(len(cameras), -1, -1))
        if not channels:
            return None
        stacked = torch.cat(channels, dim=-1)
        return _planar(self._rasterize(gaussians, cameras, cam_from_world, settings, stacked, None)[0])

    def _output(
        self,
        rgb: torch.Tensor,
        alpha: torch.Tensor,
        channels: torch.Tensor | None,
        meta: dict[str, Any],
        settings: RenderSettings,
        mask: torch.Tensor | None,
        with_features: bool,
    ) -> RenderOutput:
        empty, moments = alpha.new_empty(len(alpha), 0, 0), settings.depth_moments
        median = empty
        if settings.median_depth:
            median = self._median_depth(meta)
            if mask is not None:
                median = median.where(mask[:, 0] > 0, torch.nan)
        return RenderOutput(
            rgb=rgb,
            alpha=alpha,
            z_sum=empty if channels is None or moments < 1 else channels[:, 0],
            z2_sum=empty if channels is None or moments < 2 else channels[:, 1],
            median_depth=median,
            radii_px=meta["radii"].amax(-1).to(alpha),
            features=channels[:, moments:] if channels is not None and with_features else None,
        )

    @torch.no_grad()
    def _median_depth(self, meta: dict[str, Any]) -> Float[torch.Tensor, "c h w"]:
        """z of the Gaussian that brings transmittance to one half, from the list of intersections of every pixel."""
        views, height, width = len(meta["means2d"]), meta["height"], meta["width"]
        means, conics, opacities = meta["means2d"], meta["conics"], meta["opacities"]
        gaussian, pixel, view = self._gsplat.rasterize_to_indices_in_range(
            0, EVERYTHING, torch.ones(views, height, width, device=self.device), means, conics, opacities,
            width, height, meta["tile_size"], meta["isect_offsets"], meta["flatten_ids"],
        )  # fmt: skip
        dx, dy = (torch.stack([pixel % width, pixel // width], dim=-1) + 0.5 - means[view, gaussian]).unbind(-1)
        a, b, c = conics[view, gaussian].unbind(-1)
        alpha = opacities[view, gaussian] * torch.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)
        # Transmittance as a running sum of logarithms that starts again at every pixel.
        logs = torch.log1p(-alpha.clamp_max(ALPHA_MAX)).double()
        total, ray = logs.cumsum(0), view * (height * width) + pixel
        first = torch.ones_like(ray, dtype=torch.bool)
        first[1:] = ray[1:] != ray[:-1]
        start = (total - logs)[first][first.cumsum(0) - 1]
        below = total - start <= np.log(0.5)
        crossing = below & ((total - logs - start) > np.log(0.5))
        median = torch.full((views * height * width,), torch.nan, device=self.device)
        median[ray[crossing]] = meta["depths"][view, gaussian][crossing]
        return median.reshape(views, height, width)


def _planar(images: Float[torch.Tensor, "c h w d"]) -> Float[torch.Tensor, "c d h w"]:
    return images.permute(0, 3, 1, 2)


def _fill_after_backward(centres: torch.Tensor, sink: ScreenGradients) -> None:
    """gsplat leaves the absolute gradient on its tensor of centres while it works backward."""

    def fill(gradient: torch.Tensor) -> None:
        sink.signed = gradient.detach()
        sink.absolute = getattr(centres, "absgrad", None) if sink.want_absolute else None

    centres.register_hook(fill)
