"""The photos a splat is fitted to: where they come from, and what the trainer sees at each resolution level."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch.nn import functional

from gs_stereo.core.cores import cores
from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.imaging.masks import filled_smoothly
from gs_stereo.imaging.sharpness import edge_width_px2, extra_blur_px
from gs_stereo.mvs.first_depth import FirstDepth
from gs_stereo.splat.config import ResolutionConfig
from gs_stereo.types import Camera
from gs_stereo.types.photo_source import PhotoSource, cut_out_of_photo, hidden_of, mask_of

_LEAST_BLUR_PX = 0.6
_FEW_PHOTOS = 15


class PhotoFolder:
    """A PhotoSource over a folder of undistorted photos; a camera's name is the path relative to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        from gs_stereo.imaging.images import read_photo

        return read_photo(self._folder / name)


class CheckedPhotos:
    """A PhotoSource that keeps photos and masks of `source` in memory and insists that they fit their cameras."""

    def __init__(self, source: PhotoSource, cameras: Sequence[Camera]) -> None:
        self._source = source
        self._cameras: Mapping[str, Camera] = {camera.name: camera for camera in cameras}
        self._cache: dict[str, UInt8[np.ndarray, "h w 3"]] = {}
        self.mask = cache(self._mask)
        self.hidden = cache(partial(hidden_of, source))

    def _mask(self, name: str) -> Bool[np.ndarray, "h w"] | None:
        mask, camera = mask_of(self._source, name), self._cameras[name]
        if mask is not None and mask.shape != (camera.height, camera.width):
            raise InputError(f"The mask of {name} does not have its size; make masks and photos together.")
        return mask

    def __call__(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        if name not in self._cache:
            photo = np.asarray(self._source(name))
            camera = self._cameras[name]
            expected = (camera.height, camera.width, 3)
            if photo.shape != expected or photo.dtype != np.uint8:
                raise InputError(
                    f"The photo {name} is {photo.dtype} {photo.shape} but its camera expects uint8 {expected}; "
                    "use the undistorted photos that belong to the cameras."
                )
            self._cache[name] = photo
        return self._cache[name]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingView:
    """A view at one resolution.

    photo: in [0, 1]. mask: where it shows the scene, None = everywhere. cut_out: where it says that nothing is there,
    None = nowhere. depth: rough z from the plane sweep, NaN where unknown, or None. weight: of the photo in the loss.
    """

    camera: Camera
    photo: Float[torch.Tensor, "3 h w"]
    mask: Bool[torch.Tensor, "h w"] | None
    cut_out: Bool[torch.Tensor, "h w"] | None
    depth: Float[torch.Tensor, "h w"] | None
    weight: float = 1.0

    def without(self, transient: Bool[torch.Tensor, "i j"]) -> "TrainingView":
        """The view whose photo says nothing where something stands before the scene; the map may be smaller."""
        size = (self.camera.height, self.camera.width)
        free = functional.interpolate(transient[None, None].float(), size=size, mode="bilinear")[0, 0] < 0.5
        mask = free if self.mask is None else self.mask & free
        return replace(self, mask=mask, depth=None if self.depth is None else self.depth.where(free, torch.nan))


class TrainingViews:
    """The training views at each halving of the resolution, made when they are first needed and kept."""

    def __init__(
        self,
        cameras: Sequence[Camera],
        photos: PhotoSource,
        swept: Mapping[str, FirstDepth],
        resolution: ResolutionConfig,
        device: torch.device,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._cameras = tuple(cameras)
        self._photos = photos
        self._swept = swept
        self._resolution = resolution
        self._device = device
        self._weights = weights or {}
        self._cache: dict[tuple[int, int], TrainingView] = {}

    def __len__(self) -> int:
        return len(self._cameras)

    def at(self, index: int, level: int) -> TrainingView:
        """The view `index`, halved `level` times (less if an edge would fall under the shortest allowed)."""
        camera = self._cameras[index]
        while level > 0 and (min(camera.width, camera.height) >> level) < self._resolution.min_edge_px:
            level -= 1
        key = (index, level)
        if key not in self._cache:
            self._cache[key] = self._resized(camera, level)
        return self._cache[key]

    def _resized(self, camera: Camera, level: int) -> TrainingView:
        import cv2

        photo = self._photos(camera.name)
        maps = [mask_of(self._photos, camera.name), cut_out_of_photo(self._photos, camera.name)]
        if level > 0:
            size = (camera.width >> level, camera.height >> level)
            photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
            maps = [
                None if each is None else cv2.resize(each.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5
                for each in maps
            ]
            camera = camera.resized(*size)
        mask, cut_out = (None if each is None else torch.from_numpy(each).to(self._device) for each in maps)
        depth = None
        if camera.name in self._swept:
            centres = pixel_centres(camera.width, camera.height).reshape(-1, 2)
            values = self._swept[camera.name].depth_at(camera, centres).astype(np.float32)
            depth = torch.from_numpy(values).reshape(camera.height, camera.width).to(self._device)
            depth = depth if mask is None else depth.where(mask, torch.nan)
        return TrainingView(
            camera=camera,
            photo=image_tensor(photo, self._device),
            mask=mask,
            cut_out=cut_out,
            depth=depth,
            weight=self._weights.get(camera.name, 1.0),
        )


def blur_weights(cameras: Sequence[Camera], photos: PhotoSource) -> dict[str, float]:
    """Weights under 1 of the photos that are blurred: 1 / (1 + s^2), s px being their blur beyond the median photo's.

    Photos of one size are compared, and blur under 0.6 px counts as none: in a capture with four shaken photos of 24
    those had 1.2 to 1.5 px, and no other had more than 0.35.
    """

    def width_px2(camera: Camera) -> float:
        return edge_width_px2(filled_smoothly(photos(camera.name), mask_of(photos, camera.name)))

    widths: dict[tuple[int, int], dict[str, float]] = {}
    with ThreadPoolExecutor(cores()) as pool:  # numpy and OpenCV release the interpreter lock
        for camera, width in zip(cameras, pool.map(width_px2, cameras), strict=True):
            widths.setdefault((camera.width, camera.height), {})[camera.name] = width
    found = {}
    for group in widths.values():
        known = [width for width in group.values() if np.isfinite(width)]
        typical = float(np.median(known)) if known else float("nan")
        for name, width in group.items():
            extra = extra_blur_px(width, typical)
            if extra > _LEAST_BLUR_PX:
                found[name] = 1 / (1 + extra**2)
    return found


def image_tensor(photo: UInt8[np.ndarray, "h w 3"], device: torch.device) -> Float[torch.Tensor, "3 h w"]:
    """sRGB uint8 HWC as float32 CHW in [0, 1]."""
    return torch.from_numpy(np.array(photo)).to(device).permute(2, 0, 1).contiguous().float().div_(255.0)


def split_names(names: Sequence[str], test_every: int) -> tuple[list[str], list[str]]:
    """Training and held-out names: every `test_every`-th of the sorted names is held out, beginning with the first.

    Of fewer than 15 photos it begins in the middle of the first `test_every`: the end of a walk says little about views
    between photos, and without its photo nothing is known there. With fewer than 4 photos, or no middle, none is held
    out, because the fit needs them all.
    """
    ordered = sorted(names)
    if test_every <= 1 or len(ordered) < 4:
        return ordered, []
    held_out = ordered[test_every // 2 if len(ordered) < _FEW_PHOTOS else 0 :: test_every]
    return [name for name in ordered if name not in set(held_out)], held_out
