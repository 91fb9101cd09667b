"""Who labels in how many processes and threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders import Board, board_pair

from gs_stereo.labels import matcher
from gs_stereo.labels.config import LabelSettings
from gs_stereo.labels.sources import make_source
from gs_stereo.matching.experts import ExpertsConfig
from gs_stereo.types import DisparityPrediction


@pytest.mark.parametrize(("expert", "threads"), [("lite", 1), ("checkpoint", 3)])
def test_lite_labels_in_one_thread_a_process_and_nothing_is_left_behind(
    expert: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Watched:
        def predict(self, left: np.ndarray, right: np.ndarray) -> DisparityPrediction:
            seen.append(torch.get_num_threads())
            return DisparityPrediction(disparity=np.ones(left.shape[:2], np.float32))

    monkeypatch.setattr(matcher, "matcher_of", lambda name, experts: Watched())
    experts = ExpertsConfig.model_validate({"checkpoint": {"checkpoint": "net.pth"}})
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        matcher.ask(expert, board_pair((Board(disparity_px=4.0),))[0], experts)
        assert set(seen) == {threads}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_nets_that_use_all_cores_or_a_gpu_have_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def processes(*experts: str, device: str = "auto") -> int | None:
        nets = {"checkpoint": {"checkpoint": "net.pth"}, "lite": {"device": device}}
        settings = {"fused": {"experts": experts}, "experts": nets}
        return make_source(LabelSettings.model_validate(settings)).processes()

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert processes("lite", "sgbm") is None
    assert processes("sgbm", "checkpoint") == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert processes("lite", "sgbm") == 1
    assert processes("lite", "sgbm", device="cpu") is None
    assert processes("sgbm") is None
