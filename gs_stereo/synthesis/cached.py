"""Made pictures kept in a folder, so that an interrupted evaluation with an expensive model goes on where it was."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

from gs_stereo.config import canonical_json
from gs_stereo.imaging.images import read_photo, write_png
from gs_stereo.synthesis.protocol import SourceView, SynthesizedView, Synthesizer
from gs_stereo.types import Provenance


class CachedSynthesizer:
    """A synthesizer that looks first whether it has made a picture before.

    A picture is known by all that decides it: source, camera, depth, baseline, seed, and the provenance, which names
    weights, steps and guidance. `filled` is not kept.
    """

    def __init__(self, synthesizer: Synthesizer, folder: Path) -> None:
        self._made_by, self._folder = synthesizer, folder
        self.title, self.unit, self.needs_depth = synthesizer.title, synthesizer.unit, synthesizer.needs_depth
        self.rows_px = synthesizer.rows_px
        self.steps, self.side_px, self.multiple_px = synthesizer.steps, synthesizer.side_px, synthesizer.multiple_px

    @property
    def provenance(self) -> Provenance:
        return self._made_by.provenance

    def synthesize(self, source: SourceView, baseline: float, seed: int) -> SynthesizedView:
        known = self.provenance
        digest = hashlib.sha256(canonical_json([asdict(known), source.image.shape, baseline, seed]).encode())
        for part in (source.image, source.intrinsics, source.depth if self.needs_depth else None):
            digest.update(b"" if part is None else part.tobytes())
        file = self._folder / f"{digest.hexdigest()}.png"
        if file.is_file():
            return SynthesizedView(image=read_photo(file, upright=False), filled=None, provenance=known)
        image = self._made_by.synthesize(source, baseline, seed).image
        write_png(file, image)
        return SynthesizedView(image=image, filled=None, provenance=known)
