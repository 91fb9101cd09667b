"""gs_stereo: photos of a scene in, rectified stereo pairs with trusted disparity labels out.

Importing the package is free: nothing heavy is loaded before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gs_stereo.datasets.torch_reader import StereoDataset, collate
    from gs_stereo.datasets.torch_sampler import ShardSampler

_LAZY = {
    "ShardSampler": "gs_stereo.datasets.torch_sampler",
    "StereoDataset": "gs_stereo.datasets.torch_reader",
    "collate": "gs_stereo.datasets.torch_reader",
}
__all__ = ["ShardSampler", "StereoDataset", "__version__", "collate"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gs_stereo' has no attribute {name!r}")
