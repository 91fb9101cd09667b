"""Settings of the training pairs. No heavy imports, so that the command line can show them."""

from typing import ClassVar, Literal

from pydantic import Field

from gs_stereo.config import Config, OnlyWith

SceneKind = Literal["room", "outdoors", "tabletop", "flying", "hard_room"]


class TrainingPairConfig(Config):
    """What a training pair may look like. Each pair draws its own scene, camera, baseline, light and camera faults."""

    only_with: ClassVar[OnlyWith] = {"stack_reach": {"stack_views": ()}}
    width: int = Field(default=512, ge=64, le=4096, description="Image width in pixels")
    height: int = Field(default=384, ge=64, le=4096, description="Image height in pixels")
    scenes: tuple[SceneKind, ...] = Field(
        default=("room", "outdoors", "tabletop", "flying"),
        min_length=1,
        description="Kinds of scene, equally often; hard_room: the blank and shining rooms of `sample --hard`",
    )
    objects: tuple[int, int] = Field(default=(12, 50), description="Least and most objects in a scene")
    field_of_view_deg: tuple[float, float] = Field(default=(38.0, 95.0), description="Horizontal, least and most")
    disparity_share_median: float = Field(
        default=0.085, gt=0, le=0.3, description="Median over the pairs of (disparity of the near surfaces / width)"
    )
    disparity_share_spread: float = Field(
        default=0.65, ge=0, le=2, description="Standard deviation of that share's logarithm"
    )
    disparity_share_most: float = Field(default=0.25, gt=0, le=0.5, description="Largest such share")
    camera_faults: bool = Field(
        default=True, description="Exposure, colour, blur, noise, vignetting and JPEG differ between the eyes"
    )
    stack_views: int = Field(
        default=0,
        ge=0,
        le=16,
        description="Views, with depth, of a rectified stack around each left view; 0 = no stack",
    )
    stack_reach: float = Field(
        default=0.05, gt=0, le=0.5, description="Half the length of a stack over the median depth of its left view"
    )
    textures: int = Field(default=72, ge=4, le=512, description="Textures that a run paints and all pairs recolour")
    texture_px: int = Field(default=512, ge=32, le=2048, description="Side of a texture, a power of two")


class PairSetConfig(Config):
    """How many pairs, of which kind, in which shards."""

    count: int = Field(default=500, ge=1, le=1_000_000, description="Number of pairs")
    split: str = Field(default="train", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.]*$", description="Split name in the shards")
    samples_per_shard: int = Field(default=64, ge=1, le=1024, description="A shard is the unit of work and of resuming")
    pairs: TrainingPairConfig = Field(default=TrainingPairConfig(), description="What the pairs look like")

    @property
    def shards(self) -> int:
        return -(-self.count // self.samples_per_shard)
