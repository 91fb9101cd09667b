"""Label sources by name, and the trust model: which matchers it knows, and whose confidence it calibrates."""

from __future__ import annotations

import numpy as np
import pytest
from builders import Board, board_pair

from gs_stereo.errors import ConfigError, PluginError
from gs_stereo.labels import sources as registry
from gs_stereo.labels.config import LabelSettings
from gs_stereo.labels.matcher import MatcherSource, matched_label
from gs_stereo.labels.observations import MatchedPair
from gs_stereo.labels.protocol import LabelSource, ViewNeeds, own_provenance
from gs_stereo.labels.sources import label_pair, make_source, source_names
from gs_stereo.labels.splat import splat_label
from gs_stereo.labels.trust import load_trust
from gs_stereo.matching.protocol import MATCHERS
from gs_stereo.plugins import Registry
from gs_stereo.types import DisparityPrediction, StereoPair


def boards() -> tuple[StereoPair, MatchedPair]:
    pair, disparity, _ = board_pair((Board(disparity_px=4.0), Board(disparity_px=20.0, x_from=70, x_to=100)))
    right = pair.rig.focal_times_baseline / pair.right_depth.median
    left, other = (DisparityPrediction(disparity=d.astype(np.float32)) for d in (disparity, right))
    return pair, MatchedPair(left=left, right=other)


def fused(*experts: str) -> LabelSettings:
    return LabelSettings.model_validate({"fused": {"experts": experts}})


def test_matchers_that_were_not_calibrated_are_named() -> None:
    assert make_source(LabelSettings()).notes() == ()
    assert make_source(fused("sgbm", "multibaseline")).notes() == ()
    (note,) = make_source(fused("sgbm", "multibaseline", "checkpoint")).notes()
    assert "calibrated without checkpoint;" in note
    assert make_source(LabelSettings(expert="sgbm")).notes() == ()


def test_the_provenance_says_for_which_matchers_it_was_calibrated() -> None:
    settings = make_source(LabelSettings()).provenance().settings
    assert settings["trust"]["experts"] == list(load_trust().experts)


@pytest.mark.parametrize("expert", ["splat", "sgbm", "other"])
def test_single_sources_keep_their_disparity_and_get_a_calibrated_confidence(expert: str) -> None:
    pair, answer = boards()
    settings = LabelSettings()
    if expert == "splat":
        label, plain = label_pair(pair, settings=LabelSettings(expert="splat")), splat_label(pair, settings.rules)
    else:
        label = MatcherSource(settings, expert).label_matched(pair, answer)
        plain = matched_label(pair, answer, settings.rules)
    np.testing.assert_array_equal(label.disparity, plain.disparity)
    np.testing.assert_array_equal(label.flags, plain.flags)
    assert (label.confidence[np.isnan(label.disparity)] == 0).all()
    assert np.array_equal(label.confidence, plain.confidence) == (expert == "other")


@pytest.mark.parametrize("expert", ["fused", "splat", "multibaseline", "sgbm", "matcher:sgbm"])
def test_a_pair_is_labelled_by_any_source_without_a_folder(expert: str) -> None:
    pair, _ = boards()
    everywhere = {"fused": {"experts": ["sgbm"], "min_confidence": 0}}
    label = label_pair(pair, settings=LabelSettings.model_validate({"expert": expert, **everywhere}))
    assert label.disparity.shape == pair.left.shape[:2]
    assert np.isfinite(label.disparity).any() == (expert != "multibaseline")  # which knows nothing without a stack


def test_a_matcher_by_either_name_is_the_same() -> None:
    pair, _ = boards()
    one, other = (label_pair(pair, settings=LabelSettings(expert=name)) for name in ("sgbm", "matcher:sgbm"))
    np.testing.assert_array_equal(one.disparity, other.disparity)
    np.testing.assert_array_equal(one.confidence, other.confidence)


def test_an_unknown_source_is_answered_with_all_names() -> None:
    assert source_names()[:3] == ["fused", "splat", "multibaseline"]
    assert set(MATCHERS.names()) < set(source_names())
    with pytest.raises(PluginError, match=r"no expert called 'lidar'; use one of: fused, splat, multibaseline, sgbm, "):
        make_source(LabelSettings(expert="lidar"))
    with pytest.raises(PluginError, match=r"no expert called 'lidar'; use one of: sgbm, "):
        make_source(fused("lidar")).external_files()
    with pytest.raises(ConfigError, match=r"needs --expert-repo, --expert-python and --checkpoint .*; give them\.$"):
        make_source(LabelSettings(expert="foundationstereo")).external_files()


class EverywhereOne(LabelSource):
    """A third party's label."""

    needs = ViewNeeds(surroundings=True)

    def __init__(self, settings: LabelSettings) -> None:
        self._rules = settings.rules

    def provenance(self):  # type: ignore[no-untyped-def]
        return own_provenance("everywhere-one", {})

    def label(self, pair, views):  # type: ignore[no-untyped-def]
        answer = DisparityPrediction(disparity=np.ones(pair.left.shape[:2], np.float32))
        return matched_label(pair, MatchedPair(left=answer), self._rules)


def test_a_new_source_is_a_class_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    builtin = {**registry.LABEL_SOURCES.builtin, "one": f"{__name__}:EverywhereOne"}
    monkeypatch.setattr(registry, "LABEL_SOURCES", Registry(kind="label_source", builtin=builtin))
    pair, _ = boards()
    disparity = label_pair(pair, settings=LabelSettings(expert="one")).disparity
    assert set(disparity[np.isfinite(disparity)]) == {1.0}
    assert "one" in source_names()
