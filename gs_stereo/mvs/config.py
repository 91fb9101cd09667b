"""Settings of the multi-view sweep."""

from __future__ import annotations

from pydantic import Field

from gs_stereo.config import Config


class MultiViewConfig(Config):
    """Plane sweep over many views of one left view, then refinement of a slanted plane at every pixel.

    Lengths called px are in "reference pixels": the shift that the median view sees. So one set of values serves
    narrow rendered stacks and wide photo captures.
    """

    window_radius_px: int = Field(default=5, ge=1, le=9, description="Half side of the compared window, left pixels")
    window_step_px: int = Field(default=2, ge=1, le=4, description="Every how many pixels the window is sampled")
    colour_levels: float = Field(
        default=16.0, gt=0, description="Colour difference, in 8-bit levels, at which a window's weight falls to 0.6"
    )
    noise_levels: float = Field(
        default=1.0, gt=0, description="Image noise in 8-bit levels; texture under it does not count as a match"
    )
    best_views: int = Field(
        default=3, ge=2, le=32, description="So many best views make the cost, the others may be occluded"
    )
    planes: int = Field(default=128, ge=16, le=512, description="Planes of the coarse sweep, even in inverse depth")
    coarse_scale: float = Field(default=0.5, gt=0.1, le=1, description="Image scale of the coarse sweep")
    coarse_window_px: int = Field(default=5, ge=3, le=15, description="Side of the coarse window, odd")
    small_jump: float = Field(default=0.15, gt=0, description="Semi-global penalty of a step of one plane")
    large_jump: float = Field(default=1.0, gt=0, description="Semi-global penalty of a larger step")
    edge_levels: float = Field(default=10.0, gt=0, description="Gray step at which the large penalty has fallen by e")
    coarse_rounds: int = Field(default=2, ge=0, le=10, description="Rounds of propagation at the coarse scale")
    fine_rounds: int = Field(default=2, ge=0, le=10, description="Rounds of propagation at full resolution")
    fine_slopes: bool = Field(
        default=False, description="Try other slopes at full resolution too: a little better, a half slower"
    )
    smoothness: float = Field(
        default=0.1, ge=0, description="Weight of agreement with the four neighbours where the image has no texture"
    )
    prior_weight: float = Field(
        default=0.03,
        ge=0,
        description="Cost of leaving the prior by two standard deviations or more; up to 31 times that without texture",
    )
    near_px: tuple[float, ...] = Field(
        default=(1.0,), description="Reaches of the first steps of a sweep that starts near a prior"
    )
    far_px: tuple[float, ...] = Field(
        default=(1.0, 2.0), description="Shifts that pixels try which match badly near the prior"
    )
    far_cost: float = Field(default=0.15, ge=0, le=1, description="A cost above this is a bad match, near the prior")
    near_rounds: int = Field(default=1, ge=0, le=10, description="Rounds of propagation near a prior")
    threads: int = Field(default=0, ge=0, le=256, description="Threads of the native kernel; 0 = all cores")
