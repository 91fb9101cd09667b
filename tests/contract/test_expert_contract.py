"""The matcher contract for experts that need files (stand-ins made here) and for matchers of third parties."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from stand_in_expert import InProcessChild, make_checkout, make_checkpoint
from test_matcher_contract import (  # noqa: F401  (collected again here, for the matchers of this file)
    SHIFT_PX,
    test_deterministic,
    test_prediction,
    test_provenance,
    test_read_only_and_strided_inputs,
    test_two_sizes_are_refused,
)
from tiny_net import TINY_NET, tiny_net_entry
from tiny_onnx import save_matcher, textured_pair

from gs_stereo.errors import PluginError
from gs_stereo.matching import foundation_stereo
from gs_stereo.matching.checkpoint import CheckpointMatcher
from gs_stereo.matching.checkpoint_config import CheckpointConfig
from gs_stereo.matching.foundation_stereo import FoundationStereoMatcher
from gs_stereo.matching.foundation_stereo_config import FoundationStereoConfig
from gs_stereo.matching.onnx import OnnxMatcher
from gs_stereo.matching.onnx_config import OnnxConfig
from gs_stereo.matching.protocol import MATCHERS, StereoMatcher
from gs_stereo.nets.protocol import make_net, resolve_net
from gs_stereo.nets.weights import NetDescription, save_net

_THIRD_PARTY = '''
import numpy as np
from gs_stereo.types import DisparityPrediction, Provenance

class ConstantMatcher:
    """Knows one answer."""

    provenance = Provenance(name="constant", version="1", licence="MIT")

    def predict(self, left, right):
        from gs_stereo.matching.both_sides import check_pair

        check_pair(left, right)
        return DisparityPrediction(disparity=np.full(left.shape[:2], 6, np.float32))
'''


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    return textured_pair((64, 128), SHIFT_PX)


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed distribution with two entry points, one of which cannot be imported."""
    info = tmp_path / "third_party_stereo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party-stereo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[gs_stereo.matcher]\nconstant = third_party_stereo:ConstantMatcher\nbroken = third_party_missing:Matcher\n"
    )
    (tmp_path / "third_party_stereo.py").write_text(_THIRD_PARTY)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("third_party_stereo", None)


@pytest.fixture
def onnx(tmp_path: Path) -> OnnxMatcher:
    model = save_matcher(tmp_path / "tiny.onnx", (64, 128))
    return OnnxMatcher(OnnxConfig(model=model, provider="cpu", threads=1, max_disparity_px=16.0))


@pytest.fixture
def foundationstereo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FoundationStereoMatcher]:
    monkeypatch.setattr(foundation_stereo, "Child", InProcessChild)
    monkeypatch.setattr(sys, "path", list(sys.path))
    checkpoint = make_checkpoint(tmp_path / "weights")
    repo = make_checkout(tmp_path / "repo")
    config = FoundationStereoConfig(expert_repo=repo, expert_python=sys.executable, checkpoint=checkpoint, device="cpu")
    yield FoundationStereoMatcher(config)
    for name in [each for each in sys.modules if each.split(".")[0] in ("core", "omegaconf")]:
        del sys.modules[name]


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CheckpointMatcher:
    monkeypatch.setitem(*tiny_net_entry())
    net = make_net(TINY_NET, resolve_net(TINY_NET))
    save_net(tmp_path / "net", net, NetDescription(net=TINY_NET, settings={"planes": 16}, licence="Apache-2.0"))
    return CheckpointMatcher(CheckpointConfig(checkpoint=tmp_path / "net", device="cpu"))


@pytest.fixture(params=["onnx", "foundationstereo", "checkpoint", "constant"])
def matcher(request: pytest.FixtureRequest, third_party: None) -> StereoMatcher:
    if request.param == "constant":
        return MATCHERS.load("constant")()
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["onnx", "foundationstereo", "checkpoint"])
def expert(request: pytest.FixtureRequest) -> OnnxMatcher | FoundationStereoMatcher | CheckpointMatcher:
    return request.getfixturevalue(request.param)


def test_an_expert_can_be_asked_again(
    expert: OnnxMatcher | FoundationStereoMatcher | CheckpointMatcher, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    first = expert.predict(*pair).disparity
    np.testing.assert_array_equal(expert.predict(*pair, max_disparity_px=16.0).disparity, first)


def test_both_directions_agree_with_single_predictions(
    expert: OnnxMatcher | FoundationStereoMatcher | CheckpointMatcher, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    single = expert.predict(*pair).disparity
    left, right = expert.predict_both(*pair)
    np.testing.assert_array_equal(left.disparity, single)
    assert abs(np.nanmedian(right.disparity) - SHIFT_PX) < 0.5  # positive too: it points to the right


def test_third_parties_come_through_the_entry_points(third_party: None) -> None:
    assert {"constant", "broken"} <= set(MATCHERS.names())
    assert MATCHERS.load("constant").__name__ == "ConstantMatcher"
    with pytest.raises(PluginError, match=r"The matcher 'broken' cannot be loaded \(.*third_party_missing"):
        MATCHERS.load("broken")
