"""Frozen value types that the whole package shares. Geometry is numpy float64; only Gaussians hold torch tensors."""

from gs_stereo.types.camera import Camera, StereoRig
from gs_stereo.types.labels import UNSEEN_BY_RIGHT, DisparityPrediction, LabelFlag, Provenance, StereoLabel
from gs_stereo.types.render import DepthMaps, DrawnObjects, StereoImages, StereoPair
from gs_stereo.types.scene import SparsePoints, SparseScene

__all__ = [
    "UNSEEN_BY_RIGHT",
    "Camera",
    "DepthMaps",
    "DisparityPrediction",
    "DrawnObjects",
    "LabelFlag",
    "Provenance",
    "SparsePoints",
    "SparseScene",
    "StereoImages",
    "StereoLabel",
    "StereoPair",
    "StereoRig",
]
