"""One data set of many scenes: each split is a data set of its own in a folder, with a card and metadata above them.

No scene is in two splits, nor are scenes that share photos. Shards are copied as they are; only their split and the
names of their samples change, which get the scene's name in front. What is true of one scene only (scale, settings,
licence, weight) is in `scenes.json`, and in the attributes of its shards.
"""

import json
import math
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import h5py
import numpy as np
from jaxtyping import Float
from pydantic import Field

from gs_stereo.core.atomic import atomic_folder, fsync_path, write_text
from gs_stereo.core.hashing import sha256_file, sha256_text
from gs_stereo.core.records import Record, write_record
from gs_stereo.datasets.card import CARD_NAME, CONVENTIONS, size_category
from gs_stereo.datasets.croissant import CROISSANT_NAME, croissant_of_splits
from gs_stereo.datasets.licences import PHOTO_LICENCE, DatasetLicence, combined_licence, licence_of, one_line
from gs_stereo.datasets.probe import probe_shards
from gs_stereo.datasets.read import ShardReader, read_dataset
from gs_stereo.datasets.schema import TEXT_COLUMNS, DatasetIndex, DatasetInfo, ShardEntry, read_index, shard_name
from gs_stereo.datasets.write import LIBVER, WrittenShard, write_index
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.io.remote import Place

SCENES_NAME = "scenes.json"
_BETWEEN = "__"
_MAX_BIN_PX = 1024


@dataclass(frozen=True, kw_only=True)
class SceneData:
    """A finished data set of one scene.

    photos: sha256 of its photos, by which copies are found; may be empty. origin: the URL that the folder was fetched
    from, if it was; if it is damaged it is deleted, so that it is fetched again.
    """

    name: str
    folder: Path
    photos: frozenset[str] = frozenset()
    origin: str | None = None


@dataclass(frozen=True, kw_only=True)
class MergeSettings:
    """shares: of the scenes, by split. seed: of the draw. balance: weigh scenes so that all disparities count alike."""

    shares: Mapping[str, float] = field(default_factory=lambda: {"train": 0.8, "validation": 0.1, "test": 0.1})
    seed: int = 0
    balance: bool = False

    def __post_init__(self) -> None:
        if not self.shares or min(self.shares.values()) < 0 or not math.isclose(sum(self.shares.values()), 1.0):
            raise ConfigError("The shares of the splits must not be negative and add up to 1, such as 0.8, 0.1, 0.1.")
        if bad := [name for name in self.shares if not name.replace("_", "").isalnum()]:
            raise ConfigError(f"The split name {bad[0]!r} must hold letters, digits and underscores only.")


@dataclass(frozen=True, kw_only=True)
class SceneEntry(Record):
    """One scene of a published data set. weight: of each of its samples, mean 1 over the scenes of the split."""

    scene: str
    split: str
    samples: Annotated[int, Field(ge=1)]
    weight: float
    licence: str
    metres_per_unit: float | None


@dataclass(frozen=True, kw_only=True)
class Merged(Record):
    """The content of `scenes.json`. left_out: scene -> why. damaged: those of them that should be in it."""

    format: Literal["gs_stereo.scenes"] = "gs_stereo.scenes"
    scenes: tuple[SceneEntry, ...]
    left_out: Mapping[str, str]
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Source:
    data: SceneData
    index: DatasetIndex

    @property
    def licence(self) -> DatasetLicence:
        return licence_of(self.index)

    @property
    def kind(self) -> tuple[int, int, str]:
        """What all samples of a data set must have in common, so that they make batches."""
        return self.index.height, self.index.width, self.index.label


def merge_datasets(target: Path, scenes: Sequence[SceneData], settings: MergeSettings = MergeSettings()) -> Merged:
    """Write the data sets of scenes as one to `target`, which must not exist, and say what became of each.

    What is damaged, a copy of another scene, or of another image size or label than most is left out with the reason.
    The same scenes and settings give the same bytes. InputError if nothing is left, or the target is there.
    """
    if target.exists():
        raise _there_already(target)
    left_out = dict[str, str]()
    readable = _readable(scenes, left_out)
    damaged = tuple(left_out)
    sources = _without_copies(_of_one_kind(readable, left_out), left_out)
    if not sources:
        reason = next(iter(left_out.values()), "no scene has a finished data set")
        raise InputError(f"There is nothing to publish ({reason.rstrip('.')}); label some scenes first.")
    splits = assign_splits([source.data for source in sources], settings)
    with atomic_folder(target) as work:
        indices = {}
        entries = list[SceneEntry]()
        for split in settings.shares:
            inside = [source for source in sources if splits[source.data.name] == split]
            if not inside:
                continue
            indices[split] = _write_split(work / split, split, inside, target.name)
            weights = _weights(inside) if settings.balance else dict.fromkeys((s.data.name for s in inside), 1.0)
            entries += [
                SceneEntry(
                    scene=source.data.name,
                    split=split,
                    samples=source.index.sample_count,
                    weight=weights[source.data.name],
                    licence=source.licence.name or source.licence.identifier,
                    metres_per_unit=source.index.metres_per_unit,
                )
                for source in inside
            ]
        merged = Merged(scenes=tuple(entries), left_out=left_out, damaged=damaged)
        licence = combined_licence({source.data.name: source.licence for source in sources})
        write_record(work / SCENES_NAME, merged)
        write_text(work / CARD_NAME, _card(target.name, indices, merged, licence))
        with ShardReader(work / next(iter(indices)) / next(iter(indices.values())).shards[0].file) as reader:
            views, depth = reader.sizes.get("v", 0), "view_depth" in reader.columns
        write_text(work / CROISSANT_NAME, croissant_of_splits(indices, licence, views, stack_depth=depth))
    return merged


def publish_datasets(target: Place, scenes: Sequence[SceneData], settings: MergeSettings, cache: Path) -> Merged:
    """`merge_datasets` to a folder or a URL; for that it is made in the folder `cache` first, and sent."""
    if target.is_local:
        return merge_datasets(target.local, scenes, settings)
    if next(iter(target.files()), None) is not None:
        raise _there_already(target.url)
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache) as work:
        merged = merge_datasets(Path(work) / target.name, scenes, settings)
        target.send(Path(work) / target.name, last=SCENES_NAME)
    return merged


def _there_already(target: Path | str) -> InputError:
    return InputError(f"{target} is there already; choose another folder or delete it first.")


def _readable(scenes: Sequence[SceneData], left_out: dict[str, str]) -> list[_Source]:
    """The scenes whose shards are what their index says, by name; why others are not is put into `left_out`."""
    found = list[_Source]()
    for data in sorted(scenes, key=lambda data: data.name):
        try:
            index = read_index(data.folder)
            for entry in index.shards:
                path = data.folder / entry.file
                if not path.is_file() or sha256_file(path) != entry.sha256:
                    where = data.origin or data.folder
                    raise InputError(
                        f"The shard {entry.file} of {data.name} is missing or damaged; delete {where}/manifest.json "
                        "and run the fleet again, which then makes it anew."
                    )
        except InputError as error:
            left_out[data.name] = str(error)
            continue
        found.append(_Source(data=data, index=index))
    found = _that_open(found, left_out)
    for data in scenes:
        if data.name in left_out and data.origin is not None:
            shutil.rmtree(data.folder, ignore_errors=True)
    return found


def _of_one_kind(found: Sequence[_Source], left_out: dict[str, str]) -> list[_Source]:
    """Those that can be published together, with the image size and label of most samples."""
    kinds = Counter[tuple[int, int, str]]()
    for source in found:
        kinds[source.kind] += source.index.sample_count
    most = min(kinds, key=lambda kind: (-kinds[kind], kind), default=None)
    for source in found:
        if source.kind != most and most is not None:
            index = source.index
            left_out[source.data.name] = (
                f"{source.data.name} has {index.width}x{index.height} pixels and {index.label} labels, most "
                f"scenes have {most[1]}x{most[0]} and {most[2]}; render and label it as they are."
            )
    return [source for source in found if source.kind == most]


def _that_open(sources: list[_Source], left_out: dict[str, str]) -> list[_Source]:
    """Those whose shards the HDF5 library opens without harm; all together where all do, for that is quick."""
    if not sources:
        return []
    try:
        probe_shards([source.data.folder / entry.file for source in sources for entry in source.index.shards])
    except InputError as error:
        if len(sources) == 1:
            left_out[sources[0].data.name] = str(error)
            return []
        return [each for source in sources for each in _that_open([source], left_out)]
    return sources


def _without_copies(sources: list[_Source], left_out: dict[str, str]) -> list[_Source]:
    first = dict[frozenset[str], str]()
    for source in sources:
        if source.data.photos:
            name = first.setdefault(source.data.photos, source.data.name)
            if name != source.data.name:
                left_out[source.data.name] = f"{source.data.name} has the same photos as {name}; leave one out."
    return [source for source in sources if source.data.name not in left_out]


def assign_splits(scenes: Sequence[SceneData], settings: MergeSettings) -> dict[str, str]:
    """Scene -> split. Scenes that share a photo go together; each split gets one if there are enough."""
    group = {scene.name: scene.name for scene in scenes}
    owner = dict[str, str]()
    for scene in scenes:
        for photo in scene.photos:
            old, new = group[owner.setdefault(photo, scene.name)], group[scene.name]
            if old != new:
                group = {name: old if where == new else where for name, where in group.items()}
    groups = sorted(set(group.values()), key=lambda name: sha256_text(f"{settings.seed}/{name}"))
    wanted = {split: share * len(groups) for split, share in settings.shares.items() if share > 0}
    least = 1 if len(groups) >= len(wanted) else 0
    counts = {split: max(least, math.floor(count)) for split, count in wanted.items()}
    while (missing := len(groups) - sum(counts.values())) != 0:
        step = 1 if missing > 0 else -1
        free = [split for split in counts if step > 0 or counts[split] > least]
        counts[max(free, key=lambda split: step * (wanted[split] - counts[split]))] += step
    drawn = [split for split, count in counts.items() for _ in range(count)]
    by_group = dict(zip(groups, drawn, strict=True))
    return {name: by_group[where] for name, where in group.items()}


def _write_split(folder: Path, split: str, sources: Sequence[_Source], title: str) -> DatasetIndex:
    folder.mkdir()
    total = sum(len(source.index.shards) for source in sources)
    shards = list[WrittenShard]()
    for source in sources:
        for entry in source.index.shards:
            path = folder / shard_name(split, len(shards), total)
            shutil.copyfile(source.data.folder / entry.file, path)
            _rename_samples(path, split, source.data.name)
            fsync_path(path)
            written = ShardEntry(file=path.name, count=entry.count, sha256=sha256_file(path), bytes=path.stat().st_size)
            shards.append(WrittenShard(entry=written, height=source.index.height, width=source.index.width))
    return write_index(folder, _common_info(sources, split, title), shards)


def _common_info(sources: Sequence[_Source], split: str, title: str) -> DatasetInfo:
    """What is said of a split: what all scenes agree on, and the strictest of what they do not."""
    first = sources[0].index
    configs = [source.index.config for source in sources]
    common = {key: value for key, value in first.config.items() if all(each.get(key) == value for each in configs)}
    if PHOTO_LICENCE not in common:
        known = {str(each[PHOTO_LICENCE]) for each in configs if each.get(PHOTO_LICENCE)}
        if len(known) and all(each.get(PHOTO_LICENCE) for each in configs):
            common[PHOTO_LICENCE] = " and ".join(sorted(known))
    licences = sorted({source.index.provenance.licence for source in sources})
    scales = {source.index.metres_per_unit for source in sources}
    return DatasetInfo(
        scene=title,
        split=split,
        label=first.label,
        provenance=replace(first.provenance, licence=" and ".join(licences)),
        metres_per_unit=scales.pop() if len(scales) == 1 else None,
        config=common,
        generator=first.generator,
    )


def _rename_samples(path: Path, split: str, scene: str) -> None:
    with h5py.File(path, "r+", libver=LIBVER) as file:
        file.attrs["split"] = split
        for name in TEXT_COLUMNS:
            texts = [f"{scene}{_BETWEEN}{text}".encode() for text in file[name].asstr()[()]]
            del file[name]
            kind = h5py.string_dtype("utf-8", max(map(len, texts)))
            file.create_dataset(name, data=np.array(texts, dtype=kind), chunks=(1,), track_times=False)


def _weights(sources: Sequence[_Source]) -> dict[str, float]:
    """A scene weighs what its labelled pixels weigh if every disparity that occurs counts alike; mean 1."""
    shares = {source.data.name: _histogram(source.data.folder) for source in sources}
    together = np.mean(list(shares.values()), axis=0)
    inverse = np.divide(1.0, together, out=np.zeros_like(together), where=together > 0)
    raw = {name: float(share @ inverse) for name, share in shares.items()}
    mean = sum(raw.values()) / len(raw) or 1.0
    return {name: round(value / mean, 6) for name, value in raw.items()}


def _histogram(folder: Path) -> Float[np.ndarray, "bins"]:
    """Shares of the labelled pixels by octaves of disparity, so that a bin is as wide as its disparities are alike."""
    counts = np.zeros(int(math.log2(_MAX_BIN_PX)) + 2)
    for sample in read_dataset(folder):
        known = sample.disparity[np.isfinite(sample.disparity)].astype(np.float64)
        octaves = np.floor(np.log2(np.clip(known, 0.5, _MAX_BIN_PX))).astype(int) + 1
        counts += np.bincount(octaves, minlength=len(counts))
    return counts / max(counts.sum(), 1.0)


def _card(title: str, indices: Mapping[str, DatasetIndex], merged: Merged, licence: DatasetLicence) -> str:
    samples = sum(index.sample_count for index in indices.values())
    first = next(iter(indices.values()))
    lines = ["---", f"pretty_name: {json.dumps(f'{title}, stereo', ensure_ascii=False)}", *licence.yaml_lines()]
    lines += ["task_categories:", "- depth-estimation", "tags:"]
    lines += [f"- {tag}" for tag in ("stereo", "stereo-matching", "disparity", "gaussian-splatting", "3d")]
    lines += ["- non-commercial"] * licence.non_commercial
    lines += ["size_categories:", f"- {json.dumps(size_category(samples))}", "configs:", "- config_name: default"]
    lines += ["  data_files:"]
    for split in indices:
        lines += [f"  - split: {split}", f"    path: {json.dumps(f'{split}/{split}-*.h5')}"]
    lines += ["---", "", f"# {one_line(title)}: rectified stereo of {len(merged.scenes)} scenes", ""]
    lines += [
        f"{samples} pairs of {first.width}x{first.height} pixels with {one_line(first.label)} labels, rendered from "
    ]
    lines[-1] += "Gaussian splats of photos. No scene, and no two scenes that share photos, are in two splits."
    lines += ["", "| scene | split | samples | weight | licence | metres a unit |", "|---|---|---|---|---|---|"]
    for entry in merged.scenes:
        scale = "unknown" if entry.metres_per_unit is None else f"{entry.metres_per_unit:g}"
        words = [entry.scene, entry.split, str(entry.samples), f"{entry.weight:g}", entry.licence, scale]
        lines.append(f"| {' | '.join(map(one_line, words))} |")
    lines += ["", "The name of a sample begins with that of its scene. Weights are for a sampler; 1 unless balanced."]
    if merged.left_out:
        lines += ["", "Left out:", "", *(f"- {one_line(reason)}" for reason in merged.left_out.values())]
    lines += ["", "## Licence", "", *licence.card_lines(), "", CONVENTIONS.strip(), "", "## Load", "", "```python"]
    lines += ["import datasets", "", "pairs = datasets.load_dataset('.', streaming=True)", "```", "", "```python"]
    lines += ["from gs_stereo import StereoDataset", "", f"train = StereoDataset('{next(iter(indices))}')", "```", ""]
    return "\n".join(lines)
