"""Measuring the samples of a published data set: which of them, and each as a unit of work."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gs_stereo.core.hashing import sha256_file
from gs_stereo.datasets.samples import DatasetSamples
from gs_stereo.datasets.schema import DatasetIndex
from gs_stereo.io.reconstruction import PhotosOfReconstruction, load_sparse_scene
from gs_stereo.pipeline.manifest import PublishedFolder
from gs_stereo.pipeline.worker_state import worker_state
from gs_stereo.quality.config import QualityConfig
from gs_stereo.quality.sample import SampleMeasures, measure_sample


@dataclass(frozen=True, kw_only=True)
class MeasureUnit:
    """One sample to measure.

    dataset: its fingerprint is the sha256 of its index. reconstruction: None = there is none.
    """

    dataset: PublishedFolder
    number: int
    reconstruction: PublishedFolder | None
    limits: QualityConfig


def samples_of(dataset: PublishedFolder) -> DatasetSamples:
    """The samples of a data set, opened once a process; `worker_state.forget("samples")` closes them."""
    return worker_state.get("samples", dataset.fingerprint, lambda: DatasetSamples(dataset.path, probed=True))


def chosen_numbers(count: int, most: int, seed: int) -> list[int]:
    """Numbers of the samples to measure, in order. Drawn at random, because every second view may be special."""
    if count <= most:
        return list(range(count))
    return sorted(np.random.default_rng(seed).choice(count, size=most, replace=False).tolist())


def measure_unit(unit: MeasureUnit) -> SampleMeasures:
    """Measure one sample, against the capture that it was made of if that is there."""
    sample = samples_of(unit.dataset).read(unit.number)
    scene, photo, source = None, None, unit.reconstruction
    if source is not None:
        scene = worker_state.loaded("scene", load_sparse_scene, source)
        photos = worker_state.loaded("photos", PhotosOfReconstruction, source)
        photo = photos(sample.view_id) if sample.view_id in photos.names else None
    return measure_sample(sample, unit.limits, scene, photo)


def damaged_shards(folder: Path, index: DatasetIndex) -> list[str]:
    """Shards that are not what the index says. InputError for one that is missing or that HDF5 cannot open."""
    shards = DatasetSamples(folder).shards
    return [path.name for path, entry in zip(shards, index.shards, strict=True) if sha256_file(path) != entry.sha256]
