"""A data set of procedural training pairs: shards in parallel, resumed after an interruption, for `sample-pairs`.

It is no stage: it has no scene. Work happens in `.<name>.partial` beside the target, which takes its place at the end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from gs_stereo import __version__
from gs_stereo.config import Config, canonical_json
from gs_stereo.core.atomic import fsync_path, write_errors, write_text
from gs_stereo.errors import InputError
from gs_stereo.log import progress
from gs_stereo.pipeline.cell import Executor
from gs_stereo.pipeline.units import UNITS_FOLDER, UnitLedger
from gs_stereo.worlds.pairs.config import TrainingPairConfig

if TYPE_CHECKING:
    from gs_stereo.datasets.card import CardFacts
    from gs_stereo.datasets.write import DatasetIndex, DatasetInfo, ShardSample, WrittenShard

_VERSION = 2
_REQUEST = "request.json"
_LICENCE = "Apache-2.0"


class SamplePairsConfig(Config):
    """How many pairs, of which kind, in which shards."""

    count: int = Field(default=500, ge=1, le=1_000_000, description="Number of pairs")
    split: str = Field(default="train", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.]*$", description="Split name in the shards")
    samples_per_shard: int = Field(default=64, ge=1, le=1024, description="A shard is the unit of work and of resuming")
    pairs: TrainingPairConfig = Field(default=TrainingPairConfig(), description="What the pairs look like")

    @property
    def shards(self) -> int:
        return -(-self.count // self.samples_per_shard)


@dataclass(frozen=True, kw_only=True)
class ShardJob:
    """One shard to make: a unit of work."""

    folder: Path
    config: SamplePairsConfig
    seed: int
    number: int

    @property
    def numbers(self) -> range:
        """The pairs it holds."""
        first = self.number * self.config.samples_per_shard
        return range(first, min(first + self.config.samples_per_shard, self.config.count))

    @property
    def name(self) -> str:
        return f"shard-{self.number:05d}"


@dataclass(frozen=True, kw_only=True)
class SampledPairs:
    """What was written; made is False if it was there already."""

    folder: Path
    index: DatasetIndex
    made: bool


def write_sample_pairs(folder: Path, config: SamplePairsConfig, seed: int, executor: Executor) -> SampledPairs:
    """Make the data set in `folder`. The same config and seed give the same bytes, by any number of workers.

    Raises InputError if the folder holds anything else than this very data set, or cannot be written.
    """
    from gs_stereo.datasets.write import read_index, verify_dataset

    target = folder.resolve()
    if _is_there(target, config, seed):
        return SampledPairs(folder=folder, index=read_index(target), made=False)
    work = target.with_name(f".{target.name}.partial")
    with write_errors(folder):
        _prepare(work, config, seed)
        written = _make_shards(work, config, seed, executor)
        _finish(work, config, seed, written)
        index = verify_dataset(work)
        os.replace(work, target)
        fsync_path(target.parent)
    return SampledPairs(folder=folder, index=index, made=True)


def _is_there(target: Path, config: SamplePairsConfig, seed: int) -> bool:
    from gs_stereo.datasets.write import read_index

    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file, not a folder; choose a new folder for the pairs.")
    if not target.is_dir() or not any(target.iterdir()):
        return False
    if (target / "dataset.json").is_file() and read_index(target).info.config_json == _info(config, seed).config_json:
        return True
    raise InputError(f"The folder {target} holds something else already; choose a new folder for the pairs.")


def _prepare(work: Path, config: SamplePairsConfig, seed: int) -> None:
    """The work folder; what an interrupted run of other settings left is thrown away."""
    request = canonical_json(dict(_info(config, seed).config) | {"generator": f"gs_stereo {__version__}"})
    known = work / _REQUEST
    if work.exists() and not (known.is_file() and known.read_text(encoding="utf-8") == request):
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    write_text(known, request)


def _make_shards(work: Path, config: SamplePairsConfig, seed: int, executor: Executor) -> list[WrittenShard]:
    from gs_stereo.datasets.write import ShardEntry, WrittenShard

    units = UnitLedger(work)
    jobs = [ShardJob(folder=work, config=config, seed=seed, number=number) for number in range(config.shards)]
    todo = [job for job in jobs if not units.done(job.name)]
    with progress("sample pairs", config.count, "pairs") as bar:
        bar.advance(config.count - sum(len(job.numbers) for job in todo))
        for job, shard in zip(todo, executor.map(write_shard_job, todo), strict=True):
            units.record(job.name, [work / shard.entry.file], asdict(shard))
            bar.advance(len(job.numbers))
    records = [units.result(job.name) for job in jobs]
    return [WrittenShard(**{**record, "entry": ShardEntry(**record["entry"])}) for record in records]


def write_shard_job(job: ShardJob) -> WrittenShard:
    """Make the pairs of one shard and write it."""
    import cv2

    from gs_stereo.datasets.schema import shard_name
    from gs_stereo.datasets.write import ShardWriting, write_shard

    cv2.setNumThreads(1)  # the workers share the cores
    config = job.config
    path = job.folder / shard_name(config.split, job.number, config.shards)
    writing = ShardWriting(samples_per_shard=config.samples_per_shard)
    return write_shard(path, _samples(job), len(job.numbers), _info(config, job.seed), writing)


def _samples(job: ShardJob) -> Iterator[ShardSample]:
    from gs_stereo.worlds.pairs.pair import sample_pair

    for number in job.numbers:
        yield sample_pair(job.config.pairs, job.seed, number)


def _info(config: SamplePairsConfig, seed: int) -> DatasetInfo:
    from gs_stereo.datasets.write import DatasetInfo
    from gs_stereo.types import Provenance

    provenance = Provenance(name="exact", version=f"sample-pairs {_VERSION}", licence=_LICENCE)
    return DatasetInfo(
        scene="procedural",
        split=config.split,
        label="exact",
        provenance=provenance,
        generator=f"gs_stereo {__version__}",
        metres_per_unit=1.0,
        config={**config.model_dump(mode="json"), "seed": seed, "version": _VERSION},
    )


def _finish(work: Path, config: SamplePairsConfig, seed: int, written: list[WrittenShard]) -> None:
    """Index and card; the traces of the work go."""
    from gs_stereo.datasets.card import CARD_NAME, collect_facts
    from gs_stereo.datasets.write import write_index

    for path in work.glob("*.h5"):
        if path.name not in {shard.entry.file for shard in written}:
            path.unlink()
    write_index(work, _info(config, seed), written)
    write_text(work / CARD_NAME, _card(collect_facts(work), seed))
    shutil.rmtree(work / UNITS_FOLDER)
    (work / _REQUEST).unlink()


def _card(facts: CardFacts, seed: int) -> str:
    """README.md of the data set."""
    from gs_stereo.types import LabelFlag

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
`{index.info.split}`, in {len(index.shards)} HDF5 files. Every pair has a random scene, camera, baseline and light of
its own.

- Label: exact, for every pixel; it belongs to the ray through the pixel's centre. Confidence is 255 everywhere.
- Flags: occluded {shares[LabelFlag.OCCLUDED]:.2%}, out of frame {shares[LabelFlag.OUT_OF_FRAME]:.2%} of the pixels.
- Disparity of the left image: {least:.2f} to {most:.2f} px, mean {mean:.2f} px.
- Licence: {_LICENCE}, as the program that made it; no photo or other data went into it.

```text
{histogram}
```
"""
