"""What every rasterizer takes and gives. `cpu` and `gsplat` implement it; tests compare both with a slow twin.

Semantics are gsplat's: EWA projection with eps2d, SH colour + 0.5 clamped at 0, alpha clamped at 0.999 and dropped
under 1/255, a pixel stops before transmittance would fall to 1e-4, depth is z in the camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol

import torch
from jaxtyping import Bool, Float

from gs_stereo.plugins import Registry
from gs_stereo.types import Camera, StereoRig
from gs_stereo.types.gaussians import Gaussians


@dataclass(frozen=True, kw_only=True)
class RenderSettings:
    """How to render, apart from what and from where.

    sh_degree: highest degree used (None = all there is). antialiased: scale opacity by the compensation factor of
    Mip-Splatting. background: RGB behind the last Gaussian. near: Gaussians with z <= near are culled.
    eps2d: added to the diagonal of the projected covariance, in square pixels.
    depth_moments: 2 = z_sum and z2_sum, 1 = z_sum, 0 = neither. median_depth: whether it is wanted. What is not wanted
    costs nothing and comes out empty, of shape (C, 0, 0): a trainer without a depth term asks for 0 and False.
    """

    sh_degree: int | None = None
    antialiased: bool = True
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    near: float = 0.01
    eps2d: float = 0.3
    depth_moments: Literal[0, 1, 2] = 2
    median_depth: bool = True


@dataclass(kw_only=True, eq=False)
class ScreenGradients:
    """A sink that `backward()` fills: gradients of the loss by the projected centres, in pixels.

    signed: sum over pixels, (C, N, 2). absolute: sum of the absolute value of every pixel's part (AbsGS, Ye et al.
    2024); set `want_absolute=False` to do without it and save time.
    """

    want_absolute: bool = True

    signed: Float[torch.Tensor, "c n 2"] | None = None
    absolute: Float[torch.Tensor, "c n 2"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderExtras:
    """Optional inputs.

    features: per-Gaussian channels composited like colour (differentiable). cam_from_world: replaces the cameras'
    poses by a tensor that may require grad (the camera centre is taken as -R^T t). screen_gradients: filled in by
    backward. pixel_mask: pixels that are False are not rendered and get zero colour, zero alpha and no gradient.
    """

    features: Float[torch.Tensor, "n f"] | None = None
    cam_from_world: Float[torch.Tensor, "c 4 4"] | None = None
    screen_gradients: ScreenGradients | None = None
    pixel_mask: Bool[torch.Tensor, "c h w"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderOutput:
    """Images of C cameras. rgb, alpha, z_sum, z2_sum and features are differentiable; the rest is not.

    rgb: colour over the background, not clamped above. alpha: 1 - final transmittance.
    z_sum, z2_sum: composited z and z^2, NOT normalised by alpha (`expected_depth` and `depth_variance` are).
    median_depth: z of the Gaussian at which transmittance falls to 0.5 or below; NaN where it never does.
    radii_px: the larger half side of the box in which a Gaussian's alpha reaches 1/255, 0 = not visible.
    """

    rgb: Float[torch.Tensor, "c 3 h w"]
    alpha: Float[torch.Tensor, "c h w"]
    z_sum: Float[torch.Tensor, "c h w"]
    z2_sum: Float[torch.Tensor, "c h w"]
    median_depth: Float[torch.Tensor, "c h w"]
    radii_px: Float[torch.Tensor, "c n"]
    features: Float[torch.Tensor, "c f h w"] | None = None

    def view(self, index: int) -> RenderOutput:
        """The images of one camera, as an output with C = 1."""
        values: dict[str, Any] = {}
        for item in fields(self):
            images = getattr(self, item.name)
            values[item.name] = None if images is None else images[index, None]
        return RenderOutput(**values)

    @property
    def visible(self) -> Bool[torch.Tensor, "c n"]:
        return self.radii_px > 0

    @property
    def expected_depth(self) -> Float[torch.Tensor, "c h w"]:
        """Alpha-normalised mean z; NaN where alpha is 0."""
        return self.z_sum / self.alpha.where(self.alpha > 0, torch.nan)

    @property
    def depth_variance(self) -> Float[torch.Tensor, "c h w"]:
        """Alpha-normalised variance of z along the ray, never negative; NaN where alpha is 0."""
        second = self.z2_sum / self.alpha.where(self.alpha > 0, torch.nan)
        return (second - self.expected_depth.square()).clamp_min(0.0)


class Rasterizer(Protocol):
    """Renders Gaussians. All cameras of one call share width and height.

    Culled: z <= near, alpha under 1/255 everywhere, off screen, or a projected covariance that is not invertible. A
    zero quaternion is no rotation. Raises InputError if a parameter holds NaN or infinity, or the tensors are on
    another device.
    """

    name: str
    device: torch.device

    def render(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        settings: RenderSettings,
        extras: RenderExtras = RenderExtras(),
    ) -> RenderOutput:
        """Differentiable where grad mode is on and an input requires grad; else forward only and cheaper."""
        ...

    def render_stereo(
        self, gaussians: Gaussians, rig: StereoRig, settings: RenderSettings
    ) -> tuple[RenderOutput, RenderOutput]:
        """Left and right eye; the work that both need is done once. Forward only."""
        ...


RASTERIZERS: Registry[type[Rasterizer]] = Registry(
    kind="rasterizer",
    builtin={
        "cpu": "gs_stereo.splat.raster.cpu:CpuRasterizer",
        "gsplat": "gs_stereo.splat.raster.gsplat:GsplatRasterizer",
    },
    install_hints={"gsplat": "install gsplat on a machine with CUDA"},
)
