"""The first Gaussians: one at every SfM point, and more where random pixels of the photos lie in space.

Small captures have few SfM points (some hundred), so random pixels of the photos are added. Their depth comes from a
plane sweep over neighbouring photos: confirmed depth, and a guess where no photo confirms it. In a photo that could not
be swept it is interpolated from the nearest SfM points, weighted by inverse squared distance. All get the size of their
surroundings: the mean distance to the three nearest neighbours.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, UInt8

from gs_stereo.core.hashing import unit_seed
from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import pixel_index
from gs_stereo.geometry.projection import project_seen, unproject
from gs_stereo.mvs.first_depth import FirstDepth
from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.sh import dc_from_rgb
from gs_stereo.types import SparseScene
from gs_stereo.types.gaussians import Gaussians
from gs_stereo.types.photo_source import PhotoSource, mask_of

_EXTENT_MARGIN = 1.1
_LEAST_EXTENT_IN_DEPTHS = 0.1
_NEIGHBOURS = 3
_DEPTH_NEIGHBOURS = 4
_FEWEST_POINTS = 4
_FLANN_EXACT_KDTREE = 4
_FLANN_UNLIMITED = -1


def scene_extent(scene: SparseScene) -> float:
    """Radius of the camera positions times 1.1 (as gsplat), in scene units; it scales the rates of the centres.

    At least a tenth of the median depth, for captures whose cameras (nearly) coincide.
    """
    centres = np.stack([camera.centre_in_world for camera in scene.cameras])
    spread = float(np.linalg.norm(centres - centres.mean(axis=0), axis=1).max())
    offsets = scene.points.xyz_in_world - centres.mean(axis=0)
    typical_depth = float(np.median(np.linalg.norm(offsets, axis=-1))) if len(scene.points) else 1.0
    return max(_EXTENT_MARGIN * spread, _LEAST_EXTENT_IN_DEPTHS * typical_depth)


def initial_gaussians(
    scene: SparseScene, photos: PhotoSource, swept: Mapping[str, FirstDepth], config: FitConfig, seed: int
) -> Gaussians:
    """Gaussians at the SfM points and at random pixels of the scene's photos, float32 on the CPU.

    swept: rough depth maps by camera name, as far as there are any.
    """
    if len(scene.points) < _FEWEST_POINTS:
        raise InputError(
            f"The scene has {len(scene.points)} 3D points, too few to start a splat; use photos that overlap more."
        )
    sampled_xyz, sampled_rgb = pixel_points(scene, photos, swept, config.init.pixels, seed)
    xyz = np.concatenate([scene.points.xyz_in_world, sampled_xyz])
    rgb = np.concatenate([scene.points.rgb, sampled_rgb])
    finite = np.isfinite(xyz).all(axis=1)
    return gaussians_at(xyz[finite], rgb[finite], config)


def gaussians_at(xyz_in_world: Float[np.ndarray, "n 3"], rgb: UInt8[np.ndarray, "n 3"], config: FitConfig) -> Gaussians:
    """Round Gaussians of one opacity and one colour from every side, as large as the mean distance to neighbours."""
    count = len(xyz_in_world)
    scale = config.init.scale_factor * neighbour_distance(xyz_in_world)
    opacity = config.init.opacity
    return Gaussians(
        means=torch.from_numpy(xyz_in_world.astype(np.float32)),
        quats_wxyz=torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1),
        log_scales=torch.from_numpy(np.log(scale).astype(np.float32))[:, None].repeat(1, 3),
        opacity_logits=torch.full((count,), math.log(opacity / (1 - opacity))),
        sh=dc_from_rgb(torch.from_numpy(rgb.astype(np.float32) / 255))[:, None],
    )


def neighbour_distance(xyz: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
    """Mean distance to the three nearest other points; points that coincide get a small positive distance."""
    import cv2

    count = min(_NEIGHBOURS + 1, len(xyz))
    points = (xyz - xyz.mean(axis=0)).astype(np.float32)
    index = cv2.flann.Index(points, {"algorithm": _FLANN_EXACT_KDTREE})
    _, squared = index.knnSearch(points, count, params={"checks": _FLANN_UNLIMITED})
    mean = np.sqrt(squared[:, 1:].astype(np.float64)).mean(axis=1)
    positive = mean[mean > 0]
    floor = 1e-3 * float(np.median(positive)) if len(positive) else 1e-3
    return np.maximum(mean, floor)


def pixel_points(
    scene: SparseScene, photos: PhotoSource, swept: Mapping[str, FirstDepth], count: int, seed: int
) -> tuple[Float[np.ndarray, "m 3"], UInt8[np.ndarray, "m 3"]]:
    """About `count` random pixels of the photos as coloured points, fewer where parts are cut out."""
    per_view = count // len(scene.cameras)
    xyz: list[np.ndarray] = [np.zeros((0, 3))]
    rgb: list[np.ndarray] = [np.zeros((0, 3), np.uint8)]
    for number, camera in enumerate(scene.cameras):
        sparse_xy, sparse_depth = project_seen(scene, number)
        if len(sparse_depth) < _DEPTH_NEIGHBOURS or per_view == 0:
            continue
        random = np.random.default_rng(unit_seed(seed, f"pixels/{camera.name}"))
        image_xy = random.uniform(0, 1, (per_view, 2)) * [camera.width, camera.height]
        if camera.name in swept:
            depth = swept[camera.name].guess_at(camera, image_xy)
        else:
            depth = interpolate_depth(image_xy, sparse_xy, sparse_depth)
        column, row = pixel_index(image_xy).T
        mask = mask_of(photos, camera.name)
        shown = slice(None) if mask is None else mask[row, column]
        xyz.append(unproject(camera, image_xy, depth)[shown])
        rgb.append(photos(camera.name)[row, column][shown])
    return np.concatenate(xyz), np.concatenate(rgb)


def interpolate_depth(
    image_xy: Float[np.ndarray, "m 2"], sparse_xy: Float[np.ndarray, "s 2"], sparse_depth: Float[np.ndarray, "s"]
) -> Float[np.ndarray, "m"]:
    """Inverse depth of the four nearest sparse points, averaged with weights 1 / squared distance."""
    distance = torch.cdist(torch.from_numpy(image_xy), torch.from_numpy(sparse_xy))
    nearest, index = distance.topk(min(_DEPTH_NEIGHBOURS, len(sparse_depth)), largest=False)
    weight = 1 / (nearest.square() + 1.0)
    inverse = torch.from_numpy(1 / sparse_depth)[index]
    return ((weight.sum(-1)) / (weight * inverse).sum(-1)).numpy()
