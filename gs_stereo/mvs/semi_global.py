"""Smooth choices from a cost volume: semi-global matching.

Hirschmueller 2008 (PAMI 30): every pixel picks a label (here a depth plane); neighbours that differ by one label pay a
small penalty, by more a large one, which is less across an edge of the photo. The minimum is approximated by the sum
of exact minima along paths, here from left, right, above and below.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

_ONE_STEP = 0.15
_JUMP = 2.4
_JUMP_AT_EDGE = 0.2
_EDGE_CONTRAST = 0.05


def aggregate(cost: Float[np.ndarray, "d h w"], gray: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "d h w"]:
    """Costs of every label with those of its surroundings; about 1 is a bad match. gray: the photo in [0, 1]."""
    rows = np.ascontiguousarray(cost.transpose(1, 0, 2))
    columns = np.ascontiguousarray(cost.transpose(2, 0, 1))
    vertical = _both_ways(rows, gray).transpose(1, 0, 2)
    return np.asarray(vertical + _both_ways(columns, gray.T).transpose(1, 2, 0))


def _both_ways(cost: Float[np.ndarray, "n d m"], gray: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n d m"]:
    return _along(cost, gray) + _along(cost[::-1], gray[::-1])[::-1]


def _along(cost: Float[np.ndarray, "n d m"], gray: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n d m"]:
    """The cheapest way to each label along the first axis, less the cheapest of all at the step before."""
    total = cost.astype(np.float32)
    contrast = np.abs(np.diff(gray, axis=0))
    jump = (_JUMP_AT_EDGE + (_JUMP - _JUMP_AT_EDGE) * np.exp(-contrast / _EDGE_CONTRAST)).astype(np.float32)
    for step in range(1, len(total)):
        before = total[step - 1]
        before = before - before.min(axis=0)
        way = np.minimum(before, jump[step - 1])
        np.minimum(way[1:], before[:-1] + np.float32(_ONE_STEP), out=way[1:])
        np.minimum(way[:-1], before[1:] + np.float32(_ONE_STEP), out=way[:-1])
        total[step] += way
    return total


def cheapest(cost: Float[np.ndarray, "d h w"]) -> Int[np.ndarray, "h w"]:
    """The first label of least cost at every pixel, label by label because numpy's argmin is slow along this axis."""
    best, index = cost[0].copy(), np.zeros(cost.shape[1:], dtype=np.int64)
    for number, plane in enumerate(cost[1:], start=1):
        better = plane < best
        best[better] = plane[better]
        index[better] = number
    return index
