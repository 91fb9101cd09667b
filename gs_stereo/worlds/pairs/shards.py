"""Procedural training pairs as shards of a data set: one shard is a unit of work. With its card."""

from dataclasses import dataclass
from pathlib import Path

import cv2

from gs_stereo import __version__
from gs_stereo.datasets.card import CardFacts
from gs_stereo.datasets.schema import DatasetInfo, shard_name
from gs_stereo.datasets.write import ShardWriting, WrittenShard, write_shard
from gs_stereo.types import LabelFlag, Provenance
from gs_stereo.worlds.pairs.config import PairSetConfig
from gs_stereo.worlds.pairs.pair import sample_pair
from gs_stereo.worlds.pairs.stack import sample_stack

_VERSION = 2
_LICENCE = "Apache-2.0"


@dataclass(frozen=True, kw_only=True)
class PairShard:
    """One shard to make."""

    folder: Path
    config: PairSetConfig
    seed: int
    number: int

    @property
    def numbers(self) -> range:
        """The pairs it holds."""
        first = self.number * self.config.samples_per_shard
        return range(first, min(first + self.config.samples_per_shard, self.config.count))

    @property
    def path(self) -> Path:
        return self.folder / shard_name(self.config.split, self.number, self.config.shards)


def write_pair_shard(shard: PairShard) -> WrittenShard:
    """Make the pairs of one shard and write it. The same config and seed give the same bytes."""
    cv2.setNumThreads(1)  # the workers share the cores
    config, seed = shard.config, shard.seed
    sample = sample_stack if config.pairs.stack_views else sample_pair
    samples = (sample(config.pairs, seed, number) for number in shard.numbers)
    writing = ShardWriting(samples_per_shard=config.samples_per_shard)
    return write_shard(shard.path, samples, len(shard.numbers), pair_set_info(config, seed), writing)


def pair_set_info(config: PairSetConfig, seed: int) -> DatasetInfo:
    """What is true of every pair of the data set."""
    settings = config.model_dump(mode="json", include=set(PairSetConfig.model_fields))
    return DatasetInfo(
        scene="procedural",
        split=config.split,
        label="exact",
        provenance=Provenance(name="exact", version=f"sample-pairs {_VERSION}", licence=_LICENCE),
        generator=f"gs_stereo {__version__}",
        metres_per_unit=1.0,
        config={**settings, "seed": seed, "version": _VERSION},
    )


def pair_set_card(facts: CardFacts, seed: int) -> str:
    """README.md of the data set."""
    index, (least, mean, most) = facts.index, facts.disparity_px
    shares = dict(facts.flag_shares)
    total = sum(facts.histogram)
    step = max(1, -(-len(facts.histogram) // 12))
    starts = range(0, len(facts.histogram), step)
    shares_px = [(start, sum(facts.histogram[start : start + step]) / total) for start in starts]
    histogram = "\n".join(
        f"{start:5d} - {start + step:5d} px {share:7.2%} {'#' * round(80 * share)}".rstrip()
        for start, share in shares_px
    )
    return f"""# Procedural stereo pairs with exact disparity, seed {seed}

Made by `gsstereo sample-pairs`: {index.sample_count} ray-cast pairs of {index.width} x {index.height}, split
`{index.split}`, in {len(index.shards)} HDF5 files. Every pair has a random scene, camera, baseline and light of
its own.

- Label: exact, for every pixel; it belongs to the ray through the pixel's centre. Confidence is 255 everywhere.
- Flags: occluded {shares[LabelFlag.OCCLUDED]:.2%}, out of frame {shares[LabelFlag.OUT_OF_FRAME]:.2%} of the pixels.
- Disparity of the left image: {least:.2f} to {most:.2f} px, mean {mean:.2f} px.
- Licence: {_LICENCE}, as the program that made it; no photo or other data went into it.

```text
{histogram}
```
"""
