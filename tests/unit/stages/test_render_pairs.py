"""What is said when no view is left."""

from __future__ import annotations

import pytest

from gs_stereo.errors import StageError
from gs_stereo.io.pair_index import PairEntry
from gs_stereo.splat.guards import REFUSAL_REASONS
from gs_stereo.stages.render_pairs import _REMEDIES, _outcome


def test_every_reason_to_refuse_a_view_has_its_own_remedy() -> None:
    assert set(_REMEDIES) == set(REFUSAL_REASONS)


def test_the_remedy_is_that_of_the_commonest_reason() -> None:
    reasons = ["low_alpha", "baseline_too_wide", "baseline_too_wide"]
    entries = [
        PairEntry(sample_id=f"{n}", view_id="a", refusal=reason, measures={}) for n, reason in enumerate(reasons)
    ]
    with pytest.raises(
        StageError, match=r"2 x baseline_too_wide, 1 x low_alpha\); choose a smaller --baseline"
    ) as told:
        _outcome(entries)
    assert "guards.enabled=false" in str(told.value)
