"""Two matchers on real pairs without truth: do both directions agree, and does the warped right eye look like the left?

Neither is truth: a smooth guess agrees with itself, and blank walls look alike at any disparity. But a net that moves
from one camera to another gains or loses in all of them together. Photometric residuals of both are compared over the
same pixels, those where both have a match in frame, and free of slow changes of brightness, as eyes expose differently.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.core.records import finite
from gs_stereo.datasets.layouts.folder import UnlabelledPair
from gs_stereo.imaging.colour_maps import DARK, coloured, side_by_side
from gs_stereo.matching.both_sides import predict_both
from gs_stereo.matching.experts import ExpertsConfig
from gs_stereo.matching.protocol import StereoMatcher
from gs_stereo.metrics.consistency import left_right_difference
from gs_stereo.metrics.warp import detail_residual
from gs_stereo.types import Provenance

MEASURES: Mapping[str, tuple[str, bool]] = {
    "consistent": ("pixels whose two directions agree within 1 px", True),
    "left_right_px": ("median difference of the two directions, px", False),
    "residual_levels": ("left against warped right, 8-bit levels, over the same pixels", False),
}
"""Measure -> what it is, and whether more is better."""

_AGREE_PX = 1.0
_RESIDUAL_SHOWN = 24.0


class CompareOnConfig(Config):
    """How the matchers are asked."""

    experts: ExpertsConfig = Field(default=ExpertsConfig(), description="Settings of the experts.")
    max_disparity_px: float | None = Field(
        default=None, gt=0, description="Range to search, for matchers that take one; by default their own."
    )
    limit: int | None = Field(default=None, ge=1, description="Only the first pairs; null: all.")


@dataclass(frozen=True, kw_only=True)
class PairMeasures:
    """One matcher on one pair; see `MEASURES`. NaN where nothing could be compared."""

    consistent: float
    left_right_px: float
    residual_levels: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedAnswers:
    """One pair with both answers. disparity, agrees: before and after."""

    name: str
    left: UInt8[np.ndarray, "h w 3"]
    right: UInt8[np.ndarray, "h w 3"]
    disparity: tuple[Float[np.ndarray, "h w"], ...]
    agrees: tuple[Bool[np.ndarray, "h w"], ...]
    residual: tuple[Float[np.ndarray, "h w"], ...]
    measures: tuple[PairMeasures, ...]


@dataclass(frozen=True, kw_only=True)
class UnlabelledComparison:
    """pairs: name -> measures before and after."""

    before: Provenance
    after: Provenance
    pairs: Mapping[str, tuple[PairMeasures, ...]]

    def mean(self, measure: str, turn: int) -> float:
        """Over the pairs where it is known, before (0) or after (1); NaN if there is none."""
        known = [value for each in self.pairs.values() if np.isfinite(value := getattr(each[turn], measure))]
        return fmean(known) if known else float("nan")

    def better(self, measure: str) -> int:
        """In how many pairs the second matcher is the better one."""
        sign = 1 if MEASURES[measure][1] else -1
        return sum(
            sign * getattr(after, measure) > sign * getattr(before, measure) for before, after in self.pairs.values()
        )

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json.dumps` takes; NaN becomes None, shares lie between 0 and 1."""
        values = {
            "pairs": len(self.pairs),
            "before": asdict(self.before),
            "after": asdict(self.after),
            "measures": {
                name: {
                    "meaning": meaning,
                    "before": self.mean(name, 0),
                    "after": self.mean(name, 1),
                    "better_in": self.better(name),
                }
                for name, (meaning, _) in MEASURES.items()
            },
            "by_pair": {
                name: dict(zip(("before", "after"), map(asdict, each), strict=True))
                for name, each in self.pairs.items()
            },
        }
        return {name: finite(value) for name, value in values.items()}

    def rows(self) -> list[tuple[str, ...]]:
        """Measure, before, after, in how many pairs it is better, as text."""
        return [
            (
                meaning,
                *(shown(name, self.mean(name, turn)) for turn in (0, 1)),
                f"{self.better(name)} of {len(self.pairs)}",
            )
            for name, (meaning, _) in MEASURES.items()
        ]


def shown(measure: str, value: float) -> str:
    """A value as text."""
    return "-" if not np.isfinite(value) else f"{value:.1%}" if measure == "consistent" else f"{value:.2f}"


def compare_on(
    pairs: Sequence[UnlabelledPair],
    before: StereoMatcher,
    after: StereoMatcher,
    max_disparity_px: float | None = None,
    observe: Callable[[ComparedAnswers], None] = lambda answers: None,
) -> UnlabelledComparison:
    """Ask both matchers about every pair, in both directions. `observe` sees each pair with its answers.

    Raises InputError for a broken pair.
    """
    measures = {}
    for pair in pairs:
        left, right = pair.read()
        answers = [predict_both(matcher, left, right, max_disparity_px) for matcher in (before, after)]
        disparity = tuple(mine.disparity for mine, _ in answers)
        difference = [left_right_difference(mine.disparity, other.disparity) for mine, other in answers]
        agrees = tuple(values <= _AGREE_PX for values in difference)
        residual = tuple(detail_residual(left, right, values) for values in disparity)
        common = np.isfinite(residual).all(axis=0)
        measures[pair.name] = tuple(
            PairMeasures(
                consistent=float(agrees[turn].mean()),
                left_right_px=_of(np.median, difference[turn][np.isfinite(difference[turn])]),
                residual_levels=_of(np.mean, residual[turn][common]),
            )
            for turn in (0, 1)
        )
        observe(
            ComparedAnswers(
                name=pair.name,
                left=left,
                right=right,
                disparity=disparity,
                agrees=agrees,
                residual=residual,
                measures=measures[pair.name],
            )
        )
    return UnlabelledComparison(before=before.provenance, after=after.provenance, pairs=measures)


def _of(statistic: Callable[[np.ndarray], Any], values: np.ndarray) -> float:
    return float(statistic(values)) if values.size else float("nan")


def answers_picture(answers: ComparedAnswers) -> UInt8[np.ndarray, "hh ww 3"]:
    """Rows of two, before and after below left and right: disparity, where both directions agree, the residual.

    Disparities share one scale. Dark: no answer, or the directions differ; the residual is bright at 24 levels.
    """
    known = np.concatenate([values[agree] for values, agree in zip(answers.disparity, answers.agrees, strict=True)])
    low, high = np.percentile(known, (1, 99)) if known.size else (0.0, 1.0)
    colours = [coloured(values, low, high, "turbo", DARK) for values in answers.disparity]
    kept = [
        np.where(agree[..., None], c, np.array(DARK, np.uint8))
        for c, agree in zip(colours, answers.agrees, strict=True)
    ]
    residuals = [coloured(values, 0.0, _RESIDUAL_SHOWN, "inferno", DARK) for values in answers.residual]
    rows = [side_by_side(*row) for row in ((answers.left, answers.right), colours, kept, residuals)]
    return np.concatenate(rows)
