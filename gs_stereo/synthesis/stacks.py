"""What a model that makes second eyes is trained on: a source view and targets on its x axis, from stacks and pairs.

Draw n of a run is fixed by (seed, n) alone. Every view of a stack is a source, every other one a target, so that both
directions are learnt. Disparities are signed: x_source - x_target, negative for a target to the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32
from torch.utils.data import Dataset

from gs_stereo.core.hashing import unit_seed
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.errors import InputError
from gs_stereo.synthesis.rays import RayCells
from gs_stereo.synthesis.train_config import SynthesisTrainConfig
from gs_stereo.synthesis.warp import warped_condition
from gs_stereo.training.data import SplitData, plan_draws


@dataclass(frozen=True, kw_only=True, eq=False)
class Views:
    """Rectified views with one camera matrix. images: [-1, 1]. offsets, depth (NaN = unknown): one unit of length."""

    images: Float32[np.ndarray, "v h w 3"]
    depth: Float32[np.ndarray, "v h w"]
    offsets: Float[np.ndarray, "v"]
    intrinsics: Float[np.ndarray, "3 3"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SynthesisDraw:
    """A source and k targets. baselines: in the model's unit. Disparities: px, NaN = unknown.

    warped: the source moved by its depth, and its holes, where a model is given that.
    """

    source: Float32[np.ndarray, "3 h w"]
    targets: Float32[np.ndarray, "k 3 h w"]
    baselines: Float32[np.ndarray, "k"]
    intrinsics: Float[np.ndarray, "3 3"]
    of_source_px: Float32[np.ndarray, "k 1 h w"]
    of_target_px: Float32[np.ndarray, "k 1 h w"]
    warped: Float32[np.ndarray, "k 4 h w"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SynthesisBatch:
    """b draws of k targets on one device; target n belongs to source n // k. Ray maps as `ray_map` gives them."""

    source: Float[torch.Tensor, "b 3 h w"]
    targets: Float[torch.Tensor, "bk 3 h w"]
    source_rays: Float[torch.Tensor, "b 6 hl wl"]
    target_rays: Float[torch.Tensor, "bk 6 hl wl"]
    of_source_px: Float[torch.Tensor, "bk 1 h w"]
    of_target_px: Float[torch.Tensor, "bk 1 h w"]
    warped: Float[torch.Tensor, "bk 4 h w"] | None = None

    def to(self, device: torch.device) -> SynthesisBatch:
        tensors = {name: value.to(device) for name, value in vars(self).items() if value is not None}
        return SynthesisBatch(**tensors)


def views_of(sample: ShardSample, unit_in_metres: float | None) -> Views:
    """The views of a stored stack, or both eyes of a pair, whose right depth is unknown.

    unit_in_metres: scales lengths to metres; None = they stay in scene units.
    """
    scale = 1.0 if unit_in_metres is None else unit_in_metres
    if sample.views is not None and sample.view_depth is not None and sample.offsets is not None:
        images, depth, offsets = sample.views, sample.view_depth, sample.offsets
    else:
        left = sample.depth.astype(np.float32)
        images = np.stack([sample.left, sample.right])
        depth, offsets = np.stack([left, np.full_like(left, np.nan)]), np.array([0.0, sample.baseline])
    pixels = images.astype(np.float32) / np.float32(127.5) - np.float32(1)
    return Views(images=pixels, depth=depth * np.float32(scale), offsets=offsets * scale, intrinsics=sample.intrinsics)


class SynthesisDraws(Dataset[SynthesisDraw]):
    """Draw n of a run, augmented."""

    def __init__(
        self,
        data: Sequence[SplitData],
        config: SynthesisTrainConfig,
        seed: int,
        *,
        in_metres: bool,
        warped: bool = False,
    ) -> None:
        self._data, self._config, self._seed, self._in_metres, self._warped = data, config, seed, in_metres, warped
        self._units = [unit_of(each, in_metres=in_metres) for each in data]
        weighted = [replace(each, weight=each.weight * _stack_weight(each, config)) for each in data]
        self._plan = plan_draws(weighted, config.steps * config.batch_size, seed)

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, number: int) -> SynthesisDraw:
        source, index = self._plan[number]
        views = views_of(self._data[source].samples.read(int(index)), self._units[source])
        rng = np.random.default_rng(unit_seed(self._seed, f"draw {number}"))
        views = augmented(views, self._shaped(number), rng)
        return drawn(views, self._config, rng, in_metres=self._in_metres, warped=self._warped)

    def _shaped(self, number: int) -> SynthesisTrainConfig:
        """The settings with the width and height of the batch that draw `number` is of."""
        config = self._config
        batch = np.random.default_rng(unit_seed(self._seed, f"shape {number // config.batch_size}"))
        if batch.random() >= config.upright_share:
            return config
        return config.model_copy(update={"width": config.height, "height": config.width})


def _stack_weight(data: SplitData, config: SynthesisTrainConfig) -> float:
    return config.stack_weight if data.samples.read(0).view_depth is not None else 1.0


def unit_of(data: SplitData, *, in_metres: bool) -> float | None:
    """What the lengths of a data set are multiplied with to be metres; None if they may stay as they are."""
    if not in_metres:
        return None
    metres: float | None = data.samples.info.metres_per_unit
    if metres is None:
        raise InputError(
            f"The scale of {data.samples.info.scene} is unknown, and the model's baselines are in metres; "
            "leave its data set out, or reconstruct it with --known-distance and label again."
        )
    return metres


def augmented(views: Views, config: SynthesisTrainConfig, rng: np.random.Generator) -> Views:
    """Resized, cropped, mirrored and recoloured: all views alike."""
    height, width = views.depth.shape[1:]
    least = max(config.width / width, config.height / height)
    if least > 1:
        raise InputError(
            f"The views are {width}x{height}, smaller than the training pictures; "
            f"set width and height to at most {width} and {height}."
        )
    scale = max(least, rng.uniform(config.smallest_scale, 1.0))
    size = max(config.width, round(width * scale)), max(config.height, round(height * scale))
    x, y = rng.integers(size[0] - config.width + 1), rng.integers(size[1] - config.height + 1)
    crop = np.s_[y : y + config.height, x : x + config.width]
    images = np.stack([cv2.resize(each, size, interpolation=cv2.INTER_AREA)[crop] for each in views.images])
    depth = np.stack([cv2.resize(each, size, interpolation=cv2.INTER_NEAREST)[crop] for each in views.depth])
    k = views.intrinsics.copy()
    k[0] *= size[0] / width
    k[1] *= size[1] / height
    k[:2, 2] -= x, y
    offsets = views.offsets
    if rng.random() < config.flip_share:
        images, depth, offsets = images[:, :, ::-1], depth[:, :, ::-1], -offsets
        k[0, 2] = config.width - k[0, 2]
    if rng.random() < config.colour_share:
        gain = rng.uniform(0.7, 1.2, 3).astype(np.float32)
        images = ((images[..., rng.permutation(3)] + 1) * gain - 1).clip(-1, 1)
    return Views(images=images, depth=depth, offsets=offsets, intrinsics=k)


def drawn(
    views: Views, config: SynthesisTrainConfig, rng: np.random.Generator, *, in_metres: bool, warped: bool = False
) -> SynthesisDraw:
    """A random source and targets; now and then the source itself, so that a baseline of 0 gives it back."""
    source = int(rng.integers(len(views.offsets)))
    others = [n for n in range(len(views.offsets)) if n != source]
    chosen = rng.permutation(np.resize(rng.permutation(others), config.targets))
    chosen[rng.random(config.targets) < config.same_share] = source
    return draw_of(views, source, chosen.tolist(), in_metres=in_metres, warped=warped)


def draw_of(
    views: Views, source: int, targets: Sequence[int], *, in_metres: bool, warped: bool = False
) -> SynthesisDraw:
    """Source and targets by number. in_metres: the baselines stay as they are, else they count median depths."""
    moved = views.offsets[list(targets)] - views.offsets[source]
    shifts_px = views.intrinsics[0, 0] * moved
    shift_px = shifts_px[:, None, None].astype(np.float32)
    return SynthesisDraw(
        source=_planes(views.images[source]),
        targets=np.stack([_planes(views.images[n]) for n in targets]),
        baselines=(moved if in_metres else moved / median_depth(views, source)).astype(np.float32),
        intrinsics=views.intrinsics,
        of_source_px=(shift_px / views.depth[source])[:, None],
        of_target_px=(-shift_px / views.depth[list(targets)])[:, None],
        warped=warped_condition(views.images[source], views.depth[source], shifts_px) if warped else None,
    )


def median_depth(views: Views, source: int) -> float:
    """The unit of a baseline where there are no metres; of the other views where the source's own is unknown."""
    known = views.depth[source][np.isfinite(views.depth[source])]
    if not known.size:
        known = views.depth[np.isfinite(views.depth)]
    if not known.size:
        raise InputError("A sample to train on has no label at all, so its baseline has no unit; label again.")
    return float(np.median(known))


def _planes(image: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "3 h w"]:
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def to_batch(draws: Sequence[SynthesisDraw], cells: RayCells) -> SynthesisBatch:
    """Draws of one size as tensors."""
    height, width = draws[0].source.shape[1:]
    of_source = [cells.map(draw.intrinsics, (width, height), 0.0) for draw in draws]
    of_target = [cells.map(draw.intrinsics, (width, height), float(b)) for draw in draws for b in draw.baselines]
    warped = [draw.warped for draw in draws if draw.warped is not None]
    return SynthesisBatch(
        source=torch.from_numpy(np.stack([draw.source for draw in draws])),
        targets=torch.from_numpy(np.concatenate([draw.targets for draw in draws])),
        source_rays=torch.from_numpy(np.stack(of_source)),
        target_rays=torch.from_numpy(np.stack(of_target)),
        of_source_px=torch.from_numpy(np.concatenate([draw.of_source_px for draw in draws])),
        of_target_px=torch.from_numpy(np.concatenate([draw.of_target_px for draw in draws])),
        warped=torch.from_numpy(np.concatenate(warped)) if warped else None,
    )
