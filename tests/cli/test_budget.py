"""--budget takes the best preset that fits a time, and a run says what is left of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gs_stereo.cli.budget import PRESETS, Forecast
from gs_stereo.cli.main import app
from gs_stereo.core.cores import cores
from gs_stereo.log import Progress
from gs_stereo.pipeline.cell import Cell
from gs_stereo.pipeline.graph import unfold
from gs_stereo.pipeline.recipe import resolve
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.stages.costs import cell_costs
from gs_stereo.stages.registry import DEFAULT_RECIPE, STAGES


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Twelve photos, of which nothing but the number matters."""
    (tmp_path / "images").mkdir()
    for number in range(12):
        data = io.BytesIO()
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(data, "png")
        (tmp_path / "images" / f"{number}.png").write_bytes(data.getvalue())
    return tmp_path


def cells_of(scene: Path, preset: str | None) -> list[Cell]:
    return unfold(resolve(DEFAULT_RECIPE, STAGES, {}, preset), [ScenePaths.of(scene, None)], 0)


def seconds(scene: Path, preset: str | None) -> float:
    return sum(cost.seconds(cores()) for cost in cell_costs(cells_of(scene, preset)) if cost)


def planned(scene: Path, *more: str) -> Any:
    return CliRunner().invoke(app, ["run", str(scene), "--dry-run", *more])


def test_every_preset_takes_less_than_the_one_before(scene: Path) -> None:
    times = [seconds(scene, preset) for preset in PRESETS]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == len(PRESETS)
    assert all(cell_costs(cells_of(scene, preset))[-1] for preset in PRESETS)


def test_photos_with_fewer_pixels_take_less(scene: Path) -> None:
    small = seconds(scene, None)
    Image.new("RGB", (1600, 1200)).save(scene / "images/0.png")  # the first one stands for all
    assert seconds(scene, None) > 2 * small


@pytest.mark.parametrize(("preset", "name"), [("quality", "quality"), (None, "of the defaults"), ("fast", "fast")])
def test_the_best_preset_that_fits_is_taken(scene: Path, preset: str | None, name: str) -> None:
    done = planned(scene, "--budget", f"{seconds(scene, preset) + 1:.0f}s")
    assert done.exit_code == 0
    assert f"The preset {name} takes about" in done.stderr


def test_a_time_that_nothing_fits_is_a_warning_and_takes_the_soonest(scene: Path) -> None:
    done = planned(scene, "--budget", "1s")
    assert done.exit_code == 0
    assert "Even the preset draft takes about" in done.stderr


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--budget", "soon"), "--budget soon is no time; write it as 90s, 10m or 1h."),
        (("--budget", "1h", "--preset", "fast"), "--budget chooses the preset; leave out --preset, or --budget."),
    ],
)
def test_what_cannot_be_meant_is_refused(scene: Path, more: tuple[str, ...], sentence: str) -> None:
    done = planned(scene, *more)
    assert done.exit_code == 2
    assert sentence in done.stderr


def test_what_has_run_corrects_what_is_expected_of_the_rest(scene: Path) -> None:
    cells = cells_of(scene, None)
    expected = [cost.seconds(cores()) for cost in cell_costs(cells) if cost]
    forecast = Forecast(cells)
    taken = iter(expected)

    def results() -> Iterator[Any]:
        for cell in cells:
            manifest = SimpleNamespace(seconds=2 * next(taken))  # a machine half as fast
            yield SimpleNamespace(cell=cell, outcome=SimpleNamespace(action="done", manifest=manifest))

    watched = forecast.watched(cast(Any, results()))
    next(watched)
    assert Progress.outlook is not None
    assert Progress.outlook.later_s == pytest.approx(2 * sum(expected[2:]))
    assert forecast.left().startswith("; about ")
    assert len(list(watched)) == len(cells) - 1
    assert forecast.left() == ""
    assert Progress.outlook is None
