"""Settings of an audit."""

from pydantic import Field

from gs_stereo.config import Config


class PlantConfig(Config):
    """How many objects are planted, and where."""

    objects: int = Field(default=32, ge=4, le=200, description="Objects to plant; fewer where there is no room.")
    extent_share: tuple[float, float] = Field(
        default=(0.03, 0.09),
        description="Smallest and largest radius of an object in its photo, as a share of the width.",
    )
    standing_share: float = Field(
        default=0.4, ge=0, le=1, description="Share of objects that touch what is behind them; the others float."
    )
    max_gap: float = Field(
        default=0.4, gt=0, lt=0.9, description="Largest gap to the surface behind, as a share of its depth."
    )
    max_covered: float = Field(
        default=0.15, gt=0, le=0.5, description="Largest share of a photo that objects may cover."
    )
