"""Synthesizers on rectified pairs, end to end: a left picture in, a right one out, nothing known but its camera.

The middle square of each pair. The baseline, which a photo does not tell, is searched (`search.py`): that one number
is all that is taken from the real right picture. Everything is judged at one size; the pair's true disparity is used to
judge, never to make, unless a synthesizer is given exact depth, which is an oracle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.core.hashing import unit_seed
from gs_stereo.datasets.layouts.pair_files import LabelledPair, PairSource
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import resize_to
from gs_stereo.matching.protocol import StereoMatcher
from gs_stereo.synthesis.depth_files import read_depth
from gs_stereo.synthesis.evaluation_config import EvaluateSynthesisConfig
from gs_stereo.synthesis.framing import square_framing
from gs_stereo.synthesis.judges.geometric import GeometryScores, TrueView, judge
from gs_stereo.synthesis.protocol import SourceView, Synthesizer
from gs_stereo.synthesis.rays import default_intrinsics
from gs_stereo.synthesis.search import Found, RealPair, search_baseline

Picture = UInt8[np.ndarray, "h w 3"]
Judge = Callable[[Picture, Picture], float]
"""(left, right) -> one number."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A row of the table. fast: the same synthesizer with the steps that the search takes."""

    synthesizer: Synthesizer
    fast: Synthesizer


@dataclass(frozen=True, kw_only=True)
class PairScores:
    """One made right picture. side_px: of the square that was made. seconds: of making it once. more: other judges."""

    pair: str
    seed: int
    side_px: int
    found: Found
    seconds: float
    scores: GeometryScores
    judged_by: Mapping[str, float] = field(default_factory=dict)

    @property
    def more(self) -> Mapping[str, float]:
        best = self.found.best
        own = {"rmse_px": best.rmse_px, "coverage": best.coverage, "baseline": best.baseline, "seconds": self.seconds}
        return {**own, "covered": float(self.found.covered), **self.judged_by}


@dataclass(frozen=True, kw_only=True, eq=False)
class PairMade:
    """What is shown of a pair. made: by the row's title, of the first seed."""

    name: str
    left: Picture
    right: Picture
    made: Mapping[str, Picture]


def evaluate_pairs(
    pairs: Sequence[PairSource],
    contestants: Mapping[str, Contestant],
    config: EvaluateSynthesisConfig,
    seed: int,
    *,
    matcher: StereoMatcher,
    judges: Mapping[str, Judge] | None = None,
    advance: Callable[[], None] = lambda: None,
    observe: Callable[[PairMade], None] = lambda made: None,
) -> Mapping[str, tuple[PairScores, ...]]:
    """Scores of every contestant by its row's title. judges: more measures of (real left, made right).

    InputError for a broken pair, one that cannot be matched, or a depth map that is asked for and missing.
    """
    scores: dict[str, list[PairScores]] = {title: [] for title in contestants}
    for item in pairs:
        pair = item.read()
        height, width = pair.left.shape[:2]
        framing = square_framing((width, height), config.side_px)
        left, right = framing.picture(pair.left), framing.picture(pair.right)
        real = RealPair.of(left, right, matcher)
        truth = TrueView.of(left, right, framing.surface(pair.disparity) * framing.scale)
        made: dict[str, Picture] = {}
        for title, contestant in contestants.items():
            for result, picture in _judged(item.name, pair, contestant, real, truth, config, seed):
                more = {name: ask(left, picture) for name, ask in (judges or {}).items()}
                scores[title].append(replace(result, judged_by=more))
                made.setdefault(title, picture)
        observe(PairMade(name=item.name, left=left, right=right, made=made))
        advance()
    return {title: tuple(found) for title, found in scores.items()}


def _judged(
    name: str,
    pair: LabelledPair,
    contestant: Contestant,
    real: RealPair,
    truth: TrueView,
    config: EvaluateSynthesisConfig,
    seed: int,
) -> list[tuple[PairScores, Picture]]:
    """Search the baseline, then make the picture with every seed."""
    source = source_of(pair, contestant.synthesizer, config, name)
    side = config.side_px

    def made_by(synthesizer: Synthesizer, baseline: float, turn: int) -> Picture:
        own = unit_seed(seed, f"{name} {turn}")
        return resize_to(synthesizer.synthesize(source, baseline, own).image, side, side)

    found = search_baseline(lambda baseline: made_by(contestant.fast, baseline, 0), real, config.search)
    results = []
    for turn in range(1 if contestant.synthesizer.steps is None else config.seeds):
        started = time.perf_counter()
        picture = made_by(contestant.synthesizer, found.best.baseline, turn)
        seconds = time.perf_counter() - started
        result = PairScores(
            pair=name,
            seed=turn,
            side_px=source.image.shape[0],
            found=found,
            seconds=seconds,
            scores=judge(truth, picture),
        )
        results.append((result, picture))
    return results


def source_of(pair: LabelledPair, synthesizer: Synthesizer, config: EvaluateSynthesisConfig, name: str) -> SourceView:
    """The left picture as a synthesizer gets it: its own size, its camera or 54 degrees of view, depth if it needs one.

    Depth is divided by its median, for it has no scale here.
    """
    height, width = pair.left.shape[:2]
    multiple = synthesizer.multiple_px
    side = synthesizer.side_px or config.side_px
    side = max(multiple, min(side, synthesizer.rows_px or side) // multiple * multiple)
    framing = square_framing((width, height), side)
    intrinsics, known = default_intrinsics(width, height), pair.calibration
    if known is not None and known.intrinsics is not None:
        intrinsics = known.intrinsics
    elif known is not None:
        intrinsics[0, 0] = intrinsics[1, 1] = known.focal_px
    depth = None
    if synthesizer.needs_depth:
        depth = framing.surface(_depth_of(pair, config.depth, name))
        depth = depth / np.nanmedian(depth)
    return SourceView(image=framing.picture(pair.left), intrinsics=framing.intrinsics(intrinsics), depth=depth)


def _depth_of(pair: LabelledPair, wanted: Path | str, name: str) -> Float[np.ndarray, "h w"]:
    """The depth of a left picture in any unit; NaN = unknown.

    Exact is what the pair's disparity is the inverse of; an offset of the principal points (doffs) stays in it, for one
    baseline must explain the pair.
    """
    if wanted == "exact":
        with np.errstate(divide="ignore"):
            depth = 1 / pair.disparity.astype(np.float64)
        return np.where(np.isfinite(depth) & (depth > 0), depth, np.nan)
    if wanted == "none":
        raise InputError(f"There is no depth of {name} for warping; give --depth FOLDER or exact, or leave warp out.")
    depth = read_depth(Path(wanted), name)
    if depth.shape != pair.left.shape[:2]:
        raise InputError(f"The depth map of {name} in {wanted} is not of its picture's size; make it again.")
    return depth
