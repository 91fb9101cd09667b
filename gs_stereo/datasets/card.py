"""The dataset card: README.md of a dataset in Hugging Face's form, a pure function of facts counted from its shards.

The licence in its header is computed from what the photos and the expert declare (`licences`). Beside it lies
`croissant.json`, the same facts for machines.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gs_stereo.core.atomic import write_text
from gs_stereo.datasets.croissant import CROISSANT_NAME, croissant
from gs_stereo.datasets.licences import UNKNOWN, licence_of, one_line
from gs_stereo.datasets.schema import DatasetIndex, ShardSample, read_index
from gs_stereo.types.labels import FLAG_MEANING, LabelFlag

CARD_NAME = "README.md"
_MAX_BIN_PX = 4096
_HISTOGRAM_ROWS = 12
_BAR_WIDTH = 40
_LISTED_BASELINES = 6
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (np.inf, "1M<n<10M"),
)
_NICE_STEPS_PX = (1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128, 200, 256, 512)


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """Everything the card says. Shares are of all pixels.

    baselines: (scene units, samples). disparity_px: (least, mean, most) over labelled pixels, NaN if there are none.
    histogram: labelled pixels in each whole pixel of disparity, from 0. flag_shares: one for each bit. stack_views:
    images of an N-view stack, 0 without. stack_depth: whether their depth is known.
    """

    index: DatasetIndex
    view_count: int
    baselines: tuple[tuple[float, int], ...]
    coverage: float
    mean_confidence: float
    disparity_px: tuple[float, float, float]
    histogram: tuple[int, ...]
    flag_shares: tuple[tuple[LabelFlag, float], ...]
    stack_views: int = 0
    stack_depth: bool = False


class FactCounter:
    """Counts what the card says while the samples of a dataset pass by; one is in memory at a time."""

    def __init__(self) -> None:
        self.views: set[str] = set()
        self.baselines: Counter[float] = Counter()
        self.flags: Counter[LabelFlag] = Counter()
        self.histogram = np.zeros(_MAX_BIN_PX + 1, dtype=np.int64)
        self.pixels, self.confidence, self.total_px, self.stack_views = 0, 0.0, 0.0, 0
        self.stack_depth = False
        self.least_px, self.most_px = np.inf, -np.inf

    def watch(self, samples: Iterable[ShardSample]) -> Iterator[ShardSample]:
        """The same samples, counted on their way."""
        for sample in samples:
            self._add(sample)
            yield sample

    def facts(self, index: DatasetIndex) -> CardFacts:
        """What is known of the dataset with this index after all its samples have passed."""
        labelled = int(self.histogram.sum())
        mean = (self.total_px / labelled, self.confidence / labelled) if labelled else (np.nan, np.nan)
        last = int(self.histogram.nonzero()[0].max(initial=0))
        return CardFacts(
            index=index,
            view_count=len(self.views),
            baselines=tuple(sorted(self.baselines.items())),
            coverage=labelled / self.pixels,
            mean_confidence=mean[1],
            disparity_px=(float(self.least_px), mean[0], float(self.most_px)) if labelled else (np.nan,) * 3,
            histogram=tuple(self.histogram[: last + 1].tolist()),
            flag_shares=tuple((flag, self.flags[flag] / self.pixels) for flag in LabelFlag),
            stack_views=self.stack_views,
            stack_depth=self.stack_depth,
        )

    def _add(self, sample: ShardSample) -> None:
        known = np.isfinite(sample.disparity)
        disparity = sample.disparity[known].astype(np.float64)
        self.views.add(sample.view_id)
        self.baselines[sample.baseline] += 1
        self.pixels += known.size
        self.flags.update({flag: int(((sample.flags & flag) != 0).sum()) for flag in LabelFlag})
        self.stack_views = max(self.stack_views, 0 if sample.views is None else len(sample.views))
        self.stack_depth |= sample.view_depth is not None
        if disparity.size:
            bins = np.minimum(disparity, _MAX_BIN_PX).astype(np.int64)
            self.histogram += np.bincount(bins, minlength=_MAX_BIN_PX + 1)
            self.confidence += float(sample.confidence[known].sum()) / 255
            self.total_px += float(disparity.sum())
            self.least_px, self.most_px = min(self.least_px, disparity.min()), max(self.most_px, disparity.max())


def collect_facts(folder: Path) -> CardFacts:
    """Read every sample of a finished dataset once and count. InputError if it is broken."""
    from gs_stereo.datasets.read import read_dataset

    counter = FactCounter()
    for _ in counter.watch(read_dataset(folder)):
        pass
    return counter.facts(read_index(folder))


def write_card(folder: Path, facts: CardFacts) -> None:
    """Write the card and the Croissant metadata into the folder of a dataset."""
    write_text(folder / CARD_NAME, dataset_card(facts))
    write_text(folder / CROISSANT_NAME, croissant(facts.index, facts.stack_views, stack_depth=facts.stack_depth))


def dataset_card(facts: CardFacts) -> str:
    """The card as Markdown with a YAML header; the same facts give the same text."""
    index, licence, (least, mean, most) = facts.index, licence_of(facts.index), facts.disparity_px
    source, scale = index.provenance, index.metres_per_unit
    tags = ["stereo", "stereo-matching", "disparity", "gaussian-splatting", "3d"]
    tags += ["n-view"] * bool(facts.stack_views) + ["non-commercial"] * licence.non_commercial
    return _CARD.format(
        pretty_name=json.dumps(f"{index.scene}, stereo, {index.label} labels", ensure_ascii=False),
        licence_fields="\n".join(licence.yaml_lines()),
        tags="\n".join(f"- {tag}" for tag in tags),
        size_category=json.dumps(size_category(index.sample_count)),
        split_text=json.dumps(index.split),
        pattern=json.dumps(f"{index.split}-*.h5"),
        scene=one_line(index.scene),
        label=one_line(index.label),
        samples=index.sample_count,
        views=facts.view_count,
        stacks=f", with stacks of {facts.stack_views} views" if facts.stack_views else "",
        split=index.split,
        width=index.width,
        height=index.height,
        baselines=_baselines(facts.baselines),
        scale="unknown" if scale is None else f"1 unit = {scale:g} m",
        shards=len(index.shards),
        megabytes=sum(entry.bytes for entry in index.shards) / 1e6,
        generator=one_line(index.generator),
        licence="\n".join([*licence.card_lines(), *(_ASK_FOR_LICENCE if licence.identifier == UNKNOWN else [])]),
        source=f"{one_line(source.name)}, version {one_line(source.version)}",
        weights=source.weights_sha256 or "none",
        promise=_promise(index.config),
        coverage=facts.coverage,
        confidence=facts.mean_confidence,
        least=least,
        mean=mean,
        most=most,
        histogram="\n".join(_histogram(facts.histogram)),
        flags="\n".join(
            f"| {flag.bit} | {str(flag.name).lower()} | {share:.2%} | {FLAG_MEANING[flag]} |"
            for flag, share in facts.flag_shares
        ),
        shard=index.shards[0].file,
        conventions=CONVENTIONS,
    )


def _promise(config: Mapping[str, Any]) -> str:
    """What an audit says of the labels, and what that rests on."""
    if config.get("recalibration"):
        return "\n- confidence: recalibrated to what it means in this capture, by objects planted into its photos"
    share, least = config.get("max_bad_1"), config.get("min_confidence")
    if not isinstance(share, float) or not isinstance(least, float):
        return ""
    return (
        f"\n- promise: with 95 % confidence at most {share:.2%} of the labels are wrong by more than 1 px. On objects "
        f"planted into the photos, labels of confidence {least:.3f} or more keep it. It holds as far as the scene is "
        "like the objects, and does not see errors of the camera poses"
    )


def size_category(samples: int) -> str:
    """The one of Hugging Face's list."""
    return next(name for limit, name in _SIZES if samples < limit)


_ASK_FOR_LICENCE = [
    "",
    "Whoever took the photos decides. Give their licence with `--set photo_licence=...` when you label.",
]
CONVENTIONS = """\
## Conventions

- Disparity belongs to the left image, d = x_left - x_right >= 0, in pixels; depth z = f * baseline / d.
- NaN = no label. Confidence = round(255 * probability that the error is under 1 px).
- Pixel (row i, column j) has its centre at (j + 0.5, i + 0.5). Cameras are OpenCV's: x right, y down, z forward.
- `cam_from_world` is the left camera; the right one is moved by +baseline along the left's x axis.
- Images are 8-bit sRGB.

"""
_CARD = """\
---
pretty_name: {pretty_name}
{licence_fields}
task_categories:
- depth-estimation
tags:
{tags}
size_categories:
- {size_category}
configs:
- config_name: default
  data_files:
  - split: {split_text}
    path: {pattern}
---

# {scene}: rectified stereo with {label} labels

Rendered from a Gaussian splat of photos. Left and right image are rectified by construction.

| fact | value |
|---|---|
| samples | {samples} from {views} views{stacks}, split `{split}` |
| image size | {width} x {height} |
| baselines, scene units | {baselines} |
| scale | {scale} |
| shards | {shards} HDF5 files, format version 1, {megabytes:.1f} MB |
| made by | {generator} |

## Licence

{licence}

## Label

- source: {source}; weights sha256: {weights}
- coverage: {coverage:.1%} of the pixels; mean confidence there: {confidence:.3f}
- disparity: {least:.2f} to {most:.2f} px, mean {mean:.2f} px{promise}

Share of labelled pixels by disparity:

```text
{histogram}
```

| bit | flag | share of pixels | meaning |
|---|---|---|---|
{flags}

Where the right eye is blocked, labels that know the geometry (`splat`, `fused`) keep their disparity, and a
matcher's label is NaN: skip the flags `occluded` and `out_of_frame` in photometric losses.

{conventions}## Load

```python
from torch.utils.data import DataLoader
from gs_stereo import StereoDataset, collate

loader = DataLoader(StereoDataset("."), batch_size=4, num_workers=2, collate_fn=collate)
for batch in loader:
    batch["left"], batch["right"], batch["disparity"], batch["valid"]
```

With Hugging Face's `datasets` (5.2): `import datasets; datasets.load_dataset('.')`.

With h5py alone (shards that were asked for with `compression=zstd` need `import hdf5plugin` in both):

```python
import h5py

with h5py.File("{shard}") as shard:
    left, disparity = shard["left"][0], shard["disparity"][0]  # NaN = no label
    name = shard["sample_id"].asstr()[0]
```
"""


def _baselines(counts: Sequence[tuple[float, int]]) -> str:
    """Each baseline with its count, or the range where every view has its own."""
    if len(counts) > _LISTED_BASELINES:
        return f"{counts[0][0]:.4g} to {counts[-1][0]:.4g}, chosen for each view"
    return ", ".join(f"{value:g} ({count} samples)" for value, count in counts)


def _histogram(counts: Sequence[int]) -> list[str]:
    """About a dozen rows of equal width, with bars."""
    total = sum(counts)
    if total == 0:
        return ["(no labelled pixel)"]
    step = next((step for step in _NICE_STEPS_PX if step * _HISTOGRAM_ROWS >= len(counts)), _NICE_STEPS_PX[-1])
    rows = [sum(counts[start : start + step]) for start in range(0, len(counts), step)]
    bars = ["#" * round(_BAR_WIDTH * row / max(rows)) for row in rows]
    return [
        f"{number * step:5d} - {(number + 1) * step:5d} px {row / total:7.2%} {bar}".rstrip()
        for number, (row, bar) in enumerate(zip(rows, bars, strict=True))
    ]
