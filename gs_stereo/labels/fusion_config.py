"""Settings of the fused label."""

from __future__ import annotations

from pydantic import Field

from gs_stereo.config import Config


class EdgeConfig(Config):
    """How pixels beside a depth edge are given to one of its sides."""

    rounds: int = Field(default=2, ge=0, le=10, description="Passes over the edges; 0 = leave them as rendered")
    relative_step: float = Field(
        default=0.05, gt=0, description="A step of inverse depth larger than this share of the farther side is an edge"
    )
    band_px: int = Field(default=2, ge=1, le=8, description="Pixels this near to an edge may change sides")
    window_px: int = Field(default=4, ge=1, le=12, description="Half side of the window that shows both sides' colours")
    colour_levels: float = Field(default=12.0, gt=0, description="Colour difference, 8-bit levels, of a kernel's sigma")
    likelihood_ratio: float = Field(
        default=2.0, ge=1, description="The other side's colours must be so many times likelier than the own"
    )


class FusionConfig(Config):
    """Which sources make the fused label, and when a pixel keeps it."""

    experts: tuple[str, ...] = Field(
        default=("sgbm",), description="Matchers that give evidence, by name; multibaseline is one of them."
    )
    photos: bool = Field(default=True, description="Match the real photos around each view, where their poses are good")
    max_reprojection_px: float = Field(
        default=1.5, gt=0, description="Photos do not count if structure from motion reprojects worse than this"
    )
    photo_count: int = Field(default=8, ge=2, le=32, description="Photos that are matched with a view")
    neighbours: int = Field(default=3, ge=0, le=8, description="Virtual views whose depth is compared with a view's")
    min_confidence: float = Field(
        default=0.5, ge=0, lt=1, description="Pixels less likely than this to be right within 1 px get no label"
    )
    switch_margin: float = Field(
        default=0.02,
        ge=0,
        lt=1,
        description="A less precise source replaces a more precise one if it is likelier to be right by this much",
    )
    max_scale_px: float = Field(
        default=1.0,
        gt=0,
        description="Pixels lose their label where the view's depth and the sparse points differ by more in the median",
    )
    occlusion_tolerance_px: float = Field(
        default=0.25, gt=0, description="A surface nearer by more than this and the local slope hides a point"
    )
    edges: EdgeConfig = Field(default=EdgeConfig(), description="How depth edges are sharpened.")
