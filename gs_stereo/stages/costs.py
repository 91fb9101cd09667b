"""Roughly how long the stages of a run take, from their settings and the number of photos.

Fitted to whole runs of four captures on two cores of an EPYC (11 to 50 photos of 800 px, 2,000 steps; docs/results.md),
whose fits they met within a twentieth; a step takes 0.82 of that since (lund_door, 500 steps, processor time of one
thread, before and after in one run). The label's are processor seconds of its parts on a faster machine, times 1.45,
by which whole labels differed. Good enough to choose a preset and to say what is left of a run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import fitting_size, list_photos, photo_size
from gs_stereo.pipeline.cell import Cell
from gs_stereo.sfm.source import find_source

Settings = Mapping[str, Any]
_MATCHER_SECONDS = {"lite": 3.8, "sgbm": 0.4, "multibaseline": 2.5}
_USUAL_EDGE_PX, _USUAL_GAUSSIANS = 800, 120_000
_USUAL_PIXELS = 800 * 540  # between 3:2 and 16:9


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds of one core: `serial` by one thread, `shared` by as many as there are."""

    serial: float = 0.0
    shared: float = 0.0

    def seconds(self, cores: int) -> float:
        return self.serial + self.shared / cores


@dataclass(frozen=True, kw_only=True)
class Capture:
    """Photos, and how many times as many pixels as usual each has."""

    photos: int
    size: float


def cell_costs(cells: Sequence[Cell]) -> list[Cost | None]:
    """Of each cell; None for a stage that nothing is known of, and where the photos are not reconstructed."""
    sources = {cell.scene: cell.config for cell in cells if cell.stage == "reconstruct"}
    captures = {scene: _capture(Path(scene), settings) for scene, settings in sources.items()}
    costs: list[Cost | None] = []
    for cell in cells:
        if cell.scene not in sources or cell.stage not in _COSTS:
            costs.append(None)
            continue
        capture = captures[cell.scene]
        costs.append(_COSTS[cell.stage](cell.config, capture.photos, capture.size))
    return costs


def _capture(scene: Path, settings: Settings) -> Capture:
    edge_px = settings["max_image_size"]
    guess = (edge_px / _USUAL_EDGE_PX) ** 2
    try:
        source = find_source(scene, settings["images"])
        if source.is_file():
            return Capture(photos=settings["max_frames"], size=guess)
        photos = list_photos(source)
        width, height = fitting_size(*photo_size(photos[0]), edge_px)
        return Capture(photos=len(photos), size=width * height / _USUAL_PIXELS)
    except (InputError, OSError, IndexError):  # the stage itself says it better
        return Capture(photos=0, size=guess)


def _reconstruct(settings: Settings, photos: int, size: float) -> Cost:
    all_pairs, similar = photos * (photos - 1) / 2, 0.6 * photos * settings["similar"]  # most are so of each other
    pairs = all_pairs if photos <= settings["exhaustive_limit"] else min(all_pairs, similar)
    return Cost(serial=0.6 * photos, shared=0.7 * photos * size + 0.14 * pairs * size**0.5)


def _fit(settings: Settings, photos: int, size: float) -> Cost:
    step = 0.062 * (0.4 + 0.6 * size) * (0.4 + 0.6 * settings["max_gaussians"] / _USUAL_GAUSSIANS)
    return Cost(shared=settings["iterations"] * step + 8.5 * photos * size)  # first depths, and what is transient


def _render_pairs(settings: Settings, photos: int, size: float) -> Cost:
    return Cost(shared=1.0 * photos * size)


def _label(settings: Settings, photos: int, size: float) -> Cost:
    fused = settings["expert"] == "fused"
    matchers = settings["fused"]["experts"] if fused else (settings["expert"].removeprefix("matcher:"),)
    seconds = 2.7 + sum(_MATCHER_SECONDS.get(name, 0.0) for name in matchers)
    return Cost(serial=6.0, shared=(seconds + 3.5 * (fused and settings["fused"]["photos"])) * photos * size)


def _report(settings: Settings, photos: int, size: float) -> Cost:
    return Cost(serial=4.0 + 0.35 * photos * size)


_COSTS: Mapping[str, Callable[[Settings, int, float], Cost]] = {
    "reconstruct": _reconstruct,
    "fit": _fit,
    "render-pairs": _render_pairs,
    "label": _label,
    "report": _report,
}
