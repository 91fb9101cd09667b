"""One check of the verdict: what was measured, how it compares with its limits, and what to do."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from gs_stereo.quality.config import Limits

Grade = Literal["pass", "look closer", "fail", "not measured"]
_SEVERITY: dict[Grade, int] = {"not measured": 0, "pass": 0, "look closer": 1, "fail": 2}
_LISTED_SAMPLES = 20


@dataclass(frozen=True, kw_only=True)
class Check:
    """name: stable, for programs. title: for people. value: in `unit`, NaN = not measured.

    sentence: what, value, limits, and for anything but a pass what to do. samples: ids of the worst offenders.
    explained_by: the name of a failed check of which this one is only a consequence.
    """

    name: str
    title: str
    grade: Grade
    value: float
    unit: str
    limits: Limits | None
    sentence: str
    samples: tuple[str, ...] = ()
    explained_by: str | None = None

    @property
    def severity(self) -> int:
        return _SEVERITY[self.grade]

    @property
    def is_reason(self) -> bool:
        """It speaks against the dataset, and is no mere consequence of another check."""
        return self.severity > 0 and self.explained_by is None

    def to_json(self) -> dict[str, Any]:
        """JSON values; NaN becomes None."""
        return {
            "check": self.name,
            "title": self.title,
            "grade": self.grade,
            "value": self.value if math.isfinite(self.value) else None,
            "unit": self.unit,
            "look_closer_above": self.limits[0] if self.limits else None,
            "fail_above": self.limits[1] if self.limits else None,
            "sentence": self.sentence,
            "samples": list(self.samples),
            "explained_by": self.explained_by,
        }


def graded(value: float, limits: Limits) -> Grade:
    """The grade of a value that should be small."""
    if not math.isfinite(value):
        return "not measured"
    return "fail" if value > limits[1] else "look closer" if value > limits[0] else "pass"


def worse(*grades: Grade) -> Grade:
    """The most severe grade; `not measured` only if nothing was."""
    measured = [grade for grade in grades if grade != "not measured"]
    return max(measured, key=lambda grade: _SEVERITY[grade]) if measured else "not measured"


def worded(grade: Grade, *, good: str, bad: str, unmeasured: str = "") -> str:
    """The sentence that fits a grade; `bad` says what is wrong and what to do."""
    return {"pass": good, "not measured": unmeasured}.get(grade, bad)


def median_of(values: Float[np.ndarray, "n"]) -> float:
    """The median of what is known; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def first(names: Iterable[str]) -> tuple[str, ...]:
    """As many ids as a person reads."""
    return tuple(names)[:_LISTED_SAMPLES]


def percent(share: float) -> str:
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"
