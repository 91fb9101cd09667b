"""From measures to a verdict: pass, look closer or fail, with the reasons in order of weight."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gs_stereo.quality.check import Check
from gs_stereo.quality.checks import (
    check_blank,
    check_blur,
    check_confidence,
    check_coverage,
    check_duplicates,
    check_eyes,
    check_files,
    check_range,
    check_rows,
)
from gs_stereo.quality.config import QualityConfig
from gs_stereo.quality.dataset import DatasetMeasures
from gs_stereo.quality.label_checks import check_disparity, check_points, check_views, check_warp

VerdictName = Literal["pass", "look closer", "fail"]

_CHECKS = (
    check_eyes,
    check_rows,
    check_disparity,
    check_points,
    check_blur,
    check_blank,
    check_coverage,
    check_confidence,
    check_warp,
    check_views,
    check_duplicates,
    check_range,
    check_files,
)
"""In order of weight: an earlier one explains a later one rather than the other way round."""

_CONSEQUENCES = {
    "swapped_eyes": ("disparity_scale", "disparity_shift", "warp_error"),
    "disparity_scale": ("warp_error", "multi_view"),
    "disparity_shift": ("warp_error", "multi_view"),
    "label_scale": ("multi_view",),
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on a dataset, and every check behind it."""

    name: VerdictName
    checks: tuple[Check, ...]
    measured_samples: int
    sample_count: int

    @property
    def reasons(self) -> tuple[Check, ...]:
        """What speaks against the dataset, worst first."""
        return tuple(sorted((check for check in self.checks if check.is_reason), key=lambda check: -check.severity))

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "verdict": self.name,
            "reasons": [check.sentence for check in self.reasons],
            "failed_checks": [check.name for check in self.reasons if check.grade == "fail"],
            "measured_samples": self.measured_samples,
            "sample_count": self.sample_count,
            "checks": [check.to_json() for check in self.checks],
        }

    def to_text(self) -> str:
        """A few lines for a terminal."""
        lines = [f"Verdict: {self.name.upper()} ({self.measured_samples} of {self.sample_count} samples measured)."]
        return "\n".join([*lines, *(f"- {check.grade}: {check.sentence}" for check in self.reasons)])


def judge(data: DatasetMeasures, config: QualityConfig) -> Verdict:
    """The verdict: as bad as the worst check that is no consequence of another."""
    checks = _explained(tuple(check(data, config) for check in _CHECKS))
    worst = max((check.severity for check in checks if check.is_reason), default=0)
    names: tuple[VerdictName, ...] = ("pass", "look closer", "fail")
    return Verdict(name=names[worst], checks=checks, measured_samples=len(data.samples), sample_count=data.sample_count)


def _explained(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    causes = {
        effect: check.name for check in checks if check.grade == "fail" for effect in _CONSEQUENCES.get(check.name, ())
    }
    return tuple(
        replace(check, explained_by=causes[check.name]) if check.name in causes and check.severity else check
        for check in checks
    )


def sample_numbers(data: DatasetMeasures) -> list[dict[str, Any]]:
    """One row a sample: what was measured, for programs. NaN becomes None."""
    rows = []
    for index, sample in enumerate(data.samples):
        values = {
            "row_offset_px": sample.row_offset_px,
            "disparity_factor": sample.labels.factor,
            "disparity_shift_px": sample.labels.shift_px,
            "depth_over_points": sample.points.factor if sample.points else np.nan,
            "edge_width_px2": max(sample.left.edge_width_px2, sample.right.edge_width_px2),
            "different_share": sample.different_share,
            "conflict_share": data.conflict[index],
            "coverage": sample.coverage,
            "median_disparity_px": sample.disparity_px,
            "consistency": data.consistency[index],
        }
        numbers = {name: round(float(value), 5) if np.isfinite(value) else None for name, value in values.items()}
        marks = ("swapped", "blurred", "blank", "repeated")
        found = {name: bool(getattr(data, name)[index]) for name in marks}
        rows.append({"sample_id": sample.sample_id, "matches": sample.matches, **numbers, **found})
    return rows
