"""Settings of rendering stereo pairs: which views, which baselines, which size, and which views are refused."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat, field_validator, model_validator

from gs_stereo.config import Config, OnlyWith


class GuardsConfig(Config):
    """When a view counts as not supported by the capture. Every measure is taken on the left and the right eye.

    A measure that cannot be taken (no photos, no sparse points) refuses nothing.
    """

    enabled: bool = Field(default=True, description="Refuse views that the capture does not support.")
    covered_alpha: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="A pixel with at least this alpha is covered; at one half it has a median depth.",
    )
    min_covered_share: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="Refuse (low_alpha) a view with fewer covered pixels. Photo poses reach 0.97 and more, views "
        "turned to the border of the capture 0.7 to 0.8, views beyond it less than 0.6.",
    )
    ambiguous_shift: float = Field(
        default=0.3,
        gt=0,
        description="A covered pixel whose mean depth differs from its median depth by more than this share of the "
        "median is ambiguous. The standard deviation would not do: half a percent of light from far behind a wall "
        "makes it half of the depth, while the median stays right.",
    )
    max_ambiguous_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Refuse (ambiguous_depth) a view with more ambiguous pixels: its surfaces are layers of fog that "
        "drift apart in the other eye. Short fits whose median depth is within 1 % of the truth stay under 0.35.",
    )
    max_photo_distance: float = Field(
        default=0.35,
        gt=0,
        description="Refuse a view whose nearest photo is farther than this share of the median depth (0.35 is about "
        "19 degrees of parallax): far_from_photos for the left eye, baseline_too_wide for the right eye.",
    )
    max_photo_angle_deg: float = Field(
        default=40.0,
        gt=0,
        le=180,
        description="Refuse (turned_away) a view that looks farther away from its nearest photo.",
    )
    max_ray_angle_deg: float = Field(
        default=25.0,
        gt=0,
        le=180,
        description="A surface is seen if a photo looks at it within this angle of the view.",
    )
    max_magnification: float = Field(
        default=2.5,
        gt=1,
        description="A surface is seen only if it appears at most this much larger than in that photo.",
    )
    min_seen_share: float = Field(
        default=0.8, ge=0, le=1, description="Refuse (unseen_surface) a view with a smaller share of seen surfaces."
    )
    near_depth: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="A pixel is intrusively near if it is nearer than this share of the nearest sparse points in the "
        "view (1st percentile): a floater before the lens, or a lens inside an object.",
    )
    max_near_share: float = Field(
        default=0.05, ge=0, le=1, description="Refuse (near_plane) a view with more intrusively near pixels."
    )
    min_sharpness: float = Field(
        default=0.35,
        ge=0,
        description="Refuse (blurred) a view with less fine detail than this share of its nearest photo's. Photo poses "
        "of short fits reach 0.65 to 0.95; Gaussians 1.8 times too large give about 0.3.",
    )


class PairsConfig(Config):
    """How stereo pairs are rendered. Give `baselines` or `target_disparity_px`, or neither for the default target."""

    only_with: ClassVar[OnlyWith] = {
        "perturb_position": {"views": ("perturb",)},
        "perturb_rotation": {"views": ("perturb",)},
        "view_count": {"views": ("interpolate", "perturb"), "stack_views": ()},
        "stack_reach": {"stack_views": ()},
        "stack_focal_jitter": {"stack_views": ()},
        "stack_seen_share": {"stack_views": ()},
    }
    baselines: tuple[float, ...] = Field(
        default=(), description="Baselines in scene units; each view is rendered once for each of them."
    )
    target_disparity_px: tuple[PositiveFloat, ...] = Field(
        default=(),
        description="Choose the baseline of each view so that its median disparity is this; with several, each view "
        "is rendered once for each of them.",
    )
    default_disparity_share: float = Field(
        default=0.06,
        gt=0,
        lt=1,
        description="Target median disparity as a share of the width when neither baselines nor targets are given "
        "(generated stereo data usually spans 5 to 15 % of the width, near to far).",
    )
    max_disparity_share: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="A chosen baseline is reduced until 95 % of the disparities are under this share of the width.",
    )
    views: Literal["train", "interpolate", "perturb", "file"] = Field(
        default="train",
        description="Left cameras: the photos' own, between neighbouring photos, near photos, or from views_file.",
    )
    views_file: str | None = Field(
        default=None,
        description="Cameras for views=file: gs_stereo.views, transforms.json, cameras.json of 3DGS, or the folder of "
        "a COLMAP model.",
    )
    view_count: int | None = Field(
        default=None,
        ge=1,
        description="How many views to interpolate or perturb, by default as many as photos; how many stacks, by "
        "default 20.",
    )
    perturb_position: float = Field(
        default=0.5, ge=0, description="Largest motion of views=perturb, in distances between neighbouring cameras."
    )
    perturb_rotation: float = Field(
        default=0.5, ge=0, description="Largest turn of views=perturb, in angles between neighbouring cameras."
    )
    width: int | None = Field(default=None, ge=16, le=16384, description="Image width; by default the photos'.")
    height: int | None = Field(default=None, ge=16, le=16384, description="Image height; by default the photos'.")
    rig: str | None = Field(
        default=None,
        description="A stereo camera whose pairs these are to be: a rig file, or a calibration of OpenCV, Kalibr or "
        "DepthAI. It says size, focal length, baseline and what the sensor does.",
    )
    extra_offsets: tuple[float, ...] = Field(
        default=(),
        description="More views of a rectified stack: offsets from the left eye in multiples of the baseline.",
    )
    stack_views: int = Field(
        default=0,
        ge=0,
        le=16,
        description="Rectified stacks of so many views, each with depth, instead of pairs: spread over the capture, at "
        "most view_count (20) of them; 0 = pairs.",
    )
    stack_reach: float = Field(
        default=0.05, gt=0, le=0.5, description="Half the length of a stack over the median depth of its middle view."
    )
    stack_focal_jitter: float = Field(
        default=0.1, ge=0, le=0.5, description="Each stack's focal length differs from the photos' by up to this share."
    )
    stack_seen_share: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="guards.min_seen_share of stacks, whose outermost views are shown to learners in full: at 0.83 the "
        "border of a view is smeared over a seventh of its width.",
    )
    objects: int = Field(
        default=0,
        ge=0,
        le=200,
        description="Virtual objects that fly before the scene in each pair, for training: labels are exact on them, "
        "and flagged.",
    )
    guards: GuardsConfig = Field(default=GuardsConfig(), description="Which views are refused.")

    @field_validator("target_disparity_px", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _consistent(self) -> PairsConfig:
        if self.baselines and self.target_disparity_px:
            raise ValueError("set baselines or target_disparity_px, not both")
        for name, values in (("baseline", self.baselines), ("target disparity", self.target_disparity_px)):
            if any(not 0 < value < float("inf") for value in values):
                raise ValueError(f"every {name} must be positive and finite")
            if len(set(values)) < len(values):
                raise ValueError(f"each {name} must differ from the others")
        if any(not abs(offset) < float("inf") for offset in self.extra_offsets):
            raise ValueError("every extra offset must be finite")
        if self.objects and (self.stack_views or self.extra_offsets):
            raise ValueError("objects are drawn into pairs only; leave stack_views and extra_offsets out")
        if self.stack_views in (1, 2):
            raise ValueError("a stack has at least 3 views; set stack_views to 5 or 7, or 0 for pairs")
        if self.stack_views and (self.baselines or self.target_disparity_px or self.extra_offsets):
            raise ValueError("stack_views chooses its own baselines; leave baselines, targets and extra_offsets out")
        if self.stack_views and self.views not in ("train", "file"):
            raise ValueError("stack_views chooses its own places; leave views out, or give a file of them")
        if self.rig and (self.width or self.height or self.stack_views or self.extra_offsets):
            raise ValueError("a rig says the size and has two eyes; leave width, height, extra_offsets and stacks out")
        if (self.views == "file") != (self.views_file is not None):
            raise ValueError("views=file and views_file belong together")
        return self

    @property
    def own_guards(self) -> GuardsConfig:
        """The guards, for stacks those of stacks."""
        stricter = {"min_seen_share": max(self.guards.min_seen_share, self.stack_seen_share)}
        return self.guards.model_copy(update=stricter) if self.stack_views else self.guards

    def targets_px(self, width: int) -> tuple[float, ...]:
        """Target median disparities in pixels for images of this width; none when baselines or a rig are given."""
        default = () if self.baselines or self.rig else (self.default_disparity_share * width,)
        return self.target_disparity_px or default
