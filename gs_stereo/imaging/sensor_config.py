"""Settings of what a camera does to its images. Nothing heavy here, so that the command line can show them."""

from pydantic import Field

from gs_stereo.config import Config


class SensorConfig(Config):
    """A camera's effects on its images; zero or null switches a part off. Ranges are drawn anew for every pair."""

    grey: bool = Field(default=False, description="The camera has no colour.")
    exposure: float = Field(default=1.0, gt=0, le=16, description="Gain of both images, of linear light.")
    exposure_range: float = Field(default=0.0, ge=0, lt=1, description="Gain of the right eye alone, 1 +- this.")
    blur_px: float = Field(default=0.0, ge=0, le=20, description="Sigma of the blur added to both images, px.")
    edge_px2: float | None = Field(
        default=None,
        le=100,
        description="Squared width of the camera's sharpest edges, px^2: instead of blur_px, images are blurred until "
        "their edges are as wide, wider ones not at all.",
    )
    read_noise: float = Field(default=0.0, ge=0, le=64, description="Standard deviation at black, 8-bit levels.")
    shot_noise: float = Field(
        default=0.0,
        ge=0,
        le=8,
        description="Noise that grows with light: standard deviation over the root of the level.",
    )
    jpeg_quality: int | None = Field(default=None, ge=1, le=100, description="Quality of JPEG; null: none.")
    row_offset_px: float = Field(
        default=0.0, ge=0, le=8, description="The right image lies lower by +- this: residue of rectification."
    )
    rotation_deg: float = Field(
        default=0.0, ge=0, le=2, description="The right image is turned about its centre by +- this: residue."
    )
    radial: float = Field(
        default=0.0,
        ge=0,
        le=0.1,
        description="The right image keeps +- this share of radial distortion at its corners: residue.",
    )
