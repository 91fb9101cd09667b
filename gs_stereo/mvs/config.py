"""Settings of multi-view stereo: of a sweep over all depths, and of a search near a prior."""

from pydantic import Field, PositiveFloat

from gs_stereo.config import MEANS, Config


class SweepConfig(Config):
    """Plane sweep over small photos and semi-global matching.

    The defaults are those of the first depth of a fit. On generated scenes (two plain, two hard, one of 90 photos) the
    size, the neighbours and the planes halve its share of wrong depths; a window of 5 covers more, and mixes surfaces.
    """

    edge_px: int = Field(default=320, ge=32, description="Photos are shrunk until no edge is longer.")
    neighbours: int = Field(default=6, ge=1, le=62, description="Photos that a photo is compared with.")
    parallax: PositiveFloat = Field(
        default=0.1, description="Baseline to the neighbours that is looked for, as a share of the depth."
    )
    planes: int = Field(
        default=128, ge=32, le=512, description="Planes at most; fewer where they would be under a pixel apart."
    )
    window_px: int = Field(default=3, ge=3, le=15, description="Side of the compared window, odd.")
    noise_levels: PositiveFloat = Field(
        default=2.0, description="Image noise in 8-bit levels; texture under it does not count as a match."
    )
    small_jump: PositiveFloat = Field(default=0.15, description="Semi-global penalty of a step of one plane.")
    large_jump: PositiveFloat = Field(default=2.4, description="Semi-global penalty of a larger step.")
    edge_levels: PositiveFloat = Field(
        default=12.75, description="Gray step at which the large penalty has fallen by e, in 8-bit levels."
    )


class MultiViewConfig(Config):
    """Refinement of a slanted plane at every pixel, near a prior.

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
    smoothness: float = Field(
        default=0.1, ge=0, description="Weight of agreement with the four neighbours where the image has no texture"
    )
    prior_weight: float = Field(
        default=0.03,
        ge=0,
        description="Cost of leaving the prior by two standard deviations or more; up to 31 times that without texture",
    )
    near_px: tuple[float, ...] = Field(default=(1.0,), description="Reaches of the first steps from the prior")
    far_px: tuple[float, ...] = Field(
        default=(1.0, 2.0), description="Shifts that pixels try which match badly near the prior"
    )
    far_cost: float = Field(default=0.15, ge=0, le=1, description="A cost above this is a bad match, near the prior")
    near_rounds: int = Field(default=1, ge=0, le=10, description="Rounds of propagation near a prior")
    threads: int = Field(
        default=0, ge=0, le=256, description="Threads of the native kernel; 0 = all cores", json_schema_extra=MEANS
    )
