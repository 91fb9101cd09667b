"""A trust model made by hand: it looks at one piece of evidence, the neighbouring views or any other."""

from __future__ import annotations

import numpy as np

from gs_stereo.labels.trust import InputScale, Layer, TrustModel

KINDS = ("photos", "multibaseline", "splat", "matched", "surfaces")


def one_eyed(name: str = "views_px") -> TrustModel:
    """Confidence 0.99 where the evidence is 0 and 0.05 where it is 3; 0.6 where it is unknown."""
    scale = InputScale(name=name, doubt=True, low=-4.6, high=2.0, centre=0.0, spread=1.0)
    first = np.zeros((1, 2 + len(KINDS)), np.float32)
    first[0, 0] = 1.0
    return TrustModel(
        version=1,
        trained_on=("boards",),
        experts=("sgbm",),
        kinds=KINDS,
        inputs=(scale,),
        layers=(
            Layer(weights=first, bias=np.zeros(1, np.float32)),
            Layer(weights=np.array([[2.0], [6.0]], np.float32), bias=np.array([-2.5, -0.5], np.float32)),
        ),
    )
