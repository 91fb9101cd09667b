"""Which stereo pairs to render: a list of independent units, made from the cameras alone, in a fixed order."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gs_stereo.core.hashing import sha256_text, unit_seed
from gs_stereo.datasets.schema import check_sizes
from gs_stereo.errors import InputError
from gs_stereo.geometry.trajectories import interpolated_cameras, neighbours, perturbed_camera
from gs_stereo.geometry.view_selection import common_size, fitted_to_size
from gs_stereo.io.rigs import Rig, read_rig
from gs_stereo.io.view_files import read_view_file
from gs_stereo.log import logger
from gs_stereo.splat.pairs_config import PairsConfig
from gs_stereo.splat.stack_planner import stack_centres, stack_places
from gs_stereo.types import Camera, SparseScene

_MAX_ID_LENGTH = 80
_DOFFS_PX = 0.05
_USUAL_STACKS = 20
"""At most, of a scene, in arXiv 2512.10959."""


@dataclass(frozen=True)
class TargetDisparity:
    """Stands for the baseline that gives the view this median disparity in pixels."""

    median_px: float


@dataclass(frozen=True, kw_only=True, eq=False)
class PairPlan:
    """One pair to render.

    baseline: in scene units, or the disparity that it is chosen by once the left depth is known.
    left: the left camera at the output size. extra_offsets: of an N-view stack, in multiples of the baseline; of a
    whole stack they rise from -1 to 1 with 0 for the left eye itself.
    sample_id: unique, plain ASCII, safe as a folder name on every file system.
    """

    sample_id: str
    view_id: str
    left: Camera
    baseline: float | TargetDisparity
    extra_offsets: tuple[float, ...] = ()


def plan_pairs(scene: SparseScene, config: PairsConfig, seed: int) -> list[PairPlan]:
    """Every pair that `config` asks for, view by view. Cheap; the same arguments give the same plans.

    Raises InputError if there are no views to make, or the file of views is wrong.
    """
    if config.stack_views:
        return _plan_stacks(scene, config, seed)
    views, rig = _views(scene, config, seed), read_rig(Path(config.rig)) if config.rig else None
    width, height = (rig.width, rig.height) if rig else common_size(views, config.width, config.height)
    lengths = config.baselines
    if rig and not (lengths or config.target_disparity_px):
        lengths = (_length_of(rig, scene),)
    baselines: dict[str, float | TargetDisparity] = {f"b{baseline!r}": baseline for baseline in lengths}
    baselines |= {f"d{target:.10g}": TargetDisparity(target) for target in config.targets_px(width)}
    return [
        PairPlan(
            sample_id=f"{safe_name}_{suffix}",
            view_id=view.name,
            left=rig.at(view) if rig else fitted_to_size(view, width, height),
            baseline=baseline,
            extra_offsets=config.extra_offsets,
        )
        for view, safe_name in zip(views, safe_names([view.name for view in views]), strict=True)
        for suffix, baseline in baselines.items()
    ]


def _length_of(rig: Rig, scene: SparseScene) -> float:
    """The rig's baseline in scene units. Warns of principal points that differ: ours are one."""
    if scene.metres_per_unit is None:
        raise InputError(
            f"The rig has a baseline of {rig.baseline_m:g} m, but the scene has no scale; give it one (reconstruct "
            "--known-distance or --metres-per-unit), or choose --baseline or --target-disparity."
        )
    if abs(rig.doffs_px) > _DOFFS_PX:
        logger.warning(
            "The principal points of the rig differ by %.2f px (doffs); pairs have both at the left one, so that "
            "disparity = f b / depth, which is %.2f px more than that of the camera's own pairs.",
            *(rig.doffs_px, rig.doffs_px),
        )
    return rig.baseline_m / scene.metres_per_unit


def _plan_stacks(scene: SparseScene, config: PairsConfig, seed: int) -> list[PairPlan]:
    """Stacks as pairs of their middle view and the right end, with all of their views beside."""
    cameras = _views(scene, config, seed)
    if config.views != "file":
        cameras = stack_centres(cameras, config, config.view_count or _USUAL_STACKS, seed)
    width, height = common_size(cameras, config.width, config.height)
    try:
        check_sizes({"h": height, "w": width, "v": config.stack_views})
    except ValueError as error:
        raise InputError(f"Stacks of the photos' size do not fit a data set: {error}.") from error
    plans = []
    for view, name in zip(cameras, safe_names([view.name for view in cameras]), strict=True):
        rng = np.random.default_rng(unit_seed(seed, f"stack {view.name}"))
        left = fitted_to_size(view, width, height)
        intrinsics = left.intrinsics.astype(np.float64)
        intrinsics[[0, 1], [0, 1]] *= 1 + config.stack_focal_jitter * rng.uniform(-1, 1)
        plans.append(
            PairPlan(
                sample_id=f"{name}_v{config.stack_views}",
                view_id=view.name,
                left=replace(left, intrinsics=intrinsics),
                baseline=TargetDisparity(config.stack_reach * float(intrinsics[0, 0])),
                extra_offsets=stack_places(config.stack_views, rng),
            )
        )
    return plans


def _views(scene: SparseScene, config: PairsConfig, seed: int) -> Sequence[Camera]:
    """The left cameras before cropping."""
    if config.views == "file":
        return read_view_file(Path(config.views_file or ""))
    if not scene.cameras:
        raise InputError(
            "There are no photos or cameras to take views from; give `--views FILE`: cameras.json of 3DGS, "
            "transforms.json, the folder of a COLMAP model, or gs_stereo.views."
        )
    count = config.view_count or len(scene.cameras)
    if config.views == "interpolate":
        return interpolated_cameras(scene.cameras, count)
    if config.views == "perturb":
        return _perturbed(scene.cameras, count, config, seed)
    return scene.cameras


def _perturbed(cameras: Sequence[Camera], count: int, config: PairsConfig, seed: int) -> list[Camera]:
    """`count` views near photos. Fewer views than photos are spread over the capture; more go round again."""
    near = neighbours(cameras)
    magnitude = (config.perturb_position, config.perturb_rotation)
    views = []
    for number in range(count):
        name = f"perturb_{number:05d}"
        index = number % len(cameras) if count >= len(cameras) else number * len(cameras) // count
        rng = np.random.default_rng(unit_seed(seed, name))
        view = perturbed_camera(cameras[index], [cameras[other] for other in near[index]], magnitude, rng)
        views.append(replace(view, name=name))
    return views


def safe_names(names: Sequence[str]) -> list[str]:
    """A file-system-safe ASCII name for each name: the stem where that is safe and unique, else stem and a hash.

    Uniqueness ignores case, as some file systems do.
    """
    stems = [re.sub(r"\.[A-Za-z0-9]{1,5}$", "", name) for name in names]
    cleaned = [re.sub(r"^-|[^A-Za-z0-9_-]+", "_", stem)[:_MAX_ID_LENGTH] for stem in stems]
    times = Counter(clean.lower() for clean in cleaned)
    return [
        clean if clean == stem and times[clean.lower()] == 1 else f"{clean}-{sha256_text(name)[:10]}"
        for name, stem, clean in zip(names, stems, cleaned, strict=True)
    ]
