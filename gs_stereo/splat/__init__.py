"""Fitting a scene with 3D Gaussians and rendering it. `from gs_stereo.splat import fit_gaussians` works alone.

The names below are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gs_stereo.splat.config import FitConfig
    from gs_stereo.splat.evaluate import evaluate_views
    from gs_stereo.splat.fit import FitResult, fit_gaussians, make_rasterizer
    from gs_stereo.splat.photos import PhotoFolder

__all__ = ["FitConfig", "FitResult", "PhotoFolder", "evaluate_views", "fit_gaussians", "make_rasterizer"]

_HOME = {
    "FitConfig": "config",
    "FitResult": "fit",
    "PhotoFolder": "photos",
    "evaluate_views": "evaluate",
    "fit_gaussians": "fit",
    "make_rasterizer": "fit",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
