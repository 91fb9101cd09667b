"""Figures of an audit, and their intervals."""

from dataclasses import replace

import numpy as np
import pytest

from gs_stereo.audit.scores import AuditReport, OwnLabels, PlantedScores, RegionScores
from gs_stereo.planting.objects import ObjectKind
from gs_stereo.planting.truth import NO_OBJECT, PlantedTruth
from gs_stereo.types import LabelFlag

KINDS: tuple[ObjectKind, ...] = ("plain", "blank", "plain", "thin")


def truth_of_columns() -> PlantedTruth:
    """Four objects of ten columns each, and ten columns of none."""
    owner = np.repeat(np.array([0, 1, 2, 3, NO_OBJECT], np.int16), 10)[None].repeat(20, axis=0)
    on_object = owner != NO_OBJECT
    hidden = ~on_object & (np.arange(50) >= 45)
    return PlantedTruth(
        owner=owner,
        disparity=np.where(on_object, 8.0, np.nan),
        doubtful=np.zeros_like(on_object),
        seen_by_both=on_object,
        outside=np.zeros_like(on_object),
        edge=on_object & (np.arange(50) % 10 == 0),
        hidden=hidden,
        around=~on_object,
        real_edge_share=0.1,
    )


def by_region(scores: PlantedScores) -> dict[str, RegionScores]:
    return {found.region: found for found in scores.compute(seed=0)}


def scored(disparity: np.ndarray, confidence: int = 255, flags: np.ndarray | None = None) -> PlantedScores:
    scores = PlantedScores(KINDS, blank_share=0.25)
    truth = truth_of_columns()
    flags = np.zeros(truth.owner.shape, np.uint16) if flags is None else flags
    scores.update(truth, disparity, np.full(truth.owner.shape, confidence, np.uint8), flags)
    return scores


def test_exact_labels_have_no_error_and_full_coverage() -> None:
    truth = truth_of_columns()
    flags = np.where(truth.hidden, LabelFlag.OCCLUDED, 0).astype(np.uint16)
    scores = scored(truth.disparity, flags=flags)
    found = by_region(scores)
    assert set(found) == {"all", "plain", "blank", "thin", "edge"}
    for region in found.values():
        assert (region.coverage.value, region.epe_px.value, region.bad_1.high, region.ece) == (1.0, 0.0, 0.0, 0.0)
    assert scores.occlusion_f1 == 1.0


def test_errors_belong_to_their_kind_and_thresholds() -> None:
    disparity = truth_of_columns().disparity.copy()
    disparity[:, 10:20] += 1.5  # the blank one
    disparity[:10, 20:30] = np.nan  # half of the second plain one
    found = by_region(scored(disparity))
    blank, plain = found["blank"], found["plain"]
    assert (blank.bad_05.value, blank.bad_1.value, blank.bad_2.value) == (1.0, 1.0, 0.0)
    assert blank.epe_px.value == pytest.approx(1.5)
    assert (plain.coverage.value, plain.bad_1.value) == (0.75, 0.0)
    assert (plain.coverage.low, plain.coverage.high) == (0.5, 1.0)  # objects are drawn again, not pixels
    assert blank.promised_bad_1 == 0.0
    assert blank.ece == 1.0


def test_all_mixes_the_kinds_as_the_photos_do() -> None:
    disparity = truth_of_columns().disparity.copy()
    disparity[:, 10:20] += 1.5
    assert by_region(scored(disparity))["all"].bad_1.value == pytest.approx(0.25)


def test_hidden_pixels_that_are_not_flagged_count_against_the_labels() -> None:
    truth = truth_of_columns()
    half = np.where(truth.hidden & (np.arange(20)[:, None] < 10), LabelFlag.OCCLUDED, 0).astype(np.uint16)
    assert scored(truth.disparity, flags=half).occlusion_f1 == pytest.approx(2 / 3)


def test_views_add_up() -> None:
    truth = truth_of_columns()
    scores = scored(truth.disparity)
    wrong = truth.disparity + 3.0
    scores.update(truth, wrong, np.full(truth.owner.shape, 255, np.uint8), np.zeros(truth.owner.shape, np.uint16))
    assert by_region(scores)["plain"].bad_2.value == pytest.approx(0.5)


def test_the_table_says_what_is_not_measured() -> None:
    scores = scored(np.full(truth_of_columns().owner.shape, np.nan))
    report = AuditReport(
        dataset="fused",
        objects=4,
        views=1,
        own=scores.of_own_labels(np.zeros(256), seed=0),
        regions=scores.compute(seed=0),
        cuts=scores.cuts(np.zeros(256)),
        occlusion_f1=float("nan"),
        mean_reprojection_error_px=None,
        held_out_psnr_db=None,
        left_out=None,
    )
    table = report.to_table()
    assert table.splitlines()[1].split()[:4] == ["all", "4", "0.0", "(0.0"]
    assert table.splitlines()[1].split()[6] == "-"
    assert "own labels - % are wrong" in table
    assert "F1 not measured" in table
    assert "No confidence can be named" in table
    assert report.region("glossy") is None
    assert replace(report, views=2).views == 2


def test_own_labels_are_judged_by_what_their_confidence_means_on_objects() -> None:
    """A quarter of the labels on objects is wrong, all with the same low confidence; half of the own labels have it."""
    truth = truth_of_columns()
    low = truth.owner == 3
    disparity, confidence = np.where(low, 12.0, 8.0), np.where(low, 128, 250).astype(np.uint8)
    flags = np.zeros(truth.owner.shape, np.uint16)
    scores = PlantedScores(["plain"] * 4, blank_share=0.0)
    scores.update(truth, disparity, confidence, flags)
    own = np.zeros(256)
    own[[128, 250]] = 1000.0
    found = scores.of_own_labels(own, seed=0)
    assert found.bad_1.value == pytest.approx(0.45, abs=0.1)  # four objects do not say more
    assert found.bad_1.low <= found.bad_1.value <= found.bad_1.high
    assert found.promised_bad_1 == pytest.approx(0.26, abs=0.01)
    assert scores.of_own_labels(own, seed=0) == found


def test_what_thin_and_small_things_say_is_kept_apart_from_what_confidence_means() -> None:
    """All labels of the thin object are wrong: it says nothing of the others, but some labels are wrong anyhow."""
    truth = truth_of_columns()
    confidence, flags = np.full(truth.owner.shape, 250, np.uint8), np.zeros(truth.owner.shape, np.uint16)
    own = np.zeros(256)
    own[250] = 1000.0

    def found(wrong: int | None, owner: np.ndarray = truth.owner) -> OwnLabels:
        scores = PlantedScores(KINDS, blank_share=0.25)
        disparity = np.where(owner == wrong, 20.0, truth.disparity)
        scores.update(replace(truth, owner=owner), disparity, confidence, flags)
        return scores.of_own_labels(own, seed=0)

    right, thin_wrong, body_wrong = found(None), found(3), found(2)
    assert thin_wrong.recalibration.floor > 4 * right.recalibration.floor > 0
    assert thin_wrong.recalibration.model_copy(update={"floor": right.recalibration.floor}) == right.recalibration
    assert thin_wrong.bad_1.value < 0.02 < 0.2 < body_wrong.bad_1.value
    small = truth.owner.copy()
    small[1:, 20:30] = small[:1, 20:30] = NO_OBJECT
    small[0, 20] = 2  # one pixel of a thousand
    assert found(2, small).recalibration.floor > right.recalibration.floor
    assert found(2, small).bad_1.value < 0.02
