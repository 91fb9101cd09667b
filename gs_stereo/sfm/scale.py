"""Similarity transforms of a reconstruction, and the sources that say how long a metre is.

Positions are aligned after Umeyama, "Least-squares estimation of transformation parameters between two point
patterns" (TPAMI 1991), made robust by least median of squares over triples (Rousseeuw 1984).
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from gs_stereo.errors import InputError
from gs_stereo.geometry.rotations import matrix_from_quaternion, quaternion_from_matrix
from gs_stereo.imaging.exif import GpsPosition
from gs_stereo.io.colmap_model import ColmapModel
from gs_stereo.sfm.config import ReconstructConfig

_MAX_TRIPLES = 2000
_MAX_REFITS = 20
_COLLINEAR_RATIO = 0.02
_MAX_POSITION_M = 1e8
_MIN_GPS_PHOTOS = 6
_MIN_GPS_SPREAD_M = 30.0
_WGS84_SEMI_MAJOR_M = 6378137.0
_WGS84_ECCENTRICITY_2 = 6.69437999014e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Similarity:
    """x_in_new = scale * rotation @ x_in_old + translation."""

    scale: float
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]

    @classmethod
    def scaling(cls, scale: float) -> Similarity:
        return cls(scale=scale, rotation=np.eye(3), translation=np.zeros(3))

    def __call__(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        return self.scale * points @ self.rotation.T + self.translation


@dataclass(frozen=True, kw_only=True, eq=False)
class Scaling:
    """What to do to the frame, what the unit then is, and where that comes from."""

    similarity: Similarity
    metres_per_unit: float | None
    source: str
    notes: tuple[str, ...] = ()


def apply_similarity(model: ColmapModel, new_from_old: Similarity) -> ColmapModel:
    """The model in the new frame: cameras keep seeing the same pixels."""
    turned = not np.array_equal(new_from_old.rotation, np.eye(3))
    images = {}
    for image_id, image in model.images.items():
        rotation = matrix_from_quaternion(image.qvec_wxyz) @ new_from_old.rotation.T
        images[image_id] = replace(
            image,
            qvec_wxyz=quaternion_from_matrix(rotation) if turned else image.qvec_wxyz,
            tvec=new_from_old.scale * image.tvec - rotation @ new_from_old.translation,
        )
    points = replace(model.points, xyz_in_world=new_from_old(model.points.xyz_in_world))
    return replace(model, images=images, points=points)


def camera_centres(model: ColmapModel) -> dict[str, Float[np.ndarray, "3"]]:
    """Camera centres in the world, by image name, in name order."""
    images = sorted(model.images.values(), key=lambda image: image.name)
    return {image.name: -matrix_from_quaternion(image.qvec_wxyz).T @ image.tvec for image in images}


def median_depth(model: ColmapModel) -> float:
    """Median z of the points in the cameras that observe them; InputError if nothing is observed."""
    order = np.argsort(model.points.ids)
    ids, xyz = model.points.ids[order], model.points.xyz_in_world[order]
    depths = []
    for image in model.images.values():
        seen = image.point_ids[image.point_ids >= 0]
        depths.append(xyz[np.searchsorted(ids, seen)] @ matrix_from_quaternion(image.qvec_wxyz)[2] + image.tvec[2])
    depth = np.concatenate(depths) if depths else np.empty(0)
    depth = depth[depth > 0]
    if not len(depth):
        raise InputError("No points were triangulated, so the scene has no depth; add photos that overlap more.")
    return float(np.median(depth))


def choose_scaling(model: ColmapModel, config: ReconstructConfig, gps: Mapping[str, GpsPosition], seed: int) -> Scaling:
    """The scaling that the settings ask for; the normalised frame (median depth 1) if they ask for none."""
    normalise = 1.0 / median_depth(model)
    if config.metres_per_unit is not None:
        scale = normalise * config.metres_per_unit
        return Scaling(similarity=Similarity.scaling(scale), metres_per_unit=1.0, source="metres_per_unit")
    if config.known_distance is not None:
        scale = _scale_of_known_distance(model, *config.known_distance)
        return Scaling(similarity=Similarity.scaling(scale), metres_per_unit=1.0, source="known_distance")
    if config.camera_positions is not None:
        positions = read_camera_positions(Path(config.camera_positions))
        return _scaling_by_positions(model, positions, "camera_positions", seed)
    notes: tuple[str, ...] = ()
    if config.gps == "auto":
        positions = local_metres({name: gps[name] for name in camera_centres(model) if name in gps})
        problem = gps_problem(positions)
        if problem is None:
            return _scaling_by_positions(model, positions, "gps", seed)
        notes = (f"GPS was not used: {problem}.",)
    return Scaling(similarity=Similarity.scaling(normalise), metres_per_unit=None, source="none", notes=notes)


def _scale_of_known_distance(model: ColmapModel, name_a: str, name_b: str, metres: float) -> float:
    centres = camera_centres(model)
    for name in (name_a, name_b):
        if name not in centres:
            raise InputError(f"The photo {name!r} of the known distance is not registered; name two that are.")
    distance = float(np.linalg.norm(centres[name_a] - centres[name_b]))
    if distance <= 1e-9 * median_depth(model):
        raise InputError(f"{name_a!r} and {name_b!r} were taken at the same place; name two photos that are apart.")
    return metres / distance


def _scaling_by_positions(
    model: ColmapModel, positions: Mapping[str, Float[np.ndarray, "3"]], source: str, seed: int
) -> Scaling:
    centres = camera_centres(model)
    names = [name for name in centres if name in positions]
    if len(names) < 2:
        fix = "give at least two, with the photo names that reconstruct prints"
        raise InputError(f"Only {len(names)} registered photos have a position; {fix}.")
    old = np.array([centres[name] for name in names])
    new = np.array([positions[name] for name in names])
    if _spread(new)[0] <= 0 or _spread(old)[0] <= 0:
        raise InputError("The camera positions are all the same; give positions that are apart.")
    if np.abs(new).max() > _MAX_POSITION_M:
        raise InputError("The camera positions are over 100 000 km from their origin; check their unit.")
    if len(names) < 3 or _is_line(old) or _is_line(new):
        note = "The camera positions lie on one line, so they give the scale but not the axes."
        similarity = Similarity.scaling(_median_distance_ratio(old, new))
        return Scaling(similarity=similarity, metres_per_unit=1.0, source=source, notes=(note,))
    similarity = align_robustly(old, new, seed)
    residual = np.linalg.norm(similarity(old) - new, axis=1)
    note = f"{len(names)} camera positions, median residual {np.median(residual):.3g} m."
    return Scaling(similarity=similarity, metres_per_unit=1.0, source=source, notes=(note,))


def _spread(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "3"]:
    """Root-mean-square extents along the principal axes, largest first."""
    centred = points - points.mean(axis=0)
    values = np.zeros(3)
    singular = np.linalg.svd(centred, compute_uv=False)
    values[: len(singular)] = singular / math.sqrt(len(points))
    return values


def _is_line(points: Float[np.ndarray, "n 3"]) -> bool:
    largest, second, _ = _spread(points)
    return bool(second <= _COLLINEAR_RATIO * largest)


def _median_distance_ratio(old: Float[np.ndarray, "n 3"], new: Float[np.ndarray, "n 3"]) -> float:
    i, j = np.triu_indices(len(old), k=1)
    before, after = np.linalg.norm(old[i] - old[j], axis=1), np.linalg.norm(new[i] - new[j], axis=1)
    apart = before > 1e-6 * before.max()
    return float(np.median(after[apart] / before[apart]))


def umeyama(old: Float[np.ndarray, "n 3"], new: Float[np.ndarray, "n 3"]) -> Similarity:
    """The least-squares similarity new = f(old) of at least three points that are not on a line."""
    old_mean, new_mean = old.mean(axis=0), new.mean(axis=0)
    covariance = (new - new_mean).T @ (old - old_mean) / len(old)
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0])
    rotation = u @ np.diag(sign) @ vt
    scale = float((singular * sign).sum() / ((old - old_mean) ** 2).sum(axis=1).mean())
    return Similarity(scale=scale, rotation=rotation, translation=new_mean - scale * rotation @ old_mean)


def align_robustly(old: Float[np.ndarray, "n 3"], new: Float[np.ndarray, "n 3"], seed: int) -> Similarity:
    """The best triple's fit, then Umeyama on the points within 2.5 robust standard deviations until they settle."""
    best, best_median = umeyama(old, new), math.inf
    for triple in _triples(len(old), seed):
        if _is_line(old[triple]) or _is_line(new[triple]):
            continue
        candidate = umeyama(old[triple], new[triple])
        median = float(np.median(np.linalg.norm(candidate(old) - new, axis=1)))
        if median < best_median:
            best, best_median = candidate, median
    chosen = np.zeros(len(old), dtype=bool)
    for _ in range(_MAX_REFITS):
        inliers = _inliers(best(old) - new, floor=1e-9 * _spread(new)[0])
        if np.array_equal(inliers, chosen) or inliers.sum() < 3 or _is_line(old[inliers]) or _is_line(new[inliers]):
            break
        chosen, best = inliers, umeyama(old[inliers], new[inliers])
    return best


def _inliers(residuals: Float[np.ndarray, "n 3"], floor: float) -> Bool[np.ndarray, "n"]:
    """Within 2.5 standard deviations, estimated from the median (Rousseeuw and Leroy 1987, chapter 5)."""
    distance = np.linalg.norm(residuals, axis=1)
    deviation = 1.4826 * (1 + 5 / max(len(distance) - 3, 1)) * np.median(distance)
    return np.asarray(distance <= 2.5 * deviation + floor)


def _triples(count: int, seed: int) -> Sequence[list[int]]:
    if math.comb(count, 3) <= _MAX_TRIPLES:
        return [list(triple) for triple in itertools.combinations(range(count), 3)]
    random = np.random.default_rng(seed)
    return [random.choice(count, size=3, replace=False).tolist() for _ in range(_MAX_TRIPLES)]


def read_camera_positions(path: Path) -> dict[str, Float[np.ndarray, "3"]]:
    """Read lines `name x y z` in metres, separated by spaces, tabs, commas or semicolons; # begins a comment.

    A first line whose x is no number is a header. InputError names the line that is wrong.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the camera positions {path} ({error}); check the path.") from error
    positions: dict[str, Float[np.ndarray, "3"]] = {}
    for number, line in enumerate(lines, 1):
        fields = _fields(line)
        if not fields or (number == 1 and len(fields) >= 4 and not _is_number(fields[1])):
            continue
        if len(fields) != 4 or not all(_is_number(field) for field in fields[1:]) or fields[0] in positions:
            raise InputError(f"Line {number} of {path} must be `name x y z` with a new name; correct it.")
        positions[fields[0]] = np.array([float(field) for field in fields[1:]])
    if not positions:
        raise InputError(f"The file {path} holds no camera positions; write a line `name x y z` for each photo.")
    return positions


def _fields(line: str) -> list[str]:
    text = line.strip()
    if not text or text.startswith("#"):
        return []
    for separator in (";", ",", "\t"):
        if separator in text:
            return [field.strip() for field in next(csv.reader([text], delimiter=separator))]
    return text.rsplit(maxsplit=3)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def gps_problem(positions: Mapping[str, Float[np.ndarray, "3"]]) -> str | None:
    """Why GPS positions are no source of scale, or None if they are good enough."""
    if len(positions) < _MIN_GPS_PHOTOS:
        return f"{len(positions)} registered photos have a position, and {_MIN_GPS_PHOTOS} are needed"
    east_north = np.array(list(positions.values()))[:, :2]
    spread = float(np.linalg.norm(np.ptp(east_north, axis=0)))
    if spread < _MIN_GPS_SPREAD_M:
        return (
            f"the photos spread over {spread:.0f} m, and {_MIN_GPS_SPREAD_M:.0f} m are needed to rise above its error"
        )
    return None


def local_metres(gps: Mapping[str, GpsPosition]) -> dict[str, Float[np.ndarray, "3"]]:
    """East, north, up in metres around the mean position, through WGS84 earth-centred coordinates."""
    if not gps:
        return {}
    positions = list(gps.values())
    centre = GpsPosition(
        latitude_deg=float(np.mean([p.latitude_deg for p in positions])),
        longitude_deg=positions[0].longitude_deg,
        altitude_m=float(np.mean([p.altitude_m for p in positions])),
    )
    latitude, longitude = math.radians(centre.latitude_deg), math.radians(centre.longitude_deg)
    east = np.array([-math.sin(longitude), math.cos(longitude), 0.0])
    up = np.array(
        [math.cos(latitude) * math.cos(longitude), math.cos(latitude) * math.sin(longitude), math.sin(latitude)]
    )
    enu_from_ecef = np.stack([east, np.cross(up, east), up])
    origin = earth_centred(centre)
    return {name: enu_from_ecef @ (earth_centred(position) - origin) for name, position in gps.items()}


def earth_centred(position: GpsPosition) -> Float[np.ndarray, "3"]:
    """WGS84 earth-centred, earth-fixed coordinates in metres."""
    latitude, longitude = math.radians(position.latitude_deg), math.radians(position.longitude_deg)
    normal = _WGS84_SEMI_MAJOR_M / math.sqrt(1 - _WGS84_ECCENTRICITY_2 * math.sin(latitude) ** 2)
    ring = (normal + position.altitude_m) * math.cos(latitude)
    height = normal * (1 - _WGS84_ECCENTRICITY_2) + position.altitude_m
    return np.array([ring * math.cos(longitude), ring * math.sin(longitude), height * math.sin(latitude)])
