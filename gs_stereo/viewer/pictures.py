"""What the viewer draws, as arrays: coloured label points, splat covariances, wire frames of rigs, picture strips."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8

from gs_stereo.datasets.schema import ShardSample
from gs_stereo.geometry.projection import unproject, unproject_depth_map
from gs_stereo.imaging.colour_maps import DARK, colour_table, coloured, shown_range
from gs_stereo.splat.rotations import rotation_matrices
from gs_stereo.splat.sh import rgb_from_dc
from gs_stereo.types import Camera, StereoRig
from gs_stereo.types.gaussians import Gaussians

Colouring = Literal["confidence", "image"]
_LARGEST_HALF = 6e4
_LEFT_COLOUR, _RIGHT_COLOUR, _BASELINE_COLOUR = (56, 132, 255), (255, 92, 72), (255, 200, 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class ColouredPoints:
    """Points in the world with a colour each."""

    xyz_in_world: Float[np.ndarray, "n 3"]
    rgb: UInt8[np.ndarray, "n 3"]

    def __len__(self) -> int:
        return len(self.xyz_in_world)


@dataclass(frozen=True, kw_only=True, eq=False)
class PlainSplat:
    """Gaussians as a browser draws them: one colour from every side. Covariances in square scene units."""

    means: Float[np.ndarray, "n 3"]
    covariances: Float[np.ndarray, "n 3 3"]
    rgb: Float[np.ndarray, "n 3"]
    opacities: Float[np.ndarray, "n 1"]


def label_points(sample: ShardSample, least_confidence: float, colouring: Colouring, max_points: int) -> ColouredPoints:
    """The labelled pixels of a sample with at least this confidence (0 to 1), thinned evenly to `max_points`."""
    points = unproject_depth_map(sample.rig.left, sample.depth)
    kept = np.isfinite(points).all(axis=-1) & (sample.confidence >= least_confidence * 255)
    chosen = np.flatnonzero(kept)
    chosen = chosen[:: max(1, -(-len(chosen) // max_points))]
    colours = sample.left if colouring == "image" else colour_table("cividis")[sample.confidence]
    return ColouredPoints(xyz_in_world=points.reshape(-1, 3)[chosen], rgb=colours.reshape(-1, 3)[chosen])


def disparity_colours(disparity: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Far is blue, near is red (turbo), stretched over the 1st to 99th percentile; dark grey where there is none."""
    return coloured(disparity, *shown_range(disparity), "turbo", DARK)


def plain_splat(gaussians: Gaussians, max_gaussians: int, display_per_unit: float) -> PlainSplat:
    """The most visible Gaussians (opacity times area), in display units, with their colour of degree 0."""
    with torch.no_grad():
        scales = gaussians.scales * display_per_unit
        if len(gaussians) > max_gaussians:
            weight = gaussians.opacities * scales.sort(dim=1).values[:, 1:].prod(dim=1)
            index = weight.topk(max_gaussians).indices.sort().values
            gaussians, scales = gaussians.select(index), scales[index]
        axes = rotation_matrices(gaussians.quats_wxyz) * scales[:, None, :]
        covariances = (axes @ axes.transpose(1, 2)).nan_to_num(0.0).clamp(-_LARGEST_HALF, _LARGEST_HALF)
        return PlainSplat(
            means=(gaussians.means * display_per_unit).cpu().numpy(),
            covariances=covariances.cpu().numpy(),
            rgb=rgb_from_dc(gaussians.sh[:, 0]).clamp(0.0, 1.0).cpu().numpy(),
            opacities=gaussians.opacities[:, None].cpu().numpy(),
        )


def rig_lines(
    rigs: tuple[StereoRig, ...], depth: float
) -> tuple[Float[np.ndarray, "n 2 3"], UInt8[np.ndarray, "n 2 3"]]:
    """Line segments in the world, with colours: a pyramid of this depth for each eye, and the baseline between them."""
    lines, colours = [], []
    for rig in rigs:
        eyes = (rig.left, rig.right)
        lines += [*_pyramid(eyes[0], depth), *_pyramid(eyes[1], depth), np.stack([e.centre_in_world for e in eyes])]
        colours += [_LEFT_COLOUR] * 8 + [_RIGHT_COLOUR] * 8 + [_BASELINE_COLOUR]
    both_ends = np.repeat(np.array(colours, dtype=np.uint8).reshape(-1, 1, 3), 2, axis=1)
    return np.array(lines, dtype=np.float64).reshape(-1, 2, 3), both_ends


def _pyramid(camera: Camera, depth: float) -> list[Float[np.ndarray, "2 3"]]:
    """Four edges from the eye, four around the image."""
    corners_xy = np.array([[0.0, 0.0], [camera.width, 0.0], [camera.width, camera.height], [0.0, camera.height]])
    corners = unproject(camera, corners_xy, np.full(4, depth))
    around = [np.stack([corners[i], corners[(i + 1) % 4]]) for i in range(4)]
    return [*(np.stack([camera.centre_in_world, corner]) for corner in corners), *around]
