"""Confidence made into what it means, where labels with truth say so."""

import numpy as np
import pytest

from gs_stereo.metrics.recalibration import Recalibration, fitted_recalibration, recalibrated, share_wrong

LEVEL = np.arange(256) / 255
MANY = np.ones(500)


def labels_of(by: Recalibration) -> tuple[np.ndarray, np.ndarray]:
    """Objects with as many labels at every confidence, wrong as often as a recalibration says."""
    kept = np.full((len(MANY), 256), 40.0)
    return kept, kept * (1 - recalibrated(LEVEL, by))


@pytest.mark.parametrize(
    "by", [Recalibration(), Recalibration(offset=-1.5, slope=0.7), Recalibration(offset=1, slope=2)]
)
def test_what_confidence_means_is_found_again(by: Recalibration) -> None:
    found = fitted_recalibration(*labels_of(by), MANY).best
    assert found.offset == pytest.approx(by.offset, abs=0.05)
    assert found.slope == pytest.approx(by.slope, abs=0.05)


def test_other_labels_are_judged_by_their_own_confidence() -> None:
    by = Recalibration(offset=0.7, slope=0.8)
    found = fitted_recalibration(*labels_of(by), MANY).best
    sure = np.where(LEVEL > 0.9, 1.0, 0.0)
    wrong = float((sure * (1 - recalibrated(LEVEL, by))).sum() / sure.sum())
    assert share_wrong(found, sure) == pytest.approx(wrong, rel=0.05)
    assert share_wrong(Recalibration(), sure) < wrong


def test_the_order_of_labels_stays_even_if_surer_ones_are_wrong_more_often() -> None:
    kept = np.full((len(MANY), 256), 100.0)
    found = fitted_recalibration(kept, kept * LEVEL, MANY).best
    assert found.slope == 0
    assert (np.diff(recalibrated(LEVEL, found)) >= 0).all()
    assert share_wrong(found, kept[0]) == pytest.approx(0.5, abs=0.01)


def test_without_labels_or_wrong_ones_it_stays_sensible() -> None:
    nothing = np.zeros((1, 256))
    assert fitted_recalibration(nothing, nothing, np.ones(1)).best == Recalibration()
    assert np.isnan(share_wrong(Recalibration(), nothing[0]))
    kept = np.zeros((1, 256))
    kept[0, 240] = 1000.0
    found = fitted_recalibration(kept, nothing, np.ones(1)).best
    assert 0 < share_wrong(found, kept[0]) < share_wrong(Recalibration(), kept[0])


def test_weights_count_as_so_many_labels() -> None:
    first, second = labels_of(Recalibration(offset=-2)), labels_of(Recalibration(offset=2))
    kept, wrong = (np.concatenate(pair) for pair in zip(first, second, strict=True))
    found = fitted_recalibration(kept, wrong, np.concatenate([MANY, 0 * MANY])).best
    assert found.offset == pytest.approx(-2, abs=0.05)


def test_labels_that_are_wrong_anyhow_add_to_the_others() -> None:
    by = Recalibration(offset=-1.0, slope=1.2)
    with_floor = by.model_copy(update={"floor": 0.1})
    own = np.ones(256)
    assert share_wrong(with_floor, own) == pytest.approx(0.1 + 0.9 * share_wrong(by, own))
    assert recalibrated(LEVEL, with_floor).max() <= 0.9


def test_few_objects_hardly_move_what_is_usual_and_leave_it_unsure() -> None:
    kept, wrong = labels_of(Recalibration(offset=-2.0))
    few, many = (fitted_recalibration(kept[:count], wrong[:count], np.ones(count)) for count in (2, 400))
    assert many.best.offset < few.best.offset < -0.1
    assert many.best.offset == pytest.approx(-2.0, abs=0.1)
    assert few.covariance[0, 0] > 20 * many.covariance[0, 0]


def test_objects_that_differ_count_as_fewer() -> None:
    kept, wrong = labels_of(Recalibration())
    times = np.where(np.arange(len(MANY)) % 10 == 0, 8.0, 0.2)[:, None]
    alike, unlike = (
        fitted_recalibration(kept[:20], bad[:20], MANY[:20]) for bad in (wrong, np.minimum(times * wrong, kept))
    )
    assert unlike.covariance[0, 0] > 2 * alike.covariance[0, 0]
