"""Settings of `reconstruct` and `import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import Field, model_validator

from gs_stereo.config import Config, OnlyWith

Convention = Literal["world_from_cam_opengl", "world_from_cam_opencv", "cam_from_world_opengl", "cam_from_world_opencv"]
"""What a 4x4 pose may be: of the camera in the world or its inverse, with axes right, up, back or right, down, forward.
"""


M = TypeVar("M", bound="MaskConfig")


class MaskConfig(Config):
    """Masks that are given beside photos."""

    masks: str = Field(
        default="auto",
        description="Folder of masks, seen from the scene: PNGs with the photos' names (a.png or a.jpg.png for a.jpg)."
        " auto: masks/ in the photo folder or beside images/. off: none. White (all that is not black) is used.",
    )
    mask_black: Literal["hidden", "empty"] = Field(
        default="hidden",
        description="What black means. hidden: something that is not of the scene is before it; other photos see what"
        " is behind. empty: nothing is there, as around an object; it is not labelled.",
    )
    invert_masks: bool = Field(default=False, description="Black is used, and white is not.")

    def near(self: M, scene: Path) -> M:
        """With the folder of masks named from here, not from the scene."""
        named = self.masks not in ("auto", "off")
        return self.model_copy(update={"masks": str(scene / self.masks)}) if named else self


class ReconstructConfig(MaskConfig):
    """How photos become cameras and points. At most one source of scale may be set."""

    only_with: ClassVar[OnlyWith] = {
        "exhaustive_limit": {"matcher": ("auto",)},
        "neighbours": {"matcher": ("sequential", "auto")},
        "similar": {"matcher": ("retrieval", "auto")},
    }
    max_image_size: int = Field(
        default=800, ge=64, le=16384, description="Longest edge in pixels of the images that are matched and written."
    )
    matcher: Literal["auto", "exhaustive", "sequential", "retrieval"] = Field(
        default="auto",
        description="Which pairs are matched. exhaustive: all. sequential: neighbours in name order. retrieval: for"
        " each photo the most similar ones by their largest features. auto: both for a video,"
        " exhaustive up to `exhaustive_limit` photos, retrieval above.",
    )
    exhaustive_limit: int = Field(default=40, ge=2, description="Most photos that `auto` matches exhaustively.")
    neighbours: int = Field(
        default=10,
        ge=1,
        description="Next photos that sequential matching pairs with each one; powers of two are added.",
    )
    similar: int = Field(default=20, ge=1, description="Most similar photos matched with each photo by retrieval.")
    mapper: Literal["incremental", "global"] = Field(
        default="incremental", description="incremental: one photo after the other. global: all at once (GLOMAP)."
    )
    camera_model: Literal[
        "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV", "OPENCV_FISHEYE"
    ] = Field(default="SIMPLE_RADIAL", description="Lens model that is estimated, by COLMAP's name.")
    single_camera: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="auto: one camera if all photos share size and EXIF focal length, else one for each folder, size"
        " and focal length; where that fits poorly, one camera a photo is tried too, and kept if it is much better."
        " always: one camera, and all sizes must agree. never: one camera a photo.",
    )
    max_frames: int = Field(default=150, ge=2, description="Most frames taken from a video.")
    metres_per_unit: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Metres in one unit of the normalised frame, in which the median depth of the points is 1.",
    )
    known_distance: tuple[str, str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = Field(
        default=None, description="Two photo names and the distance between their camera centres in metres."
    )
    camera_positions: str | None = Field(
        default=None, description="Text or CSV file with a line `name x y z` for each photo, in metres."
    )
    gps: Literal["off", "auto"] = Field(
        default="off",
        description="auto: use EXIF GPS where at least 6 photos have it and they spread over 30 m or more,"
        " well above its error of some metres; the frame is then local east, north, up. off by default, because a scene"
        " the size of a room would get a wrong scale.",
    )
    threads: int = Field(default=0, ge=0, description="Threads for features and matches; 0 = all cores.")

    @model_validator(mode="after")
    def _one_source_of_scale(self) -> ReconstructConfig:
        given = [
            name
            for name, value in (
                ("metres_per_unit", self.metres_per_unit),
                ("known_distance", self.known_distance),
                ("camera_positions", self.camera_positions),
                ("gps", None if self.gps == "off" else self.gps),
            )
            if value is not None
        ]
        if len(given) > 1:
            raise ValueError(f"only one source of scale can be used, but {' and '.join(given)} are set")
        return self


class ImportConfig(MaskConfig):
    """How cameras that the user brings are taken over. The frame is kept as given."""

    max_image_size: int = Field(
        default=800, ge=64, le=16384, description="Longest edge in pixels of the images that are written."
    )
    metres_per_unit: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Metres in one unit of the given frame; unset = unknown."
    )
    refine: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Adjust the poses to matches between the photos, and keep that where matches that were held out"
        " then agree better by a tenth or more. auto: poses without measured points, as phones and networks give them."
        " on: also those of models that have points, which are triangulated again then. off: poses stay as given.",
    )
    share_intrinsics: bool = Field(
        default=False,
        description="Photos of one size get one camera, the median of theirs: networks guess one for each photo.",
    )
    scale_source: Literal["given", "model", "device"] = Field(
        default="given",
        description="Who says metres_per_unit: given, who has measured it; model, a network that estimates it; device,"
        " a phone or camera that tracks itself.",
    )
    refine_focal: bool = Field(default=False, description="Focal lengths are refined with the poses.")
    poses: Convention | None = Field(
        default=None,
        description="What the poses of the file are, if not what its format says: the camera in the world or the world"
        " in the camera, with OpenGL's axes (y up, z backwards) or OpenCV's (y down, z forwards).",
    )
    threads: int = Field(default=0, ge=0, description="Threads for features and matches; 0 = all cores.")
