"""What a label source is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gs_stereo import __version__
from gs_stereo.io.pair_index import PairEntry
from gs_stereo.types import Provenance

if TYPE_CHECKING:
    from gs_stereo.labels.observations import ViewDepth
    from gs_stereo.types import StereoLabel, StereoPair


@dataclass(frozen=True, kw_only=True)
class ViewNeeds:
    """What a label source asks about a left view, once for all its baselines.

    photos: how many real photos are matched with it. surfaces: planes for regions without texture. surroundings: the
    depth of neighbouring views and the sparse points. silhouettes: the splat's depth with its edges at those of the
    image. stack: views of the splat on both sides, matched together.
    """

    photos: int = 0
    surfaces: bool = False
    surroundings: bool = False
    silhouettes: bool = False
    stack: bool = False


class LabelSource(ABC):
    """Labels rendered pairs. It is made from the settings in every process, so making one must be cheap."""

    needs = ViewNeeds()
    own_settings: tuple[str, ...] = ()
    """Names of the `LabelSettings` that decide the label, besides `rules`: they are stored in the shards."""
    needs_depth = True
    """Whether pairs must have been rendered with depth; a source that can do without takes `StereoImages`."""

    @abstractmethod
    def provenance(self) -> Provenance:
        """Where the labels come from: versions, licences and settings of everything that has a say."""

    @abstractmethod
    def label(self, pair: StereoPair, views: Mapping[str, ViewDepth]) -> StereoLabel:
        """The label of one pair. views: what `needs` asked for, as far as it could be answered."""

    def external_files(self) -> Mapping[str, Path]:
        """Files from outside that decide the label, such as weights, by a stable name."""
        return {}

    def processes(self) -> int | None:
        """How many processes may label at once; None: one a core."""
        return None

    def gpus(self) -> int:
        """How many GPUs the settings ask for by name."""
        return 0

    def notes(self) -> tuple[str, ...]:
        """Sentences that the user should read before labelling."""
        return ()


def own_provenance(name: str, settings: dict[str, Any]) -> Provenance:
    """Of a label that comes from the fitted scene and its photos alone."""
    return Provenance(name=name, version=__version__, licence="no expert weights", settings=settings)


def with_generated_pixels(label: Provenance, pairs: Sequence[PairEntry]) -> Provenance:
    """The provenance of a label of pairs, one eye of which may be generated: then it says by what, and its licence."""
    generated = next((pair.measures["generated"] for pair in pairs if "generated" in pair.measures), None)
    if not isinstance(generated, Mapping):
        return label
    licence = f"{label.name}: {label.licence}; generated eye: {generated.get('licence', 'unknown')}"
    return replace(label, licence=licence, settings={**label.settings, "generated_eye": dict(generated)})
