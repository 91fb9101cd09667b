"""Synthesizers on stacks: every ordered pair, the floor, units, seeds, and what the table and the JSON say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import builders
import numpy as np
import pytest

from gs_stereo.datasets.samples import DatasetSamples
from gs_stereo.errors import ConfigError, InputError, PluginError
from gs_stereo.imaging.images import read_photo
from gs_stereo.synthesis.diffusion import small_synthesizer
from gs_stereo.synthesis.evaluate_stacks import made_at_its_size, stack_views
from gs_stereo.synthesis.evaluation import compare_on_stacks
from gs_stereo.synthesis.evaluation_config import EvaluateSynthesisConfig
from gs_stereo.synthesis.protocol import SourceView, SynthesizedView, SynthesizerSettings
from gs_stereo.synthesis.stack_report import BINS
from gs_stereo.synthesis.summary import summary
from gs_stereo.synthesis.warp import ShiftSynthesizer
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.pairs.stack import sample_stack

WORLDS = TrainingPairConfig(width=96, height=64, stack_views=3, textures=4, texture_px=64, camera_faults=False)
ALL = BINS[-1]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> DatasetSamples:
    stacks = [sample_stack(WORLDS, 1, number) for number in range(2)]
    folder = tmp_path_factory.mktemp("stacks") / "data"
    return DatasetSamples(builders.write_samples(folder, stacks, builders.make_info(metres_per_unit=2.0)))


def test_every_view_is_made_out_of_every_other_in_both_units(samples: DatasetSamples) -> None:
    views = list(stack_views(samples, 0, {"metres", "median_depth"}, None, 0))
    assert len({view.name for view in views}) == 9
    assert sorted(view.range_share for view in views)[:3] == [0, 0, 0]
    assert sum(view.range_share == 1 for view in views) == 2
    for view in views:
        depth, focal = view.sources["median_depth"].depth, samples.read(0).intrinsics[0, 0]
        assert depth is not None
        assert np.median(depth) == pytest.approx(1)
        moved = focal * view.baselines["median_depth"] / depth
        np.testing.assert_allclose(moved, view.truth.disparity, rtol=1e-5, atol=1e-6)
        in_metres = view.sources["metres"].depth
        assert in_metres is not None
        np.testing.assert_allclose(focal * view.baselines["metres"] / in_metres, moved, rtol=1e-5, atol=1e-6)
    few = list(stack_views(samples, 0, {"median_depth"}, 1, 0))
    chosen = [view.name.split()[-1] for view in few]
    assert set(chosen) - {"1>0", "1>2"} == {"0>0", "0>2", "1>1", "2>0", "2>2"}
    assert len(chosen) == 6


def test_a_model_gets_much_larger_views_at_its_own_size() -> None:
    """Its camera shrinks with the picture, so that a shift by depth comes out the same, grown back."""
    picture = builders.noise((96, 160), 1, 3.0)
    given = SourceView(image=picture, intrinsics=np.array([[160.0, 0, 80], [0, 160, 48], [0, 0, 1]]))
    seen: list[SourceView] = []

    class Small(ShiftSynthesizer):
        side_px, multiple_px = 62, 16

        def synthesize(self, source: SourceView, baseline: float, seed: int) -> SynthesizedView:
            seen.append(source)
            return super().synthesize(source, baseline, seed)

    small = Small(SynthesizerSettings())
    made = made_at_its_size(small, given, 0.05, 0)
    assert seen[0].image.shape == (48, 80, 3)
    assert made.shape == picture.shape
    whole = ShiftSynthesizer(SynthesizerSettings()).synthesize(given, 0.05, 0).image
    difference = np.abs(made.astype(float) - whole)[:, 16:-16].mean()
    assert difference < 0.2 * np.abs(whole.astype(float) - picture)[:, 16:-16].mean()
    small.side_px = 130
    np.testing.assert_array_equal(made_at_its_size(small, given, 0.05, 0), whole)
    small.rows_px = 48
    np.testing.assert_array_equal(made_at_its_size(small, given, 0.05, 0), made)


def test_views_of_any_size_are_padded_for_a_model(tmp_path: Path) -> None:
    synthesizer = small_synthesizer(SynthesizerSettings(weights=builders.write_small_model(tmp_path / "tiny")))
    picture = builders.noise((60, 84), 1, 3.0)
    assert picture.shape[0] % synthesizer.multiple_px > 0
    given = SourceView(image=picture, intrinsics=np.array([[80.0, 0, 42], [0, 80, 30], [0, 0, 1]]))
    assert made_at_its_size(synthesizer, given, 0.05, 0).shape == picture.shape


def test_the_table_has_the_floor_the_oracle_and_every_number_of_steps(samples: DatasetSamples, tmp_path: Path) -> None:
    model = builders.write_small_model(tmp_path / "tiny")
    config = EvaluateSynthesisConfig(steps=(1, 2), seeds=2, targets=1)
    names = ["warp", "shift", str(model)]
    report = compare_on_stacks(samples, names, config, 0, pictures=tmp_path / "pictures")
    titles = [row.title for row in report.rows]
    assert titles == ["copy", "warp", "shift", "stereospace-small tiny, 1 step", "stereospace-small tiny, 2 steps"]
    copy, warp, shift, one, _ = (summary(ALL.of(row.views)) for row in report.rows)
    assert copy["slope"].mean == pytest.approx(0, abs=0.02)
    assert copy["sign_right"].mean < 0.02
    assert warp["slope"].mean == pytest.approx(1, abs=0.05)
    assert warp["within_1px"].mean > 0.95
    assert warp["psnr"].mean > shift["psnr"].mean > copy["psnr"].mean
    assert abs(shift["relief"].mean) < 0.2 < 0.8 < warp["relief"].mean
    assert one["psnr"].spread is not None
    assert warp["psnr"].spread is None
    assert len(report.rows[3].views) == 2 * len(report.rows[0].views)
    table = report.to_table()
    assert "warp, oracle depth" in table
    assert "the largest" in table
    text = json.dumps(report.to_json(), allow_nan=False)
    assert json.loads(text)["rows"][1]["oracle_depth"]
    pictures = sorted((tmp_path / "pictures").glob("*.png"))
    assert len(pictures) == 4
    assert read_photo(pictures[0]).shape[1] == 3 * (96 + 3)


def test_what_cannot_be_compared_is_said(samples: DatasetSamples, tmp_path: Path) -> None:
    config = EvaluateSynthesisConfig()
    with pytest.raises(PluginError, match="no synthesizer called 'nope'"):
        compare_on_stacks(samples, ["nope"], config, 0)
    with pytest.raises(ConfigError, match="Two synthesizers are called 'warp'"):
        compare_on_stacks(samples, ["warp", "warp"], config, 0)
    pair = replace(samples.read(0), views=None, offsets=None, view_depth=None)
    info = builders.make_info(metres_per_unit=None)
    pairs = DatasetSamples(builders.write_samples(tmp_path / "pairs", [pair], info))
    with pytest.raises(InputError, match="has no stacks with depth"):
        compare_on_stacks(pairs, ["copy"], config, 0)
    unscaled = DatasetSamples(builders.write_samples(tmp_path / "unscaled", [samples.read(0)], info))
    with pytest.raises(InputError, match="scale of .* is unknown"):
        list(stack_views(unscaled, 0, {"metres"}, None, 0))
