"""Work near the origin: scenes in map coordinates (UTM, earth-centred) lie where float32 resolves only half metres.

Poses and points are float64 and stay in the frame that was given. What is float32 (Gaussians, their rendering, the
viewer) is kept around a local origin, which the cameras alone decide.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from gs_stereo.types import SparseScene

NO_ORIGIN = (0.0, 0.0, 0.0)

# float32 has 24 bits: at 300 spreads from the origin a step is 2e-5 spreads, a fiftieth of a pixel at 1000 px of focal
# length. So scenes that were made around their origin stay as they are, to the last bit.
_FAR_SPREADS = 300.0


def local_origin(centres_in_world: Float[np.ndarray, "n 3"]) -> tuple[float, float, float]:
    """A round place in the middle of the cameras (or Gaussians) if they are far from the origin, else the origin."""
    if not len(centres_in_world):
        return NO_ORIGIN
    middle = np.median(centres_in_world, axis=0)
    spread = float(np.linalg.norm(np.median(np.abs(centres_in_world - middle), axis=0)))
    if not np.isfinite(middle).all() or np.linalg.norm(middle) <= _FAR_SPREADS * spread or spread == 0:
        return NO_ORIGIN
    step = 10.0 ** np.ceil(np.log10(spread))
    x, y, z = (float(value) for value in np.rint(middle / step) * step)
    return x, y, z


def scene_around(scene: SparseScene, origin: tuple[float, float, float]) -> SparseScene:
    """The scene in the frame that is moved to `origin`."""
    if origin == NO_ORIGIN:
        return scene
    points = replace(scene.points, xyz_in_world=scene.points.xyz_in_world - origin)
    return replace(scene, cameras=tuple(camera.around(origin) for camera in scene.cameras), points=points)
