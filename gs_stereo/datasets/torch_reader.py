"""The torch side of a dataset: `StereoDataset` reads shards, `collate` makes batches, `fill_invalid` makes the mask.

from torch.utils.data import DataLoader
from gs_stereo import StereoDataset, collate

loader = DataLoader(StereoDataset("scene/gsstereo/dataset/fused"), batch_size=4, num_workers=2, collate_fn=collate)
for batch in loader:
    loss = (net(batch["left"], batch["right"]) - batch["disparity"]).abs()[batch["valid"]].mean()
"""

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32
from torch.utils.data import Dataset

from gs_stereo.datasets.samples import DatasetSamples
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.datasets.shard_cache import DEFAULT_BYTES, ShardCache
from gs_stereo.errors import InputError


class _Stack(TypedDict, total=False):
    views: Float[torch.Tensor, "v 3 h w"]
    offsets: Float[torch.Tensor, "v"]


class StereoItem(_Stack):
    """One sample. All numbers are float32 unless said otherwise; a batch has one more axis in front.

    left, right: sRGB in [0, 1]. disparity: px of the left image, 0 where `valid` is False. confidence: probability in
    [0, 1] that the error is under 1 px. flags: bits of `gs_stereo.types.LabelFlag`. intrinsics: of both eyes, pixel
    centres at + 0.5. baseline: scene units. cam_from_world: left camera, float64. metres_per_unit: NaN = unknown scale.
    views, offsets: only in datasets with N-view stacks. (`read_shard` gives cameras in float64.)
    """

    left: Float[torch.Tensor, "3 h w"]
    right: Float[torch.Tensor, "3 h w"]
    disparity: Float[torch.Tensor, "1 h w"]
    valid: Bool[torch.Tensor, "1 h w"]
    confidence: Float[torch.Tensor, "1 h w"]
    flags: Int32[torch.Tensor, "1 h w"]
    intrinsics: Float[torch.Tensor, "3 3"]
    baseline: Float[torch.Tensor, ""]
    cam_from_world: Float[torch.Tensor, "4 4"]
    metres_per_unit: Float[torch.Tensor, ""]
    sample_id: str
    view_id: str


def fill_invalid(
    disparity: Float[torch.Tensor, "*shape"],
) -> tuple[Float[torch.Tensor, "*shape"], Bool[torch.Tensor, "*shape"]]:
    """(filled, valid): the one place where NaN becomes a mask. `filled` is 0 where `valid` is False."""
    valid = torch.isfinite(disparity)
    return torch.where(valid, disparity, 0.0), valid


class StereoDataset(Dataset[StereoItem]):
    """All samples of a dataset, in the order of its shards.

    path: a dataset folder (it holds dataset.json), one shard (.h5), or a scene or `gsstereo/dataset` folder that
    holds exactly one dataset; or the URL of a dataset folder, such as s3://bucket/all_rooms/train, whose shards are
    fetched whole when first needed. transform: called with each StereoItem; must be picklable for spawned workers.
    cache, cache_bytes: of a URL, where its shards are kept, and how much of them.

    Files are never shared between processes, so any number of workers is safe, forked or spawned. Raises InputError for
    a missing, ambiguous or corrupt dataset.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        transform: Callable[[StereoItem], StereoItem] | None = None,
        cache: Path | None = None,
        cache_bytes: int = DEFAULT_BYTES,
    ) -> None:
        self.transform = transform
        remote = "://" in str(path)
        self.samples = DatasetSamples(ShardCache.of(str(path), cache, cache_bytes) if remote else Path(path))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> StereoItem:
        number = index + len(self) if index < 0 else index
        item = _to_item(self.samples.read(number), self.samples.metres_per_unit(number))
        return item if self.transform is None else self.transform(item)


def collate(items: Sequence[StereoItem]) -> StereoItem:
    """A batch of samples: tensors are stacked along a new first axis, texts become lists. For DataLoader.

    Raises InputError if the samples differ in image size or only some of them have N-view stacks.
    """
    if partial := sorted({name for item in items for name in item.keys() ^ items[0].keys()}):
        raise InputError(f"Only some samples of the batch have {partial[0]!r}; load each dataset with its own loader.")
    batch: dict[str, Any] = {}
    for name in items[0]:
        values = [cast(dict[str, Any], item)[name] for item in items]
        if not isinstance(values[0], torch.Tensor):
            batch[name] = values
            continue
        if len(shapes := {tuple(value.shape) for value in values}) > 1:
            sizes = " and ".join("x".join(map(str, shape)) for shape in sorted(shapes)[:2])
            raise InputError(
                f"The samples of a batch differ in the size of {name!r} ({sizes}); crop or resize them in `transform` "
                "or use batch_size=1."
            )
        batch[name] = torch.stack(values)
    return cast(StereoItem, batch)


def _to_item(sample: ShardSample, metres_per_unit: float | None) -> StereoItem:
    disparity, valid = fill_invalid(torch.from_numpy(sample.disparity)[None])
    item = StereoItem(
        left=_image(sample.left),
        right=_image(sample.right),
        disparity=disparity,
        valid=valid,
        confidence=torch.from_numpy(sample.confidence)[None].float() / 255,
        flags=torch.from_numpy(sample.flags.astype(np.int32))[None],
        intrinsics=_float32(sample.intrinsics),
        baseline=_float32(sample.baseline),
        cam_from_world=torch.from_numpy(np.asarray(sample.cam_from_world, np.float64)),
        metres_per_unit=_float32(float("nan") if metres_per_unit is None else metres_per_unit),
        sample_id=sample.sample_id,
        view_id=sample.view_id,
    )
    if sample.views is not None and sample.offsets is not None:
        item["views"] = torch.stack([_image(view) for view in sample.views])
        item["offsets"] = _float32(sample.offsets)
    return item


def _image(image: np.ndarray) -> Float[torch.Tensor, "3 h w"]:
    return torch.from_numpy(image).permute(2, 0, 1).contiguous().float() / 255


def _float32(value: np.ndarray | float) -> torch.Tensor:
    return torch.as_tensor(value, dtype=torch.float32)
