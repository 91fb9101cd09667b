"""What structure from motion knows about a scene."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, UInt8

from gs_stereo.types.camera import Camera


@dataclass(frozen=True, kw_only=True, eq=False)
class SparsePoints:
    """Triangulated points. `error_px` is the mean reprojection error, `track_length` the number of observations.

    Points that fewer than two photos observe (of depth sensors, or predicted by a network) are no measurements of ours.
    """

    xyz_in_world: Float[np.ndarray, "n 3"]
    rgb: UInt8[np.ndarray, "n 3"]
    error_px: Float[np.ndarray, "n"]
    track_length: Int[np.ndarray, "n"]

    @classmethod
    def none(cls) -> SparsePoints:
        """Of a scene that was never reconstructed from photos."""
        return cls(
            xyz_in_world=np.empty((0, 3)),
            rgb=np.empty((0, 3), np.uint8),
            error_px=np.empty(0),
            track_length=np.empty(0, np.int64),
        )

    def __len__(self) -> int:
        return len(self.xyz_in_world)

    @property
    def witnesses(self) -> SparsePoints:
        """The points that at least two photos observe."""
        good = self.track_length >= 2
        return SparsePoints(
            xyz_in_world=self.xyz_in_world[good],
            rgb=self.rgb[good],
            error_px=self.error_px[good],
            track_length=self.track_length[good],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SparseScene:
    """Registered pinhole cameras, points, and who sees which point.

    cameras: sorted by name; names are photo file names relative to the image folder, with forward slashes.
    visible_points: one int64 array for each camera with the indices of the points it observes (may be empty).
    metres_per_unit: 1.0 when the frame is metric, another number when the given frame was kept, None when unknown.
    """

    cameras: tuple[Camera, ...]
    points: SparsePoints
    visible_points: tuple[Int[np.ndarray, "_"], ...] = field(default=())
    metres_per_unit: float | None = None
