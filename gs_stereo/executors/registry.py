"""Where the cells of a fleet can run, by name."""

from collections.abc import Callable

from gs_stereo.executors.pool import Pool
from gs_stereo.plugins import Registry

EXECUTORS: Registry[Callable[..., Pool]] = Registry(
    kind="executor",
    builtin={"local": "gs_stereo.executors.pool:local_pool", "ray": "gs_stereo.executors.ray:ray_pool"},
    install_hints={"ray": "install it with `pip install gs_stereo[ray]`"},
)
"""Each takes `at_once` and `address`, both optional."""
