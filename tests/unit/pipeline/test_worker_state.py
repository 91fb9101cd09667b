"""What a process keeps between units: one value a slot, dropped and closed when its key changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gs_stereo.labels import matcher
from gs_stereo.matching.checkpoint_config import CheckpointConfig
from gs_stereo.matching.experts import ExpertsConfig
from gs_stereo.matching.sgbm import SgbmMatcher
from gs_stereo.pipeline.worker_state import WorkerState


class Net:
    closed = False

    def close(self) -> None:
        self.closed = True


def test_a_value_is_made_once_a_key_and_closed_when_it_gives_way() -> None:
    state = WorkerState()
    first = state.get("net", "a", Net)
    assert state.get("net", "a", Net) is first
    assert state.get("other", "a", Net) is not first
    second = state.get("net", "b", Net)
    assert second is not first
    assert first.closed
    assert not second.closed
    state.forget("net", "unknown")
    assert second.closed
    assert state.get("net", "b", Net) is not second


def test_a_net_that_was_trained_again_is_loaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "make_matcher", lambda name, experts: SgbmMatcher())
    path = tmp_path / "net.pth"
    path.write_bytes(b"one")
    experts = ExpertsConfig(checkpoint=CheckpointConfig(checkpoint=path))
    first = matcher.matcher_of("checkpoint", experts)
    assert matcher.matcher_of("checkpoint", experts) is first
    path.write_bytes(b"another")
    os.utime(path, ns=(1, 1))
    assert matcher.matcher_of("checkpoint", experts) is not first
