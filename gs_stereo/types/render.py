"""What rendering a stereo rig gives, as numpy arrays."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gs_stereo.types.camera import StereoRig


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthMaps:
    """Per-pixel depth of one rendered view, z along the optical axis in scene units; NaN where nothing was hit.

    expected: alpha-normalised mean of z. median: z at which transmittance falls below one half.
    variance: alpha-normalised variance of z along the ray. alpha: opacity in [0, 1].
    """

    expected: Float[np.ndarray, "h w"]
    median: Float[np.ndarray, "h w"]
    variance: Float[np.ndarray, "h w"]
    alpha: Float[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StereoImages:
    """A rectified pair of sRGB images and the rig that made them.

    sample_id: unique in a data set. view_id: shared by the samples of one left view; the photo's file name for
    training views. extra_views / extra_offsets: an optional rectified stack, images of the left camera moved by
    `extra_offsets` scene units along its x axis. extra_depth: of each of them in scene units, NaN where it is not sure;
    empty where it was not rendered.
    """

    sample_id: str
    view_id: str
    rig: StereoRig
    left: UInt8[np.ndarray, "h w 3"]
    right: UInt8[np.ndarray, "h w 3"]
    extra_views: tuple[UInt8[np.ndarray, "h w 3"], ...] = field(default=())
    extra_offsets: tuple[float, ...] = field(default=())
    extra_depth: tuple[Float[np.ndarray, "h w"], ...] = field(default=())


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnObjects:
    """Virtual objects of known shape that a data set shows before the scene, as the left eye sees them.

    disparity: of their surfaces in px, exact; NaN where none is. unseen: pixels, of objects and of the scene, that
    objects hide from the right eye, or the scene an object. doubtful: whether the object or the scene is seen here is
    not known.
    """

    disparity: Float[np.ndarray, "h w"]
    unseen: Bool[np.ndarray, "h w"]
    doubtful: Bool[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StereoPair(StereoImages):
    """A rendered rectified pair: its images with the depth of both eyes.

    left_cut_out: pixels of the left eye whose surface the photos cut out; None if they cut nothing out. They have no
    depth. objects: what is drawn into the images that are stored for learners; `left` and `right` are without them.
    """

    left_depth: DepthMaps
    right_depth: DepthMaps
    left_cut_out: Bool[np.ndarray, "h w"] | None = None
    objects: DrawnObjects | None = None
