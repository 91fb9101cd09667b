"""The fused label on boards: which source wins, what is dropped, what is flagged, and the table of evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import BOARD_FOCAL_TIMES_BASELINE, Board, board_pair
from trust_models import one_eyed

from gs_stereo.labels.config import FusionConfig, LabelConfig
from gs_stereo.labels.evidence import DOUBTS, EVIDENCE, OF_THE_PAIR, Case, gather
from gs_stereo.labels.fused import FusionRules, fused_label, judge, proposals
from gs_stereo.labels.judgement import case_of
from gs_stereo.labels.observations import (
    MULTIBASELINE,
    PHOTOS,
    POINTS,
    SILHOUETTES,
    SURFACES,
    VIEWS,
    MatchedPair,
    Observations,
    ViewDepth,
)
from gs_stereo.labels.rendered import rendered_evidence
from gs_stereo.labels.trust import load_trust
from gs_stereo.types import DisparityPrediction, LabelFlag

BOARDS = (Board(disparity_px=4.0), Board(disparity_px=20.0, x_from=70, x_to=100))
TRUST = one_eyed()
RULES = FusionRules(fusion=FusionConfig(), labels=LabelConfig(), trust=TRUST)


def view_depth(disparity: np.ndarray, **clues: float) -> ViewDepth:
    maps = {name: np.full(disparity.shape, value, np.float32) for name, value in clues.items()}
    return ViewDepth(inverse_depth=(disparity / BOARD_FOCAL_TIMES_BASELINE).astype(np.float32), clues=maps)


def surfaces(disparity: np.ndarray, hole: np.ndarray | float = 0.0) -> ViewDepth:
    found = view_depth(disparity, unsupported=0.0, spread=0.0, blank_px=0.0, beside_thin=0.0)
    holes = np.broadcast_to(np.float32(hole), disparity.shape)
    return replace(found, clues={**found.clues, "hole": holes})


def matched(left: np.ndarray, right: np.ndarray | None = None) -> MatchedPair:
    sides = [None if d is None else DisparityPrediction(disparity=d.astype(np.float32)) for d in (left, right)]
    assert sides[0] is not None
    return MatchedPair(left=sides[0], right=sides[1])


def is_set(label, flag: LabelFlag) -> np.ndarray:
    return (label.flags & flag) != 0


def test_the_splat_alone_is_labelled() -> None:
    pair, disparity, hidden = board_pair(BOARDS)
    label = fused_label(Observations(pair=pair, views={VIEWS: view_depth(disparity)}), RULES)
    assert (label.disparity.dtype, label.confidence.dtype, label.flags.dtype) == (np.float32, np.uint8, np.uint16)
    np.testing.assert_allclose(label.disparity, disparity, rtol=1e-6)
    np.testing.assert_array_equal(is_set(label, LabelFlag.OCCLUDED), hidden)
    assert is_set(label, LabelFlag.OUT_OF_FRAME)[:, :4].all()
    assert is_set(label, LabelFlag.FROM_SPLAT).all()
    agreed = TRUST.judge("splat", {"views_px": np.zeros((1, 1))}).confidence
    assert label.confidence.min() == round(255 * agreed[0, 0])


def test_the_silhouettes_decide_what_is_hidden_and_leave_the_label() -> None:
    """Rendered depth whose board is 3 px too narrow on its left, and the view's map with the true edge."""
    truth, disparity, hidden = board_pair(BOARDS)
    rough, rough_disparity, _ = board_pair((BOARDS[0], replace(BOARDS[1], x_from=73.0)))
    pair = replace(truth, left_depth=rough.left_depth)
    views = {VIEWS: view_depth(rough_disparity), SILHOUETTES: view_depth(disparity)}
    label = fused_label(Observations(pair=pair, views=views), RULES)
    np.testing.assert_array_equal(is_set(label, LabelFlag.OCCLUDED), hidden)
    np.testing.assert_allclose(label.disparity, rough_disparity, rtol=1e-6)


def test_a_small_step_hides_only_where_the_surfaces_are_trusted() -> None:
    """Neighbours contradict the upper half: a step of 1.5 px hides nothing there, one of 16 px hides as below."""
    for near_px, hides in ((5.5, False), (20.0, True)):
        pair, disparity, hidden = board_pair((BOARDS[0], Board(disparity_px=near_px, x_from=70, x_to=100)))
        doubted = disparity.copy()
        doubted[:20] += 3
        label = fused_label(Observations(pair=pair, views={VIEWS: view_depth(doubted)}), RULES)
        found, reach = is_set(label, LabelFlag.OCCLUDED), 6
        assert hidden.any()
        np.testing.assert_array_equal(found[: 20 - reach], hidden[: 20 - reach] & hides)
        np.testing.assert_array_equal(found[20 + reach :], hidden[20 + reach :])


def test_photos_win_where_they_match_and_the_splat_where_they_do_not() -> None:
    pair, disparity, _ = board_pair(BOARDS)
    photos = disparity + 0.1
    photos[:10] += 5  # far from what the neighbours see
    photos[10:20] = np.nan
    sources = Observations(pair=pair, views={VIEWS: view_depth(disparity), PHOTOS: view_depth(photos, cost=0.01)})
    label = fused_label(sources, RULES)
    np.testing.assert_allclose(label.disparity[:20], disparity[:20], rtol=1e-5)
    np.testing.assert_allclose(label.disparity[20:], photos[20:], rtol=1e-5)
    np.testing.assert_array_equal(is_set(label, LabelFlag.FROM_SPLAT)[:, 0], np.arange(40) < 20)


def test_a_surface_takes_the_place_of_what_it_surrounds() -> None:
    """The splat shows a reflection, four pixels of disparity behind the wall; neighbours see the wall."""
    truth, disparity, _ = board_pair((Board(disparity_px=8.0),))
    mirrored, _, _ = board_pair((Board(disparity_px=8.0), Board(disparity_px=4.0, x_from=70, x_to=100)))
    inside = np.zeros(disparity.shape, bool)
    inside[:, 70:100] = True
    median = np.where(inside, 2 * truth.left_depth.median, truth.left_depth.median)
    pair = replace(truth, left_depth=replace(mirrored.left_depth, median=median))
    views = {VIEWS: view_depth(disparity), SURFACES: surfaces(disparity, hole=inside)}
    label = fused_label(Observations(pair=pair, views=views), RULES)
    np.testing.assert_allclose(label.disparity, disparity, rtol=1e-6)
    np.testing.assert_array_equal(is_set(label, LabelFlag.INFERRED), inside)
    np.testing.assert_array_equal(is_set(label, LabelFlag.REFLECTION), inside)
    silent = fused_label(Observations(pair=pair, views={VIEWS: view_depth(disparity)}), RULES)
    deeper = np.where(inside, 0.5 * disparity, disparity)
    deceived = Observations(pair=pair, views={VIEWS: view_depth(deeper), SURFACES: surfaces(disparity, hole=inside)})
    label = fused_label(deceived, RULES)
    np.testing.assert_array_equal(np.isnan(label.disparity), inside)
    kept = replace(RULES, fusion=FusionConfig(reflections="keep"))
    np.testing.assert_allclose(fused_label(deceived, kept).disparity, deeper, rtol=1e-6)
    assert np.isnan(silent.disparity[inside]).all()


def test_doubtful_pixels_get_no_label() -> None:
    pair, disparity, _ = board_pair(BOARDS)
    elsewhere = disparity.copy()
    elsewhere[:5] += 3
    sources = Observations(pair=pair, views={VIEWS: view_depth(elsewhere)})
    label = fused_label(sources, RULES)
    assert np.isnan(label.disparity[:5]).all()
    assert (label.confidence[:5] == 0).all()
    assert is_set(label, LabelFlag.MULTI_VIEW_INCONSISTENT)[:5].all()
    assert not is_set(label, LabelFlag.FROM_SPLAT)[:5].any()
    assert np.isfinite(label.disparity[5:]).all()
    patient = replace(RULES, fusion=FusionConfig(min_confidence=0.0))
    assert np.isfinite(fused_label(sources, patient).disparity).all()


def test_a_matcher_fills_where_the_splat_has_nothing() -> None:
    pair, disparity, _ = board_pair(BOARDS)
    median = pair.left_depth.median.copy()
    median[3] = np.nan
    pair = replace(pair, left_depth=replace(pair.left_depth, median=median))
    sources = Observations(pair=pair, views={VIEWS: view_depth(disparity)}, matched={"any": matched(disparity)})
    label = fused_label(sources, RULES)
    np.testing.assert_allclose(label.disparity, disparity, rtol=1e-6)
    np.testing.assert_array_equal(is_set(label, LabelFlag.FROM_SPLAT)[:, 120], np.arange(40) != 3)


def test_sources_are_asked_only_where_their_answer_can_matter() -> None:
    """The same as asking all of them everywhere."""
    pair, disparity, _ = board_pair(BOARDS)
    off = np.random.default_rng(0).normal(size=disparity.shape) * np.linspace(0, 2, disparity.shape[1])
    photos, answer = np.where(disparity < 5, np.abs(disparity + off), np.nan), matched(np.abs(disparity + off[::-1]))
    views = {VIEWS: view_depth(disparity), PHOTOS: view_depth(photos, cost=0.05, few=0.2, colour_levels=1.0)}
    seen, trust, margin = Observations(pair=pair, views=views, matched={"any": answer}), load_trust(), 0.04
    rendered = rendered_evidence(pair, RULES.labels)
    confidence, source = np.full(disparity.shape, -np.inf), np.full(disparity.shape, -1)
    for index, proposal in enumerate(proposals(seen, rendered)):
        trusted = trust.judge(proposal.kind, gather(case_of(proposal, seen, rendered))).confidence
        better = np.isfinite(proposal.disparity) & (trusted > confidence + margin)
        confidence, source = np.where(better, trusted, confidence), np.where(better, index, source)
    judged = judge(seen, rendered, replace(RULES, trust=trust, fusion=FusionConfig(switch_margin=margin)))
    assert (confidence > 1 - margin).any()
    assert {0, 1} <= set(np.unique(source))
    np.testing.assert_array_equal(judged.source, source)
    np.testing.assert_allclose(judged.confidence, confidence, atol=1e-6)


def test_experts_are_compared_only_where_the_right_eye_sees() -> None:
    pair, disparity, hidden = board_pair(BOARDS)
    right = pair.rig.focal_times_baseline / pair.right_depth.median
    wrong = disparity + 4
    views = {VIEWS: view_depth(disparity)}
    sources = Observations(pair=pair, views=views, matched={"bad": matched(wrong, right)})
    label = fused_label(sources, RULES)
    seen = ~hidden & (np.arange(160) >= 4)
    assert is_set(label, LabelFlag.SOURCES_DISAGREE)[seen].all()
    assert not is_set(label, LabelFlag.SOURCES_DISAGREE)[~seen].any()
    assert is_set(label, LabelFlag.LEFT_RIGHT_INCONSISTENT)[:, 110:].all()


def test_a_view_that_is_off_scale_loses_its_labels_where_it_matters() -> None:
    pair, disparity, _ = board_pair(BOARDS)
    points = np.full(disparity.shape, np.nan)
    points[::4, ::4] = 1.1 * disparity[::4, ::4]  # ten percent: 0.4 px of 4, 2 px of 20
    views = {POINTS: view_depth(points), VIEWS: view_depth(disparity)}
    label = fused_label(Observations(pair=pair, views=views), RULES)
    np.testing.assert_array_equal(np.isnan(label.disparity), disparity > 10)


def test_every_piece_of_evidence_is_zero_for_a_perfect_scene_and_grows_with_the_error() -> None:
    pair, disparity, _ = board_pair((Board(disparity_px=4.0),))
    right = pair.rig.focal_times_baseline / pair.right_depth.median
    sources = Observations(
        pair=pair,
        views={name: view_depth(disparity, cost=0.0) for name in (MULTIBASELINE, VIEWS, POINTS)}
        | {PHOTOS: view_depth(disparity, cost=0.0, few=0.0, colour_levels=0.0), SURFACES: surfaces(disparity)},
        matched={"one": matched(disparity, right), "two": matched(disparity, right)},
    )
    rendered = rendered_evidence(pair, LabelConfig())
    blind = rendered.visibility.occluded | rendered.visibility.out_of_frame
    found = [
        gather(Case(disparity=disparity + error, observations=sources, rendered=rendered, blind=blind))
        for error in (0, 1.5)
    ]
    assert list(found[0]) == list(EVIDENCE)
    quiet = {name: np.nanmax(found[0][name]) for name in DOUBTS}
    assert quiet.pop("near_step") < 0.03
    assert max(quiet.values()) < 1e-5, quiet
    assert {values.shape for values in found[0].values()} == {disparity.shape}
    for name in (
        "splat_px",
        "photos_px",
        "multibaseline_px",
        "surface_px",
        "views_px",
        "points_px",
        "experts_px",
        "eyes_px",
    ):
        np.testing.assert_allclose(found[1][name][:, 10:], 1.5, atol=1e-5, err_msg=name)


def test_evidence_of_the_pair_is_the_same_for_every_disparity() -> None:
    pair, disparity, _ = board_pair(BOARDS)
    right = pair.rig.focal_times_baseline / pair.right_depth.median
    stack, photos = view_depth(disparity, cost=0.1), view_depth(disparity, cost=0.1, few=0.5, colour_levels=3.0)
    views = {PHOTOS: photos, MULTIBASELINE: stack, SURFACES: surfaces(disparity)}
    sources = Observations(pair=pair, views=views, matched={"one": matched(disparity + 0.2, right)})
    rendered = rendered_evidence(pair, LabelConfig())
    blind = rendered.visibility.occluded
    cases = [
        Case(disparity=d, observations=sources, rendered=rendered, blind=blind) for d in (disparity, 2 * disparity + 1)
    ]
    found = [gather(case) for case in cases]
    alike = [name for name in found[0] if np.array_equal(found[0][name], found[1][name], equal_nan=True)]
    assert set(OF_THE_PAIR) <= set(alike)


def test_absent_sources_give_no_evidence() -> None:
    pair, disparity, _ = board_pair(BOARDS)
    rendered = rendered_evidence(pair, LabelConfig())
    blind = np.zeros(disparity.shape, bool)
    case = Case(disparity=disparity, observations=Observations(pair=pair), rendered=rendered, blind=blind)
    own = {"splat_px", "eyes_px", "skew_px", "spread_px", "see_through"}
    assert set(gather(case)) == own | {"edge_px", "near_step", "rough_px", "bend_px", "off_median_px"} | {
        "disparity_px",
        "texture",
        "fine_texture",
        "own_texture",
        "own_share",
    }


def test_the_median_expert_decides_among_three() -> None:
    pair, disparity, _ = board_pair((Board(disparity_px=4.0),))
    answers = {str(k): matched(disparity + error) for k, error in enumerate((0.1, 0.2, 9.0))}
    rendered = rendered_evidence(pair, LabelConfig())
    blind = np.zeros(disparity.shape, bool)
    case = Case(
        disparity=disparity, observations=Observations(pair=pair, matched=answers), rendered=rendered, blind=blind
    )
    np.testing.assert_allclose(gather(case)["experts_px"], 0.2, atol=1e-5)


def test_edge_evidence_is_the_step_beside_a_board() -> None:
    pair, disparity, _ = board_pair(BOARDS)
    rendered = rendered_evidence(pair, LabelConfig())
    blind = np.zeros(disparity.shape, bool)
    values = gather(Case(disparity=disparity, observations=Observations(pair=pair), rendered=rendered, blind=blind))
    assert values["edge_px"][20, 69] == pytest.approx(16)
    assert values["edge_px"][20, 60] == 0
