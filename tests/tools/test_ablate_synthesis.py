"""The ablation's data with two views and its table; the trainings themselves are stages with tests of their own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ablate_synthesis import BINS, over_seeds, table, with_two_views

from gs_stereo.datasets.schema import check_sample
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.pairs.stack import sample_stack

WORLDS = TrainingPairConfig(width=64, height=64, stack_views=5, textures=4, texture_px=64, camera_faults=False)


def test_two_views_are_the_ends_of_a_stack() -> None:
    stack = sample_stack(WORLDS, 1, 0)
    two = with_two_views(stack)
    check_sample(two)
    assert two.views is not None
    assert two.offsets is not None
    assert stack.views is not None
    assert stack.offsets is not None
    assert two.offsets.tolist() == [stack.offsets[0], stack.offsets[-1]]
    np.testing.assert_array_equal(two.views, stack.views[[0, 4]])


def test_the_table_is_over_the_seeds_of_the_training(tmp_path: Path) -> None:
    reports = []
    for number, psnr in enumerate((20.0, 22.0)):
        measures = {"psnr": {"mean": psnr, "spread": None}, "slope": {"mean": None, "spread": None}}
        rows = [{"bins": dict.fromkeys(BINS, measures)}]
        reports.append(tmp_path / f"{number}.json")
        reports[-1].write_text(json.dumps({"rows": rows}))
    found = over_seeds(reports, 0)
    assert (found["B = 0"]["psnr"].mean, round(found["B = 0"]["psnr"].spread or 0, 3)) == (21.0, 1.414)
    lines = table({"full": found}, {"full": 2}).splitlines()
    assert lines[2].startswith("| B = 0 | full | 2 | 21.00 ± 1.41 | - | - |")
    assert len(lines) == 2 + len(BINS)
