"""One check of the verdict: what was measured, how it compares with its limits, and what to do."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from gs_stereo.quality.config import Limits

Grade = Literal["pass", "look closer", "fail", "not measured"]
_SEVERITY: dict[Grade, int] = {"not measured": 0, "pass": 0, "look closer": 1, "fail": 2}


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


@dataclass(frozen=True, kw_only=True)
class Wording:
    """What a check says if all is well, if not (what is wrong and what to do), and if it could not measure."""

    good: str
    bad: str
    unmeasured: str = ""


def judged(
    subject: tuple[str, str, str],
    value: float,
    limits: Limits | None,
    wording: Wording,
    samples: tuple[str, ...] = (),
    grade: Grade | None = None,
) -> Check:
    """The check of a subject (name, title, unit). grade: by the value and its limits, unless it is given."""
    name, title, unit = subject
    grade = grade or (graded(value, limits) if limits else "pass")
    sentence = {"pass": wording.good, "not measured": wording.unmeasured}.get(grade, wording.bad)
    return Check(
        name=name,
        title=title,
        grade=grade,
        value=value,
        unit=unit,
        limits=limits,
        sentence=sentence,
        samples=samples,
    )


def graded(value: float, limits: Limits) -> Grade:
    """The grade of a value that should be small."""
    if not math.isfinite(value):
        return "not measured"
    return "fail" if value > limits[1] else "look closer" if value > limits[0] else "pass"


def worse(*grades: Grade) -> Grade:
    """The most severe grade; `not measured` only if nothing was."""
    measured = [grade for grade in grades if grade != "not measured"]
    return max(measured, key=lambda grade: _SEVERITY[grade]) if measured else "not measured"


def median_of(values: Float[np.ndarray, "*n"]) -> float:
    """The median of what is known; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def percent(share: float) -> str:
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"
