"""Settings of the fused label."""

from __future__ import annotations

from pydantic import Field

from gs_stereo.config import Config


class FusionConfig(Config):
    """Which sources make the fused label, and when a pixel keeps it."""

    experts: tuple[str, ...] = Field(
        default=("lite", "sgbm"), description="Matchers that give evidence, by name; multibaseline is one of them."
    )
    photos: bool = Field(default=True, description="Match the real photos around each view, where their poses are good")
    max_reprojection_px: float = Field(
        default=1.5, gt=0, description="Photos do not count if structure from motion reprojects worse than this"
    )
    photo_count: int = Field(default=8, ge=2, le=32, description="Photos that are matched with a view")
    neighbours: int = Field(default=3, ge=0, le=8, description="Virtual views whose depth is compared with a view's")
    min_confidence: float = Field(
        default=0.78,
        ge=0,
        lt=1,
        description="Pixels with less confidence to be right within 1 px get no label. 0.78 keeps 97 % of the pixels "
        "of a plain sample room and 81 % of a hard one; of those off by more than 1 px it drops 50 % and 75 %",
    )
    switch_margin: float = Field(
        default=0.02,
        ge=0,
        lt=1,
        description="A less precise source replaces a more precise one if its confidence is higher by this much",
    )
    max_scale_px: float = Field(
        default=1.0,
        gt=0,
        description="Pixels lose their label where the view's depth and the sparse points differ by more in the median",
    )
    warp_tolerance_px: float = Field(
        default=0.25,
        gt=0,
        description="A surface of the left view, warped to the right, hides points farther by more than this",
    )
    right_tolerance_px: float = Field(
        default=0.35, gt=0, description="A rendered surface of the right view hides points farther by more than this"
    )
    tolerance_share: float = Field(
        default=0.04,
        ge=0,
        lt=1,
        description="Share of the disparity added to both tolerances: depth errors are larger at wide baselines",
    )
