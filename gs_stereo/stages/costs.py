"""Roughly how long the stages of a run take, from their settings and the number of photos.

Fitted to whole runs of three captures (11 to 50 photos of 800 px, 2,000 steps; docs/results.md) on two cores of an
EPYC, whose sums they meet within a fifth. Good enough to choose a preset and to say what is left of a run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import list_photos
from gs_stereo.pipeline.cell import Cell
from gs_stereo.sfm.source import find_source

Settings = Mapping[str, Any]
_MATCHER_SECONDS = {"lite": 3.5, "sgbm": 0.7, "multibaseline": 3.0}
_USUAL_EDGE_PX, _USUAL_GAUSSIANS = 800, 120_000


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds of one core: `serial` by one thread, `shared` by as many as there are."""

    serial: float = 0.0
    shared: float = 0.0

    def seconds(self, cores: int) -> float:
        return self.serial + self.shared / cores


def cell_costs(cells: Sequence[Cell]) -> list[Cost | None]:
    """Of each cell; None for a stage that nothing is known of, and where the photos are not reconstructed."""
    sources = {cell.scene: cell.config for cell in cells if cell.stage == "reconstruct"}
    photos = {scene: _photo_count(Path(scene), settings) for scene, settings in sources.items()}
    costs: list[Cost | None] = []
    for cell in cells:
        if cell.scene not in sources or cell.stage not in _COSTS:
            costs.append(None)
            continue
        size = (sources[cell.scene]["max_image_size"] / _USUAL_EDGE_PX) ** 2
        costs.append(_COSTS[cell.stage](cell.config, photos[cell.scene], size))
    return costs


def _photo_count(scene: Path, settings: Settings) -> int:
    try:
        source = find_source(scene, settings["images"])
        return settings["max_frames"] if source.is_file() else len(list_photos(source))
    except (InputError, OSError):  # the stage itself says it better
        return 0


def _reconstruct(settings: Settings, photos: int, size: float) -> Cost:
    pairs = min(photos * (photos - 1) / 2, photos * max(settings["similar"], settings["exhaustive_limit"] / 2))
    return Cost(serial=0.6 * photos, shared=0.7 * photos * size + 0.1 * pairs * size**0.5)


def _fit(settings: Settings, photos: int, size: float) -> Cost:
    step = 0.1 * (0.4 + 0.6 * size) * (0.4 + 0.6 * settings["max_gaussians"] / _USUAL_GAUSSIANS)
    return Cost(shared=settings["iterations"] * step + 2.5 * photos)


def _render_pairs(settings: Settings, photos: int, size: float) -> Cost:
    return Cost(shared=1.0 * photos * size)


def _label(settings: Settings, photos: int, size: float) -> Cost:
    fused = settings["expert"] == "fused"
    matchers = settings["fused"]["experts"] if fused else (settings["expert"].removeprefix("matcher:"),)
    seconds = 1.4 + sum(_MATCHER_SECONDS.get(name, 0.0) for name in matchers)
    return Cost(serial=6.0, shared=(seconds + 7.0 * (fused and settings["fused"]["photos"])) * photos * size)


def _report(settings: Settings, photos: int, size: float) -> Cost:
    return Cost(serial=4.0 + 0.35 * photos * size)


_COSTS: Mapping[str, Callable[[Settings, int, float], Cost]] = {
    "reconstruct": _reconstruct,
    "fit": _fit,
    "render-pairs": _render_pairs,
    "label": _label,
    "report": _report,
}
