"""Scenes with exact truth for the calibration and the study of labels: made where missing, read pair by pair.

A scene is named by its kind and seed: `plain3` is `gsstereo sample --seed 3`, `hard1` is `--hard --seed 1`, `small1`
the same in 320x240 with fewer photos and steps, so that many kinds of rooms are affordable. What the sources of its
views say (photos, stack, neighbours, planes, points) is asked once and kept in WORK/answers: empty that folder after a
change of these sources. The matchers are asked each time.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gs_stereo.benchmarks.exact import ExactScene, load_exact_scene
from gs_stereo.config import parse_config, parse_overrides
from gs_stereo.core.atomic import atomic_path
from gs_stereo.errors import InputError
from gs_stereo.io.pair_index import read_pair_index
from gs_stereo.io.pairs import read_pair
from gs_stereo.io.reconstruction import load_summary
from gs_stereo.labels.config import LabelSettings
from gs_stereo.labels.fused import FusedSource
from gs_stereo.labels.observations import Observations, ViewDepth
from gs_stereo.labels.units import LabelFolders, plan_units, surroundings_of
from gs_stereo.labels.views import view_depths
from gs_stereo.pipeline.manifest import published_folder
from gs_stereo.types import StereoPair

BASELINES_M = (0.05, 0.1, 0.2)
_NAME = re.compile(r"(plain|hard|small)(\d+)")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A scene with exact truth, its output folder, and where the answers of its views are kept."""

    name: str
    truth: ExactScene
    output: Path
    answers: Path

    @property
    def pairs(self) -> Path:
        return self.output / "pairs/default"

    @property
    def metres_per_unit(self) -> float | None:
        return load_summary(self.output / "reconstruct").metres_per_unit

    def true_disparity(self, sources: Observations) -> np.ndarray:
        """Exact disparity of a pair's left view."""
        view = self.truth.view(sources.pair.view_id)
        baseline_m = sources.pair.rig.baseline * (self.metres_per_unit or 1.0)
        return view.truth().disparity(view.camera.focal_px * baseline_m)


def find_scene(name: str, work: Path) -> Scene:
    """A sample scene by its name, fitted and rendered if it is not there; or FOLDER or FOLDER=OUTPUT."""
    folder, _, output = name.partition("=")
    scene = Path(folder)
    if match := _NAME.fullmatch(name):
        scene = work / "scenes" / name
        _make(scene, match[1], int(match[2]))
    elif not scene.is_dir():
        raise InputError(f"{name} is neither plainN, hardN, smallN nor a folder of a scene.")
    done = Path(output) if output else scene / "gsstereo"
    return Scene(name=scene.name, truth=load_exact_scene(scene), output=done, answers=work / "answers" / scene.name)


def _make(scene: Path, kind: str, seed: int) -> None:
    """Sample, cameras, fit and pairs by the command line, which skips what is up to date."""
    steps: list[list[str]] = []
    if not scene.exists():
        shape = ["--views", "14", "--width", "320", "--height", "240"] if kind == "small" else ["--views", "18"]
        steps.append(["sample", str(scene), "--seed", str(seed), *shape, *([] if kind == "plain" else ["--hard"])])
    if not (scene / "gsstereo/pairs/default/manifest.json").exists():
        baselines = [text for baseline in BASELINES_M for text in ("--baseline", str(baseline))]
        if kind == "plain":
            steps.append(["reconstruct", str(scene), "--set", "camera_positions=camera_positions.txt"])
        else:  # their corridors and corners are too hard for structure from motion
            model = ["--colmap", str(scene / "sparse/0"), "--images", str(scene / "images"), "--metres-per-unit", "1"]
            steps.append(["import", str(scene), *model])
        steps.append(["fit", str(scene), "--iterations", "600" if kind == "small" else "1000"])
        steps.append(["render-pairs", str(scene), *baselines])
    for step in steps:
        subprocess.run([str(Path(sys.executable).with_name("gsstereo")), *step], check=True, stdout=sys.stderr)


def label_settings(assignments: list[str]) -> LabelSettings:
    """Settings of labels, as `gsstereo label --set`."""
    return parse_config(LabelSettings, parse_overrides(assignments), where="--set")


def observations_of(scene: Scene, settings: LabelSettings, every: int) -> Iterator[Observations]:
    """Every pair of every n-th view with all that is known about it, multibaseline too."""
    source = FusedSource(settings)
    entries = read_pair_index(scene.pairs)
    folders = LabelFolders(
        pairs=scene.pairs,
        rendered=True,
        reconstruction=published_folder(scene.output / "reconstruct"),
        fit=published_folder(scene.output / "fit"),
        work=scene.answers,
    )
    views = plan_units(entries, folders, settings, replace(source.needs, stack=True))
    for view in list(views.values())[::every]:
        pairs = [pair for unit in view.pairs if isinstance(pair := read_pair(unit.pair_dir), StereoPair)]
        file = scene.answers / ".views" / f"{pairs[0].sample_id}.npz"
        if not file.exists():
            _write_view(file, view_depths(pairs[0], surroundings_of(view), view.needs, settings.multiview))
        known = _read_view(file)
        for pair in pairs:
            yield source.observe(pair, known)


def _write_view(file: Path, known: Mapping[str, ViewDepth]) -> None:
    maps = {f"{name}.inverse_depth": depth.inverse_depth for name, depth in known.items()}
    maps |= {f"{name}.{clue}": values for name, depth in known.items() for clue, values in depth.clues.items()}
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **maps)


def _read_view(file: Path) -> dict[str, ViewDepth]:
    with np.load(file, allow_pickle=False) as maps:
        found: dict[str, dict[str, np.ndarray]] = {}
        for key in maps.files:
            name, clue = key.split(".")
            found.setdefault(name, {})[clue] = maps[key]
    return {name: ViewDepth(inverse_depth=clues.pop("inverse_depth"), clues=clues) for name, clues in found.items()}
