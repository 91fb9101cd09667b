"""What stands before the scene in one photo only: there the photo contradicts a splat that other photos bear out.

Compared are slow changes of colour (both images are blurred), because a splat on its way lacks fine texture everywhere.
A pixel is suspect where they differ much, and it is guilty if the photos around that surely see the same place agree
with the splat there: gloss and poor geometry are wrong for all photos. Guilt spreads over all that differs around it,
unless others show the same thing at one place, for then the splat has yet to learn it. The limits were found on a room
with people pasted into half of its photos (all are found after a tenth of the fit) and on clean captures.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from gs_stereo.core.cores import cores
from gs_stereo.geometry.pixels import PIXEL_CENTRE, pixel_centres, pixel_index
from gs_stereo.geometry.projection import inside, project, unproject, unproject_depth_map
from gs_stereo.geometry.view_selection import views_with_parallax
from gs_stereo.imaging.images import fitting_size
from gs_stereo.mvs.first_depth import FirstDepth
from gs_stereo.splat.raster.protocol import Rasterizer, RenderSettings
from gs_stereo.types import Camera, SparseScene
from gs_stereo.types.gaussians import Gaussians
from gs_stereo.types.photo_source import PhotoSource, mask_of

_EDGE_PX = 320
_BLUR_SHARE = 1 / 100  # of the width
_SUSPECT = 0.12  # difference of sRGB, of the strongest channel
_SPREAD = 0.05
_BORNE_OUT = 0.04  # median difference of the witnesses
_WITNESSES = 8
_LEAST_WITNESSES = 2
_SAME_DEPTH = 0.05
_LEAST_SEEDED, _MOST_SURE = 0.2, 0.4  # of a region
_ALIKE, _STILL_SHARE, _PIXELS_OF_REGION = 0.08, 0.3, 400
_PLANES, _NEAREST_FACTOR = 32, 5.0  # tried from the splat's depth to a fifth of it
_LEAST_AREA = 1 / 500  # of the photo
_MARGIN_SHARE = 1 / 80  # of the width: blurred edges are in the photo, too
_MOST_SHARE = 0.6  # a photo that is contradicted on more of it has another trouble


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedView:
    """A photo beside what the splat shows from its place, both small. depth: NaN = nothing is there.

    mask: where the photo shows the scene as far as that was given, None = everywhere. sure: where another photo
    confirms what this one shows (the plane sweep's depth), None = not known; then it is no witness.
    """

    camera: Camera
    photo: UInt8[np.ndarray, "h w 3"]
    render: UInt8[np.ndarray, "h w 3"]
    depth: Float[np.ndarray, "h w"]
    mask: Bool[np.ndarray, "h w"] | None = None
    sure: Bool[np.ndarray, "h w"] | None = None

    def slow(self, image: np.ndarray) -> Float[np.ndarray, "h w 3"]:
        """Slow changes of colour, in [0, 1]."""
        return cv2.GaussianBlur(image.astype(np.float32) / 255, (0, 0), _BLUR_SHARE * self.camera.width)

    def difference(self) -> Float[np.ndarray, "h w"]:
        """Of the slow changes of colour, in the strongest channel; 0 where the photo is masked."""
        signed = self.photo.astype(np.float32) - self.render
        if self.mask is not None:
            signed = np.where(self.mask[..., None], signed, np.float32(0))
        return np.abs(self.slow(signed)).max(axis=-1)


def find_transients(views: Sequence[ComparedView]) -> list[Bool[np.ndarray, "h w"] | None]:
    """Where each photo shows what is not of the scene; None where it does not."""

    def looked_at(view: ComparedView) -> _Judged:
        return _Judged(view=view, slow=view.slow(view.photo), difference=view.difference())

    with ThreadPoolExecutor(cores()) as pool:  # numpy and OpenCV release the interpreter lock
        judged = list(pool.map(looked_at, views))
        return list(pool.map(lambda row: _of_view(row, judged), range(len(judged))))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judged:
    """A view, its blurred photo, and how much photo and splat differ."""

    view: ComparedView
    slow: Float[np.ndarray, "h w 3"]
    difference: Float[np.ndarray, "h w"]


def _of_view(row: int, judged: Sequence[_Judged]) -> Bool[np.ndarray, "h w"] | None:
    view, difference = judged[row].view, judged[row].difference
    suspect = (difference > _SUSPECT) & np.isfinite(view.depth) & (view.depth > 0)
    if not suspect.any():
        return None
    depth = float(np.median(view.depth[suspect]))
    near = views_with_parallax(view.camera, [each.view.camera for each in judged], depth, _WITNESSES)
    others = [judged[other] for other in near if other != row and judged[other].view.sure is not None]
    if not others:
        return None
    xyz = unproject_depth_map(view.camera, view.depth.astype(np.float64))[suspect]
    witnesses = np.stack([_difference_at(other, xyz) for other in others])
    enough = np.isfinite(witnesses).sum(axis=0) >= _LEAST_WITNESSES
    guilty = suspect.copy()
    guilty[suspect] = enough & (np.nanmedian(np.where(enough, witnesses, 0), axis=0) < _BORNE_OUT)

    count, labels, statistics, _ = cv2.connectedComponentsWithStats((difference > _SPREAD).astype(np.uint8))
    area, seeded = statistics[:, cv2.CC_STAT_AREA], np.bincount(labels.ravel(), guilty.ravel(), minlength=count)
    kept = (seeded >= _LEAST_AREA * guilty.size) & (seeded >= _LEAST_SEEDED * area)
    if view.sure is not None:
        kept &= np.bincount(labels.ravel(), view.sure.ravel(), minlength=count) < _MOST_SURE * area
    for region in np.flatnonzero(kept):
        kept[region] = not _stands_still(judged[row], others, guilty & (labels == region))
    reach = 2 * max(1, round(_MARGIN_SHARE * guilty.shape[1])) + 1
    found = cv2.dilate(kept[labels].astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    return np.asarray(found) if found.any() and found.mean() < _MOST_SHARE else None


def _stands_still(judged: _Judged, others: Sequence[_Judged], region: Bool[np.ndarray, "h w"]) -> bool:
    """Whether the splat has yet to learn what a region shows: others show it, too, at one place before the splat."""
    rows, columns = np.nonzero(region)
    some = np.linspace(0, len(rows) - 1, min(len(rows), _PIXELS_OF_REGION)).astype(int)
    rows, columns = rows[some], columns[some]
    image_xy = np.stack([columns, rows], axis=-1) + PIXEL_CENTRE
    inverse_depth = 1 / float(np.median(judged.view.depth[rows, columns]))
    for factor in np.geomspace(1.0, _NEAREST_FACTOR, _PLANES):
        xyz = unproject(judged.view.camera, image_xy, np.full(len(rows), 1 / (factor * inverse_depth)))
        matches = np.zeros(len(rows), int)
        for other in others:
            at, depth = project(other.view.camera, xyz)
            seen = (depth > 0) & inside(other.view.camera, at)
            column, row = pixel_index(np.where(seen[:, None], at, 0.0)).T
            alike = np.abs(other.slow[row, column] - judged.slow[rows, columns]).max(axis=-1) < _ALIKE
            matches += seen & alike & (other.difference[row, column] > _SPREAD)
        if (matches >= _LEAST_WITNESSES).mean() > _STILL_SHARE:
            return True
    return False


def _difference_at(other: _Judged, xyz: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
    """How much a photo contradicts the splat at world points; NaN where it does not surely see them."""
    view = other.view
    image_xy, depth = project(view.camera, xyz)
    seen = (depth > 0) & inside(view.camera, image_xy)
    column, row = pixel_index(np.where(seen[:, None], image_xy, 0.0)).T
    seen &= np.abs(view.depth[row, column] - depth) < _SAME_DEPTH * depth
    for trusted in (view.mask, view.sure):
        if trusted is not None:
            seen &= trusted[row, column]
    return np.where(seen, other.difference[row, column], np.nan)


@dataclass(frozen=True, kw_only=True, eq=False)
class TransientSearch:
    """Compares photos of a scene with a splat on its way. swept: their first depth, by name."""

    rasterizer: Rasterizer
    scene: SparseScene
    photos: PhotoSource
    swept: Mapping[str, FirstDepth]
    settings: RenderSettings

    def found(self, gaussians: Gaussians) -> dict[str, Bool[np.ndarray, "h w"]]:
        """Small masks of the photos in which something is found, by name."""
        views = [self._compared(gaussians, row) for row in range(len(self.scene.cameras))]
        found = zip(self.scene.cameras, find_transients(views), strict=True)
        return {camera.name: mask for camera, mask in found if mask is not None}

    def _compared(self, gaussians: Gaussians, row: int) -> ComparedView:
        camera = self.scene.cameras[row]
        size = fitting_size(camera.width, camera.height, _EDGE_PX)
        small = camera.resized(*size)
        with torch.no_grad():
            output = self.rasterizer.render(gaussians, [small], self.settings)
        mask, sure = mask_of(self.photos, camera.name), None
        if camera.name in self.swept:
            depth = self.swept[camera.name].depth_at(small, pixel_centres(*size).reshape(-1, 2))
            sure = np.isfinite(depth).reshape(size[::-1])
        render = output.rgb[0].clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        return ComparedView(
            camera=small,
            photo=cv2.resize(self.photos(camera.name), size, interpolation=cv2.INTER_AREA),
            render=render,
            depth=output.median_depth[0].cpu().numpy(),
            mask=None if mask is None else resized_mask(mask, *size),
            sure=sure,
        )


def resized_mask(mask: Bool[np.ndarray, "h w"], width: int, height: int) -> Bool[np.ndarray, "i j"]:
    """The mask at another size."""
    return np.asarray(cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) >= 0.5)
