"""Settings of a sample capture. No heavy imports, so that the command line can show them."""

from pydantic import Field, field_validator

from gs_stereo.config import Config


class SampleConfig(Config):
    """What `write_sample` renders.

    The defaults are a walk of 24 photos at 640x480 around a furnished room, with exact truth in metres.
    """

    views: int = Field(24, ge=3, le=500, description="training photos along the walk")
    test_views: int = Field(
        4, ge=0, le=100, description="held-out views between the photos, each with true right images"
    )
    width: int = Field(640, ge=32, le=4096, description="image width in pixels")
    height: int = Field(480, ge=32, le=4096, description="image height in pixels")
    baselines_m: tuple[float, ...] = Field(
        (0.05, 0.1, 0.2), min_length=1, description="baselines in whole millimetres with exact occlusion, in metres"
    )
    right_baselines_m: tuple[float, ...] = Field(
        (0.1,), description="baselines for which the true right image of the test views is rendered, in metres"
    )
    hard: bool = Field(
        False,
        description="blank walls, lacquer, mirrors, foliage, thin rods; the kind of room goes round with the seed",
    )
    wild: bool = Field(
        False, description="a casual capture: exposure, white balance, blur, noise, JPEG, people who pass, open air"
    )
    supersampling: int = Field(2, ge=1, le=8, description="rays along each side of a pixel; one more on edges")

    @field_validator("baselines_m", "right_baselines_m")
    @classmethod
    def _whole_millimetres(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        for value in values:
            if not 0.001 <= value <= 10.0 or abs(value * 1000 - round(value * 1000)) > 1e-6:
                raise ValueError("a baseline must be a whole number of millimetres between 0.001 and 10 m")
        if len(set(values)) != len(values):
            raise ValueError("a baseline is given twice")
        return values
