"""What is published in `fit/`: the splat and how it wants to be rendered. Written by fit and by importing a splat."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gs_stereo.core.records import OpenRecord, read_record, write_record

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool

    from gs_stereo.splat.appearance import Appearance
    from gs_stereo.splat.fitted_photos import FittedPhotos
    from gs_stereo.splat.pairs import SplatRenderer
    from gs_stereo.types import SparseScene

FOLDER = "fit"
SPLAT_NAME = "splat.ply"
VIEWS_NAME = "views.json"
INFO_NAME = "splat.json"
TRANSIENTS_NAME = "transients"


@dataclass(frozen=True, kw_only=True)
class SplatInfo(OpenRecord):
    """How the splat was fitted, for rendering must do the same.

    antialiased: opacity compensation. background: RGB in [0, 1] behind the last Gaussian. origin: place in the world
    that its means are relative to, for float32 cannot hold map coordinates.
    """

    antialiased: bool
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)


def write_splat_info(folder: Path, info: SplatInfo) -> None:
    """Write `splat.json`."""
    write_record(folder / INFO_NAME, info, indent=None)


def read_splat_info(folder: Path) -> SplatInfo:
    """Read `splat.json`; InputError if it is missing or broken."""
    return read_record(SplatInfo, folder / INFO_NAME, fix="run `gsstereo fit --force` again")


def load_scene(reconstruction: Path | None, folder: Path) -> SparseScene:
    """Cameras and points of the photos. Where there are none: the cameras that came with the splat, if any."""
    from gs_stereo.io.reconstruction import load_sparse_scene
    from gs_stereo.io.views import read_views
    from gs_stereo.types import SparsePoints, SparseScene

    if reconstruction is not None:
        return load_sparse_scene(reconstruction)
    views = folder / VIEWS_NAME
    cameras = read_views(views) if views.is_file() else ()
    return SparseScene(cameras=tuple(sorted(cameras, key=lambda view: view.name)), points=SparsePoints.none())


def load_appearance(folder: Path) -> Appearance:
    """What was undone in the photos before the splat was fitted to them."""
    from gs_stereo.splat.appearance import APPEARANCE_NAME, Appearance

    path = folder / APPEARANCE_NAME
    return read_record(Appearance, path, fix="run `gsstereo fit --force` again") if path.is_file() else Appearance()


def load_photos(reconstruction: Path, fit: Path | None) -> FittedPhotos:
    """The photos as a splat was fitted to them; without one, as they are."""
    from gs_stereo.imaging.images import read_photo
    from gs_stereo.io.reconstruction import PhotosOfReconstruction, load_summary
    from gs_stereo.splat.appearance import Appearance
    from gs_stereo.splat.fitted_photos import FittedPhotos

    photos, files = PhotosOfReconstruction(reconstruction), load_summary(reconstruction).image_files
    if fit is None:
        return FittedPhotos(photos, Appearance())

    def transient(name: str) -> Bool[np.ndarray, "h w"] | None:
        path = fit / TRANSIENTS_NAME / files[name]
        return read_photo(path)[:, :, 0] > 0 if path.is_file() else None

    return FittedPhotos(photos, load_appearance(fit), lru_cache(maxsize=8)(transient))


def load_renderer(folder: Path, backend: str) -> SplatRenderer:
    """The published splat and the way to render it, on the device of the rasterizer."""
    from gs_stereo.io.ply import load_splat
    from gs_stereo.splat.fit import make_rasterizer
    from gs_stereo.splat.pairs import SplatRenderer
    from gs_stereo.splat.raster.protocol import RenderSettings

    rasterizer = make_rasterizer(backend)
    info = read_splat_info(folder)
    return SplatRenderer(
        rasterizer=rasterizer,
        gaussians=load_splat(folder / SPLAT_NAME).to(rasterizer.device),
        settings=RenderSettings(antialiased=info.antialiased, background=info.background),
        origin=info.origin,
    )
