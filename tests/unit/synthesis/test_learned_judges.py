"""iSQoE and MEt3R as child processes, by stand-ins with their layout: order of the eyes, sizes, licences, failures."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from stand_in_judges import make_isqoe, make_met3r

from gs_stereo.errors import InputError, StageError
from gs_stereo.synthesis.judges.config import IsqoeConfig, Met3rConfig
from gs_stereo.synthesis.judges.learned import LearnedJudge

LEFT = np.full((48, 64, 3), 51, np.uint8)
RIGHT = np.full((48, 64, 3), 102, np.uint8)


def test_isqoe_is_asked_for_the_left_eye_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    repo = make_isqoe(tmp_path / "isqoe", gain=2.0)
    config = IsqoeConfig(repo=repo, python=sys.executable, checkpoint=repo / "isqoe_1_1.ckpt", device="cpu")
    with caplog.at_level(logging.WARNING), LearnedJudge(config) as judge:
        assert judge(LEFT, RIGHT) == pytest.approx(2 * (0.2 - 2 * 0.4), abs=1e-5)
        assert judge(RIGHT, LEFT) == pytest.approx(2 * (0.4 - 2 * 0.2), abs=1e-5)
    assert "research only" in caplog.text


def test_met3r_is_asked_in_both_directions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = Met3rConfig(repo=make_met3r(tmp_path / "met3r"), python=sys.executable, size_px=64, device="cpu")
    with caplog.at_level(logging.WARNING), LearnedJudge(config) as judge:
        left, right = LEFT[0, 0, 0] / 127.5 - 1, RIGHT[0, 0, 0] / 127.5 - 1
        both = (left - 3 * right + right - 3 * left) / 2
        assert judge(LEFT, RIGHT) == pytest.approx(both, abs=1e-5)
        with pytest.raises(StageError, match="MEt3R failed .*no points"):
            judge(LEFT, LEFT)
    assert "non-commercial" in caplog.text


def test_what_is_missing_or_unfit_is_said(tmp_path: Path) -> None:
    repo = make_isqoe(tmp_path / "isqoe")
    good = IsqoeConfig(repo=repo, python=sys.executable, checkpoint=repo / "isqoe_1_1.ckpt", device="cpu")
    for wrong, message in (
        ({"python": "no-such-python"}, "There is no program no-such-python"),
        ({"repo": tmp_path}, "iSQoE has no .*lightning_model.py"),
        ({"checkpoint": tmp_path / "none.ckpt"}, "iSQoE has no .*none.ckpt"),
    ):
        with pytest.raises(InputError, match=message):
            LearnedJudge(good.model_copy(update=wrong))
    torch.save({"state_dict": {}}, good.checkpoint)
    with pytest.raises(StageError, match="iSQoE failed .*gain"):
        LearnedJudge(good)
    torch.save(Path("code"), good.checkpoint)  # it holds more than weights
    with pytest.raises(StageError, match="iSQoE failed .*Unpickling"):
        LearnedJudge(good)
