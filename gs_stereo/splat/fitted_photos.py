"""The photos as a splat was fitted to them: at one exposure, and without what stood before the scene."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, UInt8

from gs_stereo.splat.appearance import Appearance
from gs_stereo.types.photo_source import PhotoSource, hidden_of, mask_of

_KEPT_PHOTOS = 16  # a view is matched with eight and its own, and the next with most of the same
Mask = Bool[np.ndarray, "h w"]


class FittedPhotos:
    """A PhotoSource of `source`. transient: where something stood before the scene, by name; None = nowhere."""

    def __init__(
        self, source: PhotoSource, appearance: Appearance, transient: Callable[[str], Mask | None] = lambda name: None
    ) -> None:
        self._source = source
        self.transient = transient
        self._undone = lru_cache(maxsize=_KEPT_PHOTOS)(lambda name: appearance.undone(name, source(name)))

    def __call__(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """The photo of the camera called `name`; do not write to it."""
        return self._undone(name)

    def mask(self, name: str) -> Mask | None:
        """See `mask_of`."""
        given, transient = mask_of(self._source, name), self.transient(name)
        if transient is None:
            return given
        return ~transient if given is None else given & ~transient

    def hidden(self, name: str) -> Mask | None:
        """See `hidden_of`. What is cut out stays so."""
        given, mask, transient = hidden_of(self._source, name), mask_of(self._source, name), self.transient(name)
        if transient is None:
            return given
        found = transient if mask is None else transient & mask
        return found if given is None else given | found
