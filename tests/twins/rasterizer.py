"""The slow, obvious rasterizer: float64, no tiles, one global sort, gradients by autograd.

Every fast rasterizer is compared with it. It evaluates every Gaussian at every pixel, so keep N * pixels small.
Equations: Kerbl et al. 2023 (3D Gaussian splatting), Zwicker et al. 2001 (EWA splatting: the local affine projection),
Yu et al. 2024 (Mip-Splatting: the compensation factor), Sloan 2013 (spherical harmonics).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float

from gs_stereo.splat.raster.inputs import check_finite, check_inputs, poses, used_sh_degree
from gs_stereo.splat.raster.protocol import RenderExtras, RenderOutput, RenderSettings, ScreenGradients
from gs_stereo.splat.rotations import rotation_matrices
from gs_stereo.types import Camera, StereoRig
from gs_stereo.types.gaussians import Gaussians

ALPHA_MAX = 0.999
ALPHA_MIN = 1 / 255
TRANSMITTANCE_MIN = 1e-4
FRUSTUM_MARGIN = 0.3  # beyond this part of the field of view the Jacobian is that of its border


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """Gaussians on screen. conics: inverse 2D covariance as (a, b, c). radii_px: 0 where culled."""

    centres_px: Float[torch.Tensor, "n 2"]
    conics: Float[torch.Tensor, "n 3"]
    depths: Float[torch.Tensor, " n"]
    opacities: Float[torch.Tensor, " n"]
    colours: Float[torch.Tensor, "n 3"]
    radii_px: Float[torch.Tensor, " n"]


class ReferenceRasterizer:
    """The Rasterizer protocol in plain torch. Computes in float64, answers in the dtype of the Gaussians."""

    name = "reference"

    def __init__(self, device: torch.device | str = "cpu") -> None:
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
        dtype = gaussians.means.dtype
        gaussians = replace(gaussians, **{name: tensor.double() for name, tensor in gaussians.tensors().items()})
        cam_from_world = poses(cameras, extras, like=gaussians.means)
        if extras.screen_gradients is not None:
            zeros = gaussians.means.new_zeros(len(cameras), len(gaussians), 2)
            extras.screen_gradients.signed, extras.screen_gradients.absolute = zeros, zeros.clone()
        views = [
            _render_view(gaussians, camera, cam_from_world[index], index, settings, extras)
            for index, camera in enumerate(cameras)
        ]
        stacked = {key: torch.stack([view[key] for view in views]).to(dtype) for key in views[0]}
        return RenderOutput(**stacked)

    def render_stereo(
        self, gaussians: Gaussians, rig: StereoRig, settings: RenderSettings
    ) -> tuple[RenderOutput, RenderOutput]:
        """See Rasterizer.render_stereo."""
        with torch.no_grad():
            both = self.render(gaussians, [rig.left, rig.right], settings)
        return both.view(0), both.view(1)


def project(
    gaussians: Gaussians, camera: Camera, cam_from_world: Float[torch.Tensor, "4 4"], settings: RenderSettings
) -> Projection:
    """Centres, conics, opacities and colours on screen."""
    rotation, translation = cam_from_world[:3, :3], cam_from_world[:3, 3]
    means = gaussians.means @ rotation.T + translation
    in_front = means[:, 2] > settings.near
    means = torch.where(in_front[:, None], means, means.new_tensor([0.0, 0.0, 1.0]))
    fx, fy, cx, cy = (float(camera.intrinsics[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    x, y, z = means.unbind(-1)
    centres = torch.stack([fx * x / z + cx, fy * y / z + cy], dim=-1)

    margin_x, margin_y = FRUSTUM_MARGIN * camera.width / (2 * fx), FRUSTUM_MARGIN * camera.height / (2 * fy)
    slope_x = (x / z).clamp(-cx / fx - margin_x, (camera.width - cx) / fx + margin_x)
    slope_y = (y / z).clamp(-cy / fy - margin_y, (camera.height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([fx / z, zero, -fx * slope_x / z, zero, fy / z, -fy * slope_y / z], -1).reshape(-1, 2, 3)
    half = jacobian @ rotation @ (rotation_matrices(gaussians.quats_wxyz) * gaussians.scales[:, None, :])
    sharp = half @ half.transpose(1, 2)
    blurred = sharp + settings.eps2d * torch.eye(2).to(sharp)
    det_sharp, det = torch.linalg.det(sharp), torch.linalg.det(blurred)
    invertible = (det > 0) & det.isfinite()
    det = torch.where(invertible, det, 1.0)
    ratio = (det_sharp / det).clamp_min(0)
    compensation = torch.where(ratio > 0, ratio, 1.0).sqrt() * (ratio > 0)
    opacities = gaussians.opacities * (compensation if settings.antialiased else 1.0)
    conics = torch.stack([blurred[:, 1, 1], -blurred[:, 0, 1], blurred[:, 0, 0]], dim=-1) / det[:, None]

    centre_in_world = -rotation.T @ translation
    basis = sh_basis(gaussians.means - centre_in_world, used_sh_degree(gaussians, settings))
    colours = torch.einsum("nk,nkc->nc", basis, gaussians.sh[:, : basis.shape[1]])
    with torch.no_grad():
        reach = (2 * (opacities / ALPHA_MIN).clamp_min(1).log()).sqrt()  # in standard deviations
        extent = reach[:, None] * torch.stack([blurred[:, 0, 0], blurred[:, 1, 1]], dim=-1).sqrt()
        size = extent.new_tensor([camera.width, camera.height])
        on_screen = ((centres + extent > 0) & (centres - extent < size)).all(-1)
        visible = in_front & invertible & on_screen & (opacities >= ALPHA_MIN)
    return Projection(
        centres_px=centres,
        conics=conics,
        depths=z,
        opacities=opacities,
        colours=(colours + 0.5).clamp_min(0),
        radii_px=torch.where(visible, extent.amax(-1), 0.0),
    )


def sh_basis(directions: Float[torch.Tensor, "n 3"], degree: int) -> Float[torch.Tensor, "n k"]:
    """Real spherical harmonics up to `degree`, in gsplat's order and sign."""
    x, y, z = torch.nn.functional.normalize(directions, dim=-1).unbind(-1)
    basis = [torch.full_like(x, 0.2820947917738781)]
    if degree >= 1:
        basis += [-0.48860251190292 * y, 0.48860251190292 * z, -0.48860251190292 * x]
    if degree >= 2:
        basis += [
            1.092548430592079 * x * y, -1.092548430592079 * y * z, 0.9461746957575601 * z * z - 0.3153915652525201,
            -1.092548430592079 * x * z, 0.5462742152960395 * (x * x - y * y),
        ]  # fmt: skip
    if degree >= 3:
        basis += [
            -0.5900435899266435 * y * (3 * x * x - y * y), 2.890611442640554 * x * y * z,
            y * (0.4570457994644658 - 2.285228997322329 * z * z), z * (1.865881662950577 * z * z - 1.119528997770346),
            x * (0.4570457994644658 - 2.285228997322329 * z * z), 1.445305721320277 * z * (x * x - y * y),
            -0.5900435899266435 * x * (x * x - 3 * y * y),
        ]  # fmt: skip
    return torch.stack(basis, dim=-1)


def _render_view(
    gaussians: Gaussians,
    camera: Camera,
    cam_from_world: torch.Tensor,
    index: int,
    settings: RenderSettings,
    extras: RenderExtras,
) -> dict[str, torch.Tensor]:
    projection = project(gaussians, camera, cam_from_world, settings)
    visible = projection.radii_px.nonzero().squeeze(1)
    order = visible[projection.depths[visible].argsort(stable=True)]
    height, width = camera.height, camera.width
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([columns, rows], dim=-1).reshape(1, -1, 2).to(gaussians.means) + 0.5
    mask = torch.ones(height * width, dtype=torch.bool)
    if extras.pixel_mask is not None:
        mask = extras.pixel_mask[index].reshape(-1)

    # One centre for every (Gaussian, pixel), so that a hook sees the gradient of each pixel on its own.
    centres = projection.centres_px[order, None, :].expand(-1, height * width, -1)
    if extras.screen_gradients is not None and centres.requires_grad:
        centres.register_hook(_filler(extras.screen_gradients, index, order))
    dx, dy = (pixels - centres).unbind(-1)
    a, b, c = projection.conics[order, :, None].unbind(1)
    alpha = projection.opacities[order, None] * torch.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)
    alpha = alpha.clamp_max(ALPHA_MAX) * (alpha >= ALPHA_MIN) * mask

    behind = torch.cumprod(1 - alpha, dim=0)
    composited = behind > TRANSMITTANCE_MIN
    alpha = alpha * composited
    transmittance = torch.cat([alpha.new_ones(1, height * width), torch.cumprod(1 - alpha, dim=0)])
    weights = transmittance[:-1] * alpha

    def composite(values: torch.Tensor) -> torch.Tensor:
        return (weights.T @ values[order]).T.reshape(-1, height, width)

    z = projection.depths[:, None]
    background = weights.new_tensor(settings.background)[:, None, None]
    final = transmittance[-1].reshape(height, width)
    result = {
        "rgb": composite(projection.colours) + background * (final * mask.reshape(height, width)),
        "alpha": 1 - final,
        "z_sum": composite(z)[0],
        "z2_sum": composite(z * z)[0],
        "median_depth": _median_depth(transmittance.detach(), projection.depths.detach()[order]).reshape(height, width),
        "radii_px": projection.radii_px,
    }
    empty = weights.new_zeros(0, 0)
    if settings.depth_moments < 2:
        result["z2_sum"] = empty
    if settings.depth_moments < 1:
        result["z_sum"] = empty
    if not settings.median_depth:
        result["median_depth"] = empty
    if extras.features is not None:
        result["features"] = composite(extras.features.to(weights))
    return result


def _median_depth(transmittance: torch.Tensor, depths: torch.Tensor) -> torch.Tensor:
    crossing = (transmittance[:-1] > 0.5) & (transmittance[1:] <= 0.5)
    median = (crossing * depths[:, None]).sum(0)
    return torch.where(crossing.any(0), median, torch.nan)


def _filler(sink: ScreenGradients, index: int, order: torch.Tensor) -> Callable[[torch.Tensor], None]:
    def fill(gradient: torch.Tensor) -> None:
        assert sink.signed is not None
        assert sink.absolute is not None
        sink.signed[index, order] = gradient.sum(1)
        sink.absolute[index, order] = gradient.abs().sum(1)

    return fill
