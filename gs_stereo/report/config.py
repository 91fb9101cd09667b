"""Settings of the report."""

from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.pipeline.scene import FOLDER_NAME
from gs_stereo.quality.config import QualityConfig


class ReportConfig(Config):
    """Which data set is judged, and by which limits."""

    dataset: str | None = Field(
        default=None, pattern=FOLDER_NAME, description="Name of the data set; the one that was written last by default."
    )
    pairs: str | None = Field(
        default=None,
        pattern=FOLDER_NAME,
        description="Instead, only look at this set of pairs, labelled or not; where there is no data set, the pairs "
        "that were written last.",
    )
    limits: QualityConfig = Field(default=QualityConfig(), description="Thresholds of the verdict.")
    backend: str = Field(default="auto", description="Rasterizer for the held-out photos: auto, cpu or gsplat.")
    max_held_out: int = Field(
        default=6, ge=0, description="Show at most this many held-out photos beside their render."
    )
