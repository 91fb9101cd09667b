"""Exposure, colour and vignette of the photos: found from the colours of the SfM points, undone before the fit.

A photo shows the light of a point times its own gain in each channel (exposure and white balance) times the falloff of
its lens towards the corners. In logarithms that is a sum, so the gains on which all photos agree about all points are a
least-squares problem: each point's own light is eliminated, and what agrees with nothing (gloss, things that move) gets
no weight (Tukey's biweight, repeated). PPISP (CVPR 2026) fits such a model together with the splat; the
points give it before, so that all that looks at photos sees one exposure, in which pairs are rendered.

It is used where it pays: each next richer model must bring the photos clearly closer together about points that it was
not solved from.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from pydantic import Field

from gs_stereo.core.cores import cores
from gs_stereo.core.records import OpenRecord
from gs_stereo.geometry.pixels import pixel_centres, pixel_index
from gs_stereo.geometry.projection import inside, project
from gs_stereo.imaging.light import light_from_srgb, srgb_from_light
from gs_stereo.types import Camera, SparseScene
from gs_stereo.types.photo_source import PhotoSource, mask_of

APPEARANCE_NAME = "appearance.json"
_EDGE_PX, _BLUR_PX = 640, 2.0  # points have no colour of their own: their surroundings have
_DARKEST, _BRIGHTEST = 4, 250  # outside, noise or clipping speaks
_MOST_POINTS = 10_000
_FEWEST_POINTS = 50
_ROUNDS = 12  # of the weights; they no longer change
_SPREADS = 3.0  # residual without weight, in standard deviations
_LEAST_SPREAD = 0.02  # of |log|: the noise of good photos; less would give no weight to what the prior holds back
_PRIOR_OBSERVATIONS = 0.3  # of identity, for photos that see few points
_PAYS = 0.8  # disagreement left by a model that pays; clean captures have 0.98, and at 0.85 new views got worse
_LEAST_GAIN = 0.01  # of it in |log|; undoing a vignette that costs 0.007 gained nothing
_FALLOFF_TERMS = 3
_PHOTOS_A_LENS = 4
_LIGHT_OF_LEVELS = light_from_srgb(np.arange(256, dtype=np.float32) / 255)
_Gain = Annotated[float, Field(ge=-16, le=16)]


@dataclass(frozen=True, kw_only=True)
class PhotoAppearance(OpenRecord):
    """What was done to the light in one photo.

    gains_ev: log2 of the gain of red, green and blue. falloff_ev: log2 of the lens's gain is the sum of these times
    r^2, r^4, r^6, where r is the distance to the image's centre over that of a corner.
    """

    name: str
    gains_ev: tuple[_Gain, _Gain, _Gain]
    falloff_ev: tuple[_Gain, _Gain, _Gain] = (0.0, 0.0, 0.0)

    @property
    def exposure_ev(self) -> float:
        return float(np.mean(self.gains_ev))

    def undone(self, photo: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The photo at the exposure, colour and falloff that all photos share; what is too bright for it is clipped."""
        levels = _LIGHT_OF_LEVELS[:, None] / np.exp2(np.array(self.gains_ev, np.float32))
        light = np.stack([levels[photo[..., channel], channel] for channel in range(3)], axis=-1)
        if any(self.falloff_ev):
            height, width = photo.shape[:2]
            terms = _radial_terms(pixel_centres(width, height), width, height)
            light /= np.exp2(terms @ np.array(self.falloff_ev)).astype(np.float32)[..., None]
        return np.rint(255 * srgb_from_light(np.minimum(light, 1))).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Appearance(OpenRecord):
    """The content of `appearance.json`; no photos = all are taken as they are.

    disagreement: of the photos about the light of the points (|log|), as they are and when they are undone.
    """

    photos: tuple[PhotoAppearance, ...] = ()
    disagreement: tuple[float, float] = (0.0, 0.0)

    def undone(self, name: str, photo: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """`PhotoAppearance.undone` of the photo of that name."""
        found = next((each for each in self.photos if each.name == name), None)
        return photo if found is None else found.undone(photo)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Observations:
    """Each is one point in one photo. terms: r^2, r^4, r^6 in the columns of the photo's lens."""

    point: Int[np.ndarray, "n"]
    photo: Int[np.ndarray, "n"]
    log_light: Float[np.ndarray, "n 3"]
    terms: Float[np.ndarray, "n t"]

    def part(self, chosen: Bool[np.ndarray, "n"]) -> "_Observations":
        _, point = np.unique(self.point[chosen], return_inverse=True)
        return _Observations(
            point=point, photo=self.photo[chosen], log_light=self.log_light[chosen], terms=self.terms[chosen]
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Model:
    """Natural logarithms of the gains of each photo, and the coefficients of the terms."""

    gains: Float[np.ndarray, "p 3"]
    falloff: Float[np.ndarray, "t"] = field(default_factory=lambda: np.zeros(0))

    def residual(self, seen: _Observations, weight: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 3"]:
        """Distance of the light to the weighted mean of its point."""
        light = seen.log_light - self.gains[seen.photo]
        if len(self.falloff):
            light = light - (seen.terms @ self.falloff)[:, None]
        return _centred(light, seen.point, weight)

    def disagreement(self, seen: _Observations) -> float:
        """Root mean square over photos of their median |residual|, so that a single odd photo counts."""
        size = np.abs(self.residual(seen, np.ones(len(seen.point)))).mean(axis=1)
        medians = [np.median(size[seen.photo == photo]) for photo in np.unique(seen.photo)]
        return float(np.sqrt(np.mean(np.square(medians))))


def find_appearance(scene: SparseScene, photos: PhotoSource) -> Appearance:
    """What was done to the light in each photo of the scene; no photos where undoing it would not pay."""
    lenses = _lenses(scene.cameras)
    seen = _observations(scene, photos, lenses)
    if seen is None:
        return Appearance()
    solved, kept = seen.part(seen.point % 2 == 0), seen.part(seen.point % 2 == 1)
    count = len(scene.cameras)
    first = least = _Model(gains=np.zeros((count, 3))).disagreement(kept)
    paying = None
    for falloff in (False, True):
        left = _solved(solved, count, falloff=falloff).disagreement(kept)
        if left < min(_PAYS * least, least - _LEAST_GAIN):
            paying, least = falloff, left
    if paying is None:
        return Appearance(disagreement=(first, first))
    model = _solved(seen, count, falloff=paying)
    of_lens = np.zeros((int(lenses.max()) + 1, _FALLOFF_TERMS))
    of_lens.flat[: len(model.falloff)] = model.falloff
    found = [
        PhotoAppearance(name=camera.name, gains_ev=_triple(gains), falloff_ev=_triple(of_lens[lens]))
        for camera, gains, lens in zip(scene.cameras, model.gains, lenses, strict=True)
    ]
    return Appearance(photos=tuple(found), disagreement=(first, least))


def _triple(natural: Float[np.ndarray, "3"]) -> tuple[float, float, float]:
    red, green, blue = (round(float(value), 4) for value in natural / np.log(2))
    return red, green, blue


def _lenses(cameras: Sequence[Camera]) -> Int[np.ndarray, "p"]:
    """A number for each camera's lens; all have one where most photos have intrinsics of their own."""
    values = np.array([[camera.width, camera.height, *camera.intrinsics.ravel()] for camera in cameras])
    _, lens = np.unique(values.round(3), axis=0, return_inverse=True)
    return lens.ravel() if len(cameras) >= _PHOTOS_A_LENS * (lens.max() + 1) else np.zeros(len(cameras), np.int64)


def _observations(scene: SparseScene, photos: PhotoSource, lenses: Int[np.ndarray, "p"]) -> _Observations | None:
    """Points as the photos show them; None where there are too few."""
    xyz = scene.points.xyz_in_world
    every = max(1, len(xyz) // _MOST_POINTS)

    def seen_by(row: int) -> _Observations:
        camera = scene.cameras[row]
        rows = scene.visible_points[row] if scene.visible_points else np.arange(len(xyz))
        rows = rows[rows % every == 0]
        image_xy, depth = project(camera, xyz[rows])
        seen = (depth > 0) & inside(camera, image_xy)
        image_xy, rows = image_xy[seen], rows[seen]
        light, usable = _smooth_light(photos(camera.name), mask_of(photos, camera.name))
        scale = np.array([light.shape[1] / camera.width, light.shape[0] / camera.height])
        column, pixel_row = np.minimum(pixel_index(image_xy * scale), [light.shape[1] - 1, light.shape[0] - 1]).T
        good = usable[pixel_row, column]
        terms = np.zeros((int(good.sum()), _FALLOFF_TERMS * (int(lenses.max()) + 1)))
        first = _FALLOFF_TERMS * int(lenses[row])
        terms[:, first : first + _FALLOFF_TERMS] = _radial_terms(image_xy[good], camera.width, camera.height)
        return _Observations(
            point=rows[good],
            photo=np.full(len(terms), row),
            log_light=np.log(light[pixel_row, column][good].astype(np.float64)),
            terms=terms,
        )

    with ThreadPoolExecutor(cores()) as pool:  # numpy and OpenCV release the interpreter lock
        found = list(pool.map(seen_by, range(len(scene.cameras))))
    names = ("point", "photo", "log_light", "terms")
    joined = _Observations(**{name: np.concatenate([getattr(each, name) for each in found]) for name in names})
    several = np.bincount(joined.point, minlength=len(xyz))[joined.point] > 1
    if len(np.unique(joined.point[several])) < _FEWEST_POINTS:
        return None
    return joined.part(several)


def _smooth_light(
    photo: UInt8[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"] | None
) -> tuple[Float[np.ndarray, "i j 3"], Bool[np.ndarray, "i j"]]:
    """Linear light of the shrunk and blurred photo, and where no pixel nearby is clipped, dark or masked."""
    scale = min(1.0, _EDGE_PX / max(photo.shape[:2]))
    unfit = ((photo > _BRIGHTEST) | (photo < _DARKEST)).any(axis=-1)
    if mask is not None:
        unfit |= ~mask
    light = _LIGHT_OF_LEVELS[photo]
    if scale < 1:
        light = cv2.resize(light, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    share = cv2.resize(unfit.astype(np.float32), light.shape[1::-1], interpolation=cv2.INTER_AREA)
    reach = 2 * round(_BLUR_PX) + 1
    blurred = cv2.GaussianBlur(light, (0, 0), _BLUR_PX)
    return blurred, (cv2.dilate(share, np.ones((reach, reach))) == 0) & (blurred > 0).all(axis=-1)


def _radial_terms(image_xy: Float[np.ndarray, "... 2"], width: int, height: int) -> Float[np.ndarray, "... 3"]:
    squared = np.square(2 * image_xy - [width, height]).sum(axis=-1) / (width**2 + height**2)
    return np.stack([squared**power for power in range(1, _FALLOFF_TERMS + 1)], axis=-1)


def _centred(
    values: Float[np.ndarray, "n k"], point: Int[np.ndarray, "n"], weight: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n k"]:
    """The values without the weighted mean of their point."""
    total = np.maximum(np.bincount(point, weight), 1e-12)
    means = _sums(weight[:, None] * values, point, len(total)) / total[:, None]
    return np.asarray(values - means[point])


def _solved(seen: _Observations, count: int, *, falloff: bool) -> _Model:
    """Gains of `count` photos, and the falloff if it is asked for. In the mean over photos light stays as it is."""
    terms = seen.terms if falloff else seen.terms[:, :0]
    unknowns = 3 * count + terms.shape[1]
    weight = np.ones(len(seen.point))
    prior = np.full(unknowns, _PRIOR_OBSERVATIONS)
    for _ in range(_ROUNDS):
        of_point = np.zeros((int(seen.point.max()) + 1, count))
        np.add.at(of_point, (seen.point, seen.photo), weight)
        total = np.maximum(of_point.sum(axis=1, keepdims=True), 1e-12)
        among_photos = np.diag(of_point.sum(axis=0)) - of_point.T @ (of_point / total)
        own_terms = weight[:, None] * _centred(terms, seen.point, weight)
        own_light = weight[:, None] * _centred(seen.log_light, seen.point, weight)
        with_terms = _sums(own_terms, seen.photo, count)
        matrix, wanted = np.diag(prior), np.zeros(unknowns)
        for channel in range(3):
            rows = slice(channel * count, (channel + 1) * count)
            matrix[rows, rows] += among_photos
            matrix[rows, 3 * count :] = with_terms
            matrix[3 * count :, rows] = with_terms.T
            wanted[rows] = _sums(own_light[:, channel : channel + 1], seen.photo, count)[:, 0]
        matrix[3 * count :, 3 * count :] += 3 * terms.T @ own_terms
        wanted[3 * count :] = (terms.T @ own_light).sum(axis=1)
        solution = np.linalg.solve(matrix, wanted)
        gains = solution[: 3 * count].reshape(3, count).T
        dimmed = _sums(terms, seen.photo, count) / np.maximum(np.bincount(seen.photo, minlength=count), 1)[:, None]
        shading = solution[3 * count :]
        gains = gains - (gains + (dimmed @ shading)[:, None]).mean(axis=0)
        model = _Model(gains=gains, falloff=shading)
        size = np.sqrt(np.square(model.residual(seen, weight)).mean(axis=1))
        limit = _SPREADS * max(1.4826 * float(np.median(size)), _LEAST_SPREAD)
        weight = np.square(np.maximum(1 - np.square(size / limit), 0)) + 1e-6
    return model


def _sums(values: Float[np.ndarray, "n k"], group: Int[np.ndarray, "n"], count: int) -> Float[np.ndarray, "c k"]:
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, group, values)
    return sums
