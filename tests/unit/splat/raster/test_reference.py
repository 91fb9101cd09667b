"""The float64 twin against cases with a known answer, and against gsplat's own torch functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from builders import camera_at, make_gaussians, random_scene
from twins.rasterizer import ReferenceRasterizer, project, sh_basis

from gs_stereo.splat.raster.protocol import RenderExtras, RenderSettings
from gs_stereo.types.gaussians import Gaussians

SH0 = 0.2820947917738781
FRONTAL = camera_at("frontal", size=(9, 7), focal_px=20.0)


def balls(depths: list[float], opacities: list[float], colours: list[list[float]], scale: float = 0.5) -> Gaussians:
    """Isotropic Gaussians on the optical axis."""
    means = [[0, 0, depth] for depth in depths]
    logits = torch.tensor(opacities, dtype=torch.float64).logit()
    sh = (np.array(colours)[:, None, :] - 0.5) / SH0
    return make_gaussians(means, scale=scale, opacity_logit=logits, sh=sh, dtype=torch.float64)


def test_one_gaussian_by_hand() -> None:
    out = ReferenceRasterizer().render(
        balls([4.0], [0.6], [[0.2, 0.5, 0.9]]), [FRONTAL], RenderSettings(antialiased=False)
    )
    variance = (20 * 0.5 / 4) ** 2 + 0.3
    rows, columns = torch.meshgrid(torch.arange(7) + 0.5 - 3.5, torch.arange(9) + 0.5 - 4.5, indexing="ij")
    alpha = 0.6 * torch.exp(-(rows**2 + columns**2).double() / (2 * variance))
    alpha = alpha * (alpha >= 1 / 255)
    torch.testing.assert_close(out.alpha[0], alpha, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(
        out.rgb[0], torch.tensor([0.2, 0.5, 0.9]).double()[:, None, None] * alpha, rtol=1e-6, atol=1e-8
    )
    torch.testing.assert_close(out.z_sum[0], 4 * alpha, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(out.z2_sum[0], 16 * alpha, rtol=1e-6, atol=1e-8)
    assert float(out.median_depth[0, 3, 4]) == pytest.approx(4.0)
    assert math.isnan(out.median_depth[0, 0, 0])
    reach = math.sqrt(2 * math.log(0.6 * 255) * variance)
    assert float(out.radii_px[0, 0]) == pytest.approx(reach)


def test_front_to_back_with_background() -> None:
    colours = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    settings = RenderSettings(antialiased=False, background=(0.0, 0.0, 1.0))
    out = ReferenceRasterizer().render(balls([6.0, 3.0], [0.5, 0.25], colours), [FRONTAL], settings)
    torch.testing.assert_close(out.rgb[0, :, 3, 4], torch.tensor([0.75 * 0.5, 0.25, 0.375]).double())
    assert float(out.z_sum[0, 3, 4]) == pytest.approx(0.25 * 3 + 0.375 * 6)
    assert float(out.median_depth[0, 3, 4]) == pytest.approx(6.0)


def test_stops_before_transmittance_is_used_up() -> None:
    out = ReferenceRasterizer().render(
        balls([1.0, 2.0, 3.0], [0.99999, 0.95, 0.5], [[1.0] * 3] * 3), [FRONTAL], RenderSettings(antialiased=False)
    )
    # 0.999 leaves 1e-3, then 0.95 would leave 5e-5 < 1e-4: it and what is behind it are not drawn.
    assert float(out.alpha[0, 3, 4]) == pytest.approx(0.999)


def test_mask_and_features() -> None:
    mask = torch.ones(1, 7, 9, dtype=torch.bool)
    mask[0, 3, 4] = False
    extras = RenderExtras(features=torch.tensor([[2.0, -1.0]]).double(), pixel_mask=mask)
    settings = RenderSettings(antialiased=False, background=(0.3, 0.3, 0.3))
    out = ReferenceRasterizer().render(balls([4.0], [0.6], [[1.0] * 3]), [FRONTAL], settings, extras)
    assert out.features is not None
    assert float(out.alpha[0, 3, 4]) == 0
    assert out.rgb[0, :, 3, 4].abs().max() == 0
    torch.testing.assert_close(out.features[0, 0], 2 * out.alpha[0])
    torch.testing.assert_close(out.features[0, 1], -out.alpha[0])


@pytest.mark.parametrize("antialiased", [False, True])
def test_projection_equals_gsplat(antialiased: bool) -> None:
    torch_impl = pytest.importorskip("gsplat.cuda._torch_impl")
    gaussians, camera = random_scene(200, 64, 48, dtype=torch.float64)
    settings = RenderSettings(antialiased=antialiased)
    pose = torch.from_numpy(camera.cam_from_world)
    ours = project(gaussians, camera, pose, settings)
    covariances, _ = torch_impl._quat_scale_to_covar_preci(gaussians.quats_wxyz, gaussians.scales, True, False)
    radii, centres, depths, conics, compensations = torch_impl._fully_fused_projection(
        gaussians.means, covariances, pose[None], torch.from_numpy(camera.intrinsics)[None], 64, 48, settings.eps2d,
        calc_compensations=antialiased,
    )  # fmt: skip
    seen = radii[0].amax(-1) > 0
    assert (ours.radii_px[~seen] == 0).all()
    torch.testing.assert_close(ours.centres_px[seen], centres[0][seen])
    torch.testing.assert_close(ours.conics[seen], conics[0][seen])
    torch.testing.assert_close(ours.depths[seen], depths[0][seen])
    scale = compensations[0] if antialiased else 1.0
    torch.testing.assert_close(ours.opacities[seen], (gaussians.opacities * scale)[seen])


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_spherical_harmonics_equal_gsplat(degree: int) -> None:
    torch_impl = pytest.importorskip("gsplat.cuda._torch_impl")
    directions = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(degree))
    coefficients = torch.randn(50, 16, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    ours = torch.einsum("nk,nkc->nc", sh_basis(directions, degree), coefficients[:, : (degree + 1) ** 2])
    torch.testing.assert_close(ours, torch_impl._spherical_harmonics(degree, directions, coefficients))
