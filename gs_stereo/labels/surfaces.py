"""Surface hypotheses: planes where matching has nothing to hold.

A region of the photo without texture, bounded by the photo's edges, is mostly one flat surface, and inverse depth of a
plane is affine in pixels. The region joins across thin things that stand before it, for it goes on behind them with the
same colour. Planes are fitted to what is known within it by RANSAC (Fischler & Bolles 1981), one after the other where
a corner has no edge. A plane that surrounds something deeper, as a wall surrounds a mirror, is a hypothesis there too.
Each says how much of its region supports it. They are proposals for the fusion, which judges them by all evidence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, Int32, UInt8

_EDGE_LEVELS = 6
"""Range of 8-bit levels within 3 x 3 pixels at an edge; shading of bare walls stays under it."""
_EDGE_SIGMAS = 4.0  # the same as a multiple of what single pixels differ from those around them
_LEAST_AREA = 5e-4  # of a region as a share of the image; 150 pixels of 640 x 480
_THIN_PX, _THIN_SHARE = 7, 0.00625  # a thin thing with its blurred edges: 11 pixels of a width of 640
_SAME_COLOUR_LEVELS = 6
_LEAST_CONTACTS = 6
_BORDER_PX = 3
_SAMPLES, _TRIALS = 600, 64
_TOLERANCE = 0.02  # of the inverse depth: 0.2 px of a disparity of 10 px
_MOST_PLANES = 3
_LEAST_SHARE = 0.15  # of a region's samples on a plane
_ROUNDS = 3
_WALL_SHARE = 0.02  # of the image on a plane that can have holes
_DEEPER = 0.08
_LEAST_AROUND = 0.6  # of all directions from a hole's middle in which its wall follows
_DIRECTIONS = 24
_RIM_PX = 20
_MOST_BEHIND = 0.15  # of all that is around a hole: a table's legs surround one too, and then comes the floor
_CHOICE_PX = 15
_LARGEST_HOLE = 0.25  # as a share of the image
Map = Float[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Surfaces:
    """Hypotheses of a view. inverse_depth: NaN where there is none.

    unsupported: share of what is known within the region that is not on the plane. spread: deviation of the rest from
    it, as a share of the inverse depth. hole: 1 where the plane surrounds something deeper, else 0. blank_px: distance
    to the nearest edge or texture. beside_thin: 1 / (1 + distance in px to something thin with one texture-free region
    on both of its sides): what is known of the region there is often the thing's depth.
    """

    inverse_depth: Map
    unsupported: Map
    spread: Map
    hole: Map
    blank_px: Map
    beside_thin: Map


@dataclass(frozen=True, kw_only=True, eq=False)
class _Plane:
    """Inverse depth = coefficients . (x, y, 1), x and y in pixels from the middle."""

    coefficients: Float[np.ndarray, "3"]
    unsupported: float
    spread: float

    def at(self, places: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
        return places @ self.coefficients


def blank_regions(image: UInt8[np.ndarray, "h w 3"]) -> Int32[np.ndarray, "h w"]:
    """Number of the texture-free region that a pixel of the sRGB image belongs to; 0 = none.

    Regions of one colour on both sides of something thin are one.
    """
    smooth = cv2.GaussianBlur(image, (5, 5), 0)
    steps = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(axis=2)
    fine = cv2.absdiff(image, smooth).max(axis=2)
    limit = max(_EDGE_LEVELS, _EDGE_SIGMAS * float(np.median(fine)))
    _, labels, stats, _ = cv2.connectedComponentsWithStats((steps < limit).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < _LEAST_AREA / 4 * labels.size
    joined = _joined(np.where(small[labels], 0, labels), smooth)
    count = np.bincount(joined.ravel())
    return np.where((count >= _LEAST_AREA * labels.size)[joined], joined, 0).astype(np.int32)


def _reach_px(width: int) -> int:
    return round(_THIN_PX + _THIN_SHARE * width)


def _joined(labels: Int[np.ndarray, "h w"], smooth: UInt8[np.ndarray, "h w 3"]) -> Int[np.ndarray, "h w"]:
    """The same with one number for regions that are alike on both sides of a thin gap."""
    total, reach = int(labels.max()) + 1, _reach_px(labels.shape[1])
    contacts = []
    for shift in (reach // 2, reach):
        for first, second in (
            (np.s_[:, :-shift], np.s_[:, shift:]),
            (np.s_[:-shift], np.s_[shift:]),
        ):
            a, b = labels[first], labels[second]
            apart = (a > 0) & (b > 0) & (a != b)
            alike = cv2.absdiff(smooth[first], smooth[second]).max(axis=2)[apart] <= _SAME_COLOUR_LEVELS
            low, high = np.minimum(a, b)[apart][alike], np.maximum(a, b)[apart][alike]
            contacts.append(low.astype(np.int64) * total + high)
    pairs, count = np.unique(np.concatenate(contacts), return_counts=True)
    parent = list(range(total))

    def root(node: int) -> int:
        while parent[node] != node:
            node = parent[node]
        return node

    for pair in pairs[count >= _LEAST_CONTACTS]:
        low, high = sorted((root(int(pair) // total), root(int(pair) % total)))
        parent[high] = low
    return np.array([root(node) for node in range(total)])[labels]


def surface_hypotheses(image: UInt8[np.ndarray, "h w 3"], known: Map, sure: Bool[np.ndarray, "h w"]) -> Surfaces:
    """Planes of the texture-free regions of a view's image, and of walls around something deeper.

    known: inverse depth, as of a splat, NaN = unknown. sure: where photos confirm it; these pixels count four times.
    """
    height, width = known.shape
    labels = blank_regions(image)
    found = Surfaces(
        **{name: np.full(known.shape, np.nan) for name in ("inverse_depth", "unsupported", "spread")},
        hole=np.zeros(known.shape),
        blank_px=cv2.distanceTransform((labels > 0).astype(np.uint8), cv2.DIST_L2, 3).astype(np.float64),
        beside_thin=_beside_thin(labels),
    )
    places = _places(height, width)
    order = np.argsort(labels, axis=None, kind="stable")
    starts = np.searchsorted(labels.ravel()[order], np.arange(1, labels.max() + 2))
    weight = np.where(np.isfinite(known), 1.0 + 3.0 * sure, 0.0)
    walls: list[_Plane] = []
    for start, end in pairwise(starts):
        pixels = order[start:end]
        planes = list(_planes(places[pixels], known.ravel()[pixels], weight.ravel()[pixels])) if len(pixels) else []
        if planes:
            chosen = _chosen(planes, places, pixels, known, weight)
            for number, plane in enumerate(planes):
                _put(found, pixels[chosen == number], plane, places)
            if len(pixels) > _WALL_SHARE * known.size:
                walls.append(planes[0])
    _widen(found, image)
    for wall in walls:
        for pixels, around in _holes(wall, places, known):
            _put(
                found,
                pixels,
                _Plane(coefficients=wall.coefficients, unsupported=1 - around, spread=wall.spread),
                places,
            )
            found.hole.ravel()[pixels] = 1.0
    return found


def _places(height: int, width: int) -> Float[np.ndarray, "n 3"]:
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    return np.stack([x - width / 2, y - height / 2, np.ones(height * width)], axis=1)


def _put(found: Surfaces, pixels: Int[np.ndarray, "n"], plane: _Plane, places: Float[np.ndarray, "all 3"]) -> None:
    inverse_depth = plane.at(places[pixels])
    found.inverse_depth.ravel()[pixels] = np.where(inverse_depth > 0, inverse_depth, np.nan)
    found.unsupported.ravel()[pixels] = plane.unsupported
    found.spread.ravel()[pixels] = plane.spread


def _planes(
    places: Float[np.ndarray, "n 3"], known: Float[np.ndarray, "n"], weight: Float[np.ndarray, "n"]
) -> Iterator[_Plane]:
    """The planes that most of a region lies on, the best first."""
    picked = np.linspace(0, len(known) - 1, min(_SAMPLES, len(known))).astype(int)
    picked = picked[weight[picked] > 0]
    places, known, weight = places[picked], known[picked], weight[picked]
    total, rng = weight.sum(), np.random.default_rng(0)
    for _ in range(_MOST_PLANES):
        if len(known) < 12:
            return
        coefficients, on = _best_plane(places, known, weight, rng)
        share = float(weight[on].sum() / total)
        if share < _LEAST_SHARE:
            return
        relative = places[on] @ coefficients / known[on] - 1
        spread = float(np.sqrt(np.average(relative**2, weights=weight[on])))
        yield _Plane(coefficients=coefficients, unsupported=float(1 - weight[on].sum() / weight.sum()), spread=spread)
        places, known, weight = places[~on], known[~on], weight[~on]


def _best_plane(
    places: Float[np.ndarray, "n 3"],
    known: Float[np.ndarray, "n"],
    weight: Float[np.ndarray, "n"],
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "3"], Bool[np.ndarray, "n"]]:
    """Coefficients of the plane with the most weight on it, and who is on it."""
    triples = rng.integers(0, len(known), (_TRIALS, 3))
    corners = places[triples]
    usable = np.abs(np.linalg.det(corners)) > 1.0  # three pixels in a line have no plane
    level = np.array([0.0, 0.0, float(np.median(known))])
    candidates = np.vstack([level, np.linalg.solve(corners[usable], known[triples[usable]][..., None])[..., 0]])
    inside = np.abs(candidates @ places.T / known - 1) < _TOLERANCE
    coefficients = candidates[(inside @ weight).argmax()]
    for _ in range(_ROUNDS):
        on = np.abs(places @ coefficients / known - 1) < _TOLERANCE
        if on.sum() < 6:
            break
        scale = np.sqrt(weight[on]) / known[on]
        coefficients = np.linalg.lstsq(places[on] * scale[:, None], known[on] * scale, rcond=None)[0]
    return coefficients, np.abs(places @ coefficients / known - 1) < _TOLERANCE


def _chosen(
    planes: list[_Plane], places: Float[np.ndarray, "n 3"], pixels: Int[np.ndarray, "m"], known: Map, weight: Map
) -> Int[np.ndarray, "m"]:
    """Which plane each pixel of a region is on: the one that what is known around it is closest to."""
    if len(planes) == 1:
        return np.zeros(len(pixels), int)
    row, column = np.divmod(pixels, known.shape[1])
    top, left = row.min(), column.min()
    apart = np.zeros((row.max() - top + 1, column.max() - left + 1, len(planes)), np.float32)
    there = known.ravel()[pixels]
    for number, plane in enumerate(planes):
        far = np.minimum(np.abs(plane.at(places[pixels]) / there - 1), 5 * _TOLERANCE)
        apart[row - top, column - left, number] = np.nan_to_num(far) * weight.ravel()[pixels]
    return cv2.blur(apart, (_CHOICE_PX, _CHOICE_PX)).argmin(axis=2)[row - top, column - left]


def _beside_thin(labels: Int32[np.ndarray, "h w"]) -> Map:
    reach = _reach_px(labels.shape[1])
    thin = np.zeros(labels.shape, bool)
    for values, marks in ((labels, thin), (labels.T, thin.T)):
        before, after = values.copy(), values.copy()
        for _ in range(reach):
            before[:, 1:] = np.where(before[:, 1:] == 0, before[:, :-1], before[:, 1:])
            after[:, :-1] = np.where(after[:, :-1] == 0, after[:, 1:], after[:, :-1])
        marks |= (values == 0) & (before == after) & (before > 0)
    if not thin.any():
        return np.zeros(labels.shape)
    return 1 / (1 + cv2.distanceTransform((~thin).astype(np.uint8), cv2.DIST_L2, 3).astype(np.float64))


def _widen(found: Surfaces, image: UInt8[np.ndarray, "h w 3"]) -> None:
    """Hypotheses reach to the edge itself: pixels close by of the same colour join the nearest region."""
    empty = ~np.isfinite(found.inverse_depth)
    if empty.all():
        return
    distance, nearest = cv2.distanceTransformWithLabels(
        empty.astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    source = np.zeros(int(nearest.max()) + 1, np.int64)
    source[nearest[~empty]] = np.flatnonzero(~empty)
    near = np.flatnonzero(empty & (distance <= _BORDER_PX))
    origin = source[nearest.ravel()[near]]
    colours = image.reshape(-1, 3).astype(np.int16)
    alike = np.abs(colours[near] - colours[origin]).max(axis=1) <= 2 * _SAME_COLOUR_LEVELS
    for values in (found.inverse_depth, found.unsupported, found.spread):
        values.ravel()[near[alike]] = values.ravel()[origin[alike]]


def _holes(wall: _Plane, places: Float[np.ndarray, "n 3"], known: Map) -> Iterator[tuple[Int[np.ndarray, "n"], float]]:
    """Pixels of each thing that is deeper than a wall which surrounds it, and in how many directions it does."""
    ratio = np.nan_to_num(known / wall.at(places).reshape(known.shape), nan=1.0)
    on = np.abs(ratio - 1) < 2 * _TOLERANCE
    deeper = cv2.morphologyEx((ratio < 1 - _DEEPER).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(deeper, connectivity=4)
    kernel = np.ones((2 * _RIM_PX + 1, 2 * _RIM_PX + 1), np.uint8)
    for number in range(1, count):
        left, top, w, h, area = stats[number]
        if not _LEAST_AREA * known.size <= area <= _LARGEST_HOLE * known.size:
            continue
        box = np.s_[max(top - _RIM_PX, 0) : top + h + _RIM_PX, max(left - _RIM_PX, 0) : left + w + _RIM_PX]
        part = labels[box] == number
        rim = (cv2.dilate(part.astype(np.uint8), kernel) > 0) & ~part
        y, x = np.nonzero(rim & on[box])
        angle = np.arctan2(y + box[0].start - centroids[number][1], x + box[1].start - centroids[number][0])
        around = len(np.unique(((angle / (2 * np.pi) + 0.5) * _DIRECTIONS).astype(int) % _DIRECTIONS)) / _DIRECTIONS
        if around >= _LEAST_AROUND and (ratio[box][rim] < 1 - 2 * _TOLERANCE).mean() < _MOST_BEHIND:
            yield np.flatnonzero(labels == number), around
