"""What the parent asks of the worker process and what it gets back; plain data that goes through JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class CameraGroup:
    """Images of `folder` that share one camera. params: COLMAP's order; prior: the focal length is trusted."""

    names: Sequence[str]
    model: str
    width: int
    height: int
    params: Sequence[float]
    prior: bool


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of the worker.

    task: "map" (poses unknown) or "triangulate" (poses given and kept).
    folder: images, with names that need no quoting. output: where the worker writes the model.
    pairs: names to match; with `retrieve` > 0 the most similar images of each one are matched as well.
    poses: for "triangulate", name -> the first three rows of cam_from_world.
    """

    task: str
    folder: str
    output: str
    groups: Sequence[CameraGroup]
    pairs: Sequence[Sequence[str]]
    retrieve: int = 0
    mapper: str = "incremental"
    poses: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    seed: int = 0
    threads: int = 0

    @property
    def names(self) -> list[str]:
        return sorted(name for group in self.groups for name in group.names)


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """models: registered images in each model, largest first; the first is in `output` unless the list is empty.

    features: keypoints of each image. partners: with how many other images each one has verified matches.
    """

    models: Sequence[int]
    features: Mapping[str, int]
    partners: Mapping[str, int]


def write_job(path: Path, job: Job) -> None:
    path.write_text(json.dumps(asdict(job)), encoding="utf-8")


def read_job(path: Path) -> Job:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    groups = [CameraGroup(**group) for group in values.pop("groups")]
    return Job(groups=groups, **values)
