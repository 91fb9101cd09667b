"""The native kernels; native/mvs/interface.h says what they take."""

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.core.cores import cores
from gs_stereo.mvs.config import SweepConfig
from gs_stereo.native.library import Library, Struct

LIBRARY = Library(name="mvs")


def aggregate(
    costs: Float[np.ndarray, "h w d"], gray: UInt8[np.ndarray, "h w"], config: SweepConfig, threads: int
) -> Float[np.ndarray, "h w d"]:
    """Semi-global sums of a cost volume over eight paths; a jump is cheaper where the gray guide has an edge."""
    costs = np.ascontiguousarray(costs, np.float32)
    total = np.empty_like(costs)
    height, width, count = costs.shape
    asked = LIBRARY.struct(
        "Volume", costs=costs, gray=np.ascontiguousarray(gray), total=total, width=width, height=height, count=count,
        small_jump=config.small_jump, large_jump=config.large_jump, edge_levels=config.edge_levels,
        threads=thread_count(threads),
    )  # fmt: skip
    LIBRARY.call("gs_aggregate", asked)
    return total


def packed_view(
    gray: UInt8[np.ndarray, "h w"], rotation: Float[np.ndarray, "3 3"], shift: Float[np.ndarray, "3"]
) -> Struct:
    """A pixel and its right, lower and lower right neighbour in one word, so that sampling needs one load."""
    padded = np.pad(gray, ((0, 1), (0, 1)), mode="edge").astype(np.uint32)
    quads = padded[:-1, :-1] | padded[:-1, 1:] << 8 | padded[1:, :-1] << 16 | padded[1:, 1:] << 24
    height, width = gray.shape
    return LIBRARY.struct("View", quads=quads, width=width, height=height, rotation=rotation, shift=shift)


def thread_count(wanted: int) -> int:
    """As many as asked for; 0 = all cores that this process may use."""
    return wanted or cores()
