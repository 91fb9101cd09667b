"""A job for the process that runs pycolmap: what it is asked, how far it is, and what it answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from gs_stereo.core.child import Child, Fixes, Program
from gs_stereo.core.records import Record, json_text, record_from_json
from gs_stereo.io.reconstruction import PoseRefinement
from gs_stereo.sfm.config import Convention
from gs_stereo.sfm.conventions import PoseFit

MASKS = "masks"
_MAX_RESULT_BYTES = 1 << 28
_FIXES = Fixes(
    killed="use a smaller --max-image-size or fewer photos",
    crashed="try a smaller --max-image-size, or remove the photo it names",
    failed="see the log above, and run again with fewer or other photos",
)


@dataclass(frozen=True, kw_only=True)
class CameraGroup(Record):
    """Images of `folder` that share one camera. params: COLMAP's order; prior: the focal length is trusted."""

    names: Sequence[str]
    model: str
    width: int
    height: int
    params: Sequence[float]
    prior: bool


@dataclass(frozen=True, kw_only=True)
class Job(Record):
    """One run of the worker.

    task: poses are unknown, or given and kept, or given and only compared with the matches.
    folder: images, with names that need no quoting, and their masks, if any, in MASKS. output: where the worker writes
    the model.
    pairs: names to match; with `retrieve` > 0 the most similar images of each one are matched as well.
    try_own_cameras: map with a camera for each image too where shared ones fit poorly, and keep what is better.
    poses: where they are given, name -> the first three rows of cam_from_world. read_as: how they were written.
    refine: of the poses (and focal lengths) before points are triangulated; accepted where held-out matches agree.
    """

    task: Literal["map", "triangulate", "compare"]
    folder: str
    output: str
    groups: Sequence[CameraGroup]
    pairs: Sequence[Sequence[str]]
    retrieve: int = 0
    mapper: str = "incremental"
    try_own_cameras: bool = False
    poses: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    read_as: Convention = "cam_from_world_opencv"
    refine: Literal["nothing", "poses", "poses and focal"] = "nothing"
    seed: int = 0
    threads: int = 0

    @property
    def names(self) -> list[str]:
        return sorted(name for group in self.groups for name in group.names)


@dataclass(frozen=True, kw_only=True)
class JobResult(Record):
    """models: registered images in each model, largest first; the first is in `output` unless the list is empty.

    features: keypoints of each image. partners: with how many other images each one has verified matches.
    pose_fit: how well given poses explain the matches. refinement: of those in the model, None if it was not tried.
    own_cameras: a camera for each image was the better choice;
    shared_error_px: mean reprojection error that shared ones had left, if they gave a model.
    """

    models: Sequence[int]
    features: Mapping[str, int]
    partners: Mapping[str, int]
    pose_fit: PoseFit | None = None
    refinement: PoseRefinement | None = None
    own_cameras: bool = False
    shared_error_px: float | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`done` of `total` in `step`: frames, photos, features, similar, pairs, registered, triangulated, undistorted."""

    step: str
    done: int
    total: int


OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """For callers that do not watch."""


def run_job(job: Job, on_progress: OnProgress = ignore_progress) -> JobResult:
    """Run `job` in a process of its own; StageError if it ends without a result."""
    program = Program.of_module("gs_stereo.sfm.worker", name="Structure from motion", fixes=_FIXES)
    # Each of its threads searches features alone.
    with Child(replace(program, environment={**program.environment, "OMP_NUM_THREADS": "1"})) as child:
        answer = child.request(
            {},
            json_text(job).encode("utf-8"),
            answer_bytes=_MAX_RESULT_BYTES,
            on_progress=lambda header: on_progress(
                Progress(**{name: header[name] for name in ("step", "done", "total")})
            ),
        )
    return record_from_json(JobResult, answer.payload)
