"""Who labels in how many processes and threads."""

from __future__ import annotations

import pytest
import torch

from gs_stereo.matching.experts import threads_for, workers_for


def test_lite_labels_in_one_thread_a_process_and_nothing_is_left_behind() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with threads_for(("lite", "sgbm")):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        with threads_for(("checkpoint",)):
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_nets_that_use_all_cores_or_a_gpu_have_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert workers_for(("lite", "sgbm")) is None
    assert workers_for(("sgbm", "checkpoint")) == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert workers_for(("lite", "sgbm")) == 1
    assert workers_for(("sgbm",)) is None
