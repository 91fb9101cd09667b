"""Objects that were drawn into the images of a pair: their exact disparity before the label of the scene."""

import numpy as np

from gs_stereo.types import DrawnObjects, LabelFlag, StereoLabel


def with_objects(label: StereoLabel, objects: DrawnObjects) -> StereoLabel:
    """The label of the scene, the truth on objects, and nothing where it is not known which of them is seen."""
    shown = np.isfinite(objects.disparity)
    disparity = np.where(objects.doubtful, np.float32(np.nan), label.disparity)
    confidence = np.where(objects.doubtful, np.uint8(0), label.confidence)
    columns = np.arange(shown.shape[1]) + 0.5
    outside = shown & (columns - objects.disparity < 0)
    flags = np.where(shown, np.uint16(LabelFlag.DRAWN_OBJECT), label.flags)
    flags |= np.where(outside, np.uint16(LabelFlag.OUT_OF_FRAME), np.uint16(0))
    flags |= np.where(objects.unseen & ~outside, np.uint16(LabelFlag.OCCLUDED), np.uint16(0))
    return StereoLabel(
        disparity=np.where(shown, objects.disparity, disparity).astype(np.float32),
        confidence=np.where(shown, np.uint8(255), confidence),
        flags=flags.astype(np.uint16),
    )
