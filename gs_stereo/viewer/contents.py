"""What a scene has to show. Any part may be missing; `notes` says which, and what makes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gs_stereo.datasets.schema import ShardSample
from gs_stereo.splat.pairs import SplatRenderer
from gs_stereo.types import SparseScene, StereoRig
from gs_stereo.types.photo_source import PhotoSource


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewedDataset:
    """A labelled data set. `read(i)` gives sample i, and raises InputError where its shard is broken."""

    sample_ids: tuple[str, ...]
    read: Callable[[int], ShardSample]


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneContents:
    """Cameras and photos, the splat and how to render it, the rigs of each set of pairs, the data sets by name.

    photo: gives the image of a camera by its name; used only with `sparse`. notes: one sentence for each missing part.
    """

    name: str
    sparse: SparseScene | None = None
    photo: PhotoSource | None = None
    renderer: SplatRenderer | None = None
    rigs: Mapping[str, tuple[StereoRig, ...]] = field(default_factory=dict)
    datasets: Mapping[str, ViewedDataset] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True if there is nothing at all to look at."""
        return self.sparse is None and self.renderer is None and not self.rigs and not self.datasets

    @property
    def is_metric(self) -> bool:
        return self.sparse is not None and self.sparse.metres_per_unit == 1.0
