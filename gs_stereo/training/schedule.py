"""The learning rate of a step: one cycle (Smith and Topin 2019), a pure function, so that there is no state to keep."""

from __future__ import annotations

import math

_START, _END = 0.1, 0.01


def learning_rate(step: int, steps: int, peak: float, warm_up_share: float) -> float:
    """Rises linearly from peak / 10 during warm-up, then falls as a cosine to peak / 100 at the last step."""
    warm = round(warm_up_share * steps)
    if step < warm:
        return peak * (_START + (1 - _START) * step / warm)
    progress = (step - warm) / max(1, steps - 1 - warm)
    return peak * (_END + (1 - _END) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
