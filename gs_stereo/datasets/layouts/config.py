"""Settings of an export."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gs_stereo.config import Config


class ExportConfig(Config):
    """Which labels go out, and what the formats leave open."""

    min_confidence: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Labels below this confidence are left out: the only way to use it where a format has no place "
        "for confidence.",
    )
    photo_licence: str | None = Field(
        default=None, description="Licence of the photos; by default what the data set knows about it."
    )
    images: Literal["jpg", "png"] = Field(
        default="jpg",
        description="foundationstereo: image files. Its loaders look for .jpg, which costs a little quality; png is "
        "lossless. All other formats are PNG.",
    )
    max_shard_megabytes: float = Field(
        default=500.0, gt=0, description="webdataset: a tar file is closed before it grows beyond this."
    )
