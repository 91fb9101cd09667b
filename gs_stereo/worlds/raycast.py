"""Ray casting with Open3D. The only module that imports open3d."""

import ctypes
import sys
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32

from gs_stereo.core.cores import cores
from gs_stereo.errors import PluginError


@dataclass(frozen=True, kw_only=True, eq=False)
class RayHits:
    """First hits of n rays. t: hit distance in lengths of the ray's direction, inf = none.

    triangle: index, -1 = none. uv: barycentric weights of the triangle's second and third corner.
    """

    t: Float32[np.ndarray, "n"]
    triangle: Int32[np.ndarray, "n"]
    uv: Float32[np.ndarray, "n 2"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rays:
    """Rays of a camera as (origin, direction) rows of six numbers, and how they differ from one sample to the next.

    right, down: change of the direction to the next sample at the right and below. spread: its length, about.
    """

    rows: Float32[np.ndarray, "n 6"]
    right: Float32[np.ndarray, "3"]
    down: Float32[np.ndarray, "3"]
    spread: float


class RayCaster:
    """Rays against a fixed set of triangles, in float32. Rays are (origin, direction) rows of six numbers.

    threads: how many cast rays, 0 = all cores.
    """

    def __init__(
        self, vertices: Float32[np.ndarray, "v 3"], triangles: Int[np.ndarray, "t 3"], threads: int = 0
    ) -> None:
        open3d = load_open3d()
        self._tensor: Any = open3d.core.Tensor.from_numpy
        self._threads = threads or cores()
        self._scene: Any = open3d.t.geometry.RaycastingScene(nthreads=self._threads)
        self._scene.add_triangles(
            self._tensor(np.ascontiguousarray(vertices, np.float32)),
            self._tensor(np.ascontiguousarray(triangles, np.uint32)),
        )

    def cast(self, rays: Float32[np.ndarray, "n 6"]) -> RayHits:
        """The first surface along each ray."""
        answer = self._scene.cast_rays(self._tensor(np.ascontiguousarray(rays, np.float32)), nthreads=self._threads)
        # Open3D's id for "no hit" is the largest uint32, which is -1 as int32.
        triangle = answer["primitive_ids"].numpy().view(np.int32)
        return RayHits(t=answer["t_hit"].numpy(), triangle=triangle, uv=answer["primitive_uvs"].numpy())

    def blocked(self, rays: Float32[np.ndarray, "n 6"], t_near: float, t_far: float) -> Bool[np.ndarray, "n"]:
        """True where something lies on the ray between t_near and t_far, in lengths of its direction."""
        tensor = self._tensor(np.ascontiguousarray(rays, np.float32))
        return np.asarray(self._scene.test_occlusions(tensor, t_near, t_far, nthreads=self._threads).numpy())

    def distance(self, point: Float32[np.ndarray, "3"]) -> float:
        """Distance from a point to the nearest surface."""
        query = self._tensor(np.ascontiguousarray(point, np.float32)[None])
        return float(self._scene.compute_distance(query, nthreads=self._threads).numpy()[0])


@cache
def load_open3d() -> ModuleType:
    """Import open3d. Its Linux wheel links libusb, which a bare machine lacks: the one of `libusb-package` is used."""
    if sys.platform.startswith("linux"):
        _preload_libusb()
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise PluginError(
            f"The library open3d cannot be loaded ({' '.join(str(error).split())}); "
            "install the missing shared library, for libusb-1.0.so.0 with `apt-get install libusb-1.0-0`."
        ) from error
    return open3d


def _preload_libusb() -> None:
    """Make libusb-1.0 known to the dynamic linker by its soname; a system-wide libusb needs no help."""
    try:
        import libusb_package
    except ImportError:
        return
    path = libusb_package.get_library_path()
    if path is not None:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
