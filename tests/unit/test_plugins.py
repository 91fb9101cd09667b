"""The registry: built-ins, unknown names, missing dependencies, and that every built-in can be imported."""

from __future__ import annotations

import pytest

from gs_stereo.errors import PluginError
from gs_stereo.matching.protocol import MATCHERS
from gs_stereo.plugins import Registry
from gs_stereo.splat.raster.protocol import RASTERIZERS
from gs_stereo.stages.registry import STAGES


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(PluginError, match="There is no matcher called 'nope'; use one of: sgbm"):
        MATCHERS.load("nope")


def test_a_missing_dependency_says_what_to_install() -> None:
    registry: Registry[object] = Registry(
        kind="thing", builtin={"x": "gs_stereo_does_not_exist:X"}, install_hints={"x": "pip install x"}
    )
    with pytest.raises(PluginError, match=r"The thing 'x' cannot be loaded \(.*\); pip install x\."):
        registry.load("x")


@pytest.mark.parametrize(
    ("registry", "name"),
    [(registry, name) for registry in (MATCHERS, STAGES, RASTERIZERS) for name in registry.builtin],
)
def test_every_built_in_loads(registry: Registry, name: str) -> None:
    assert callable(registry.load(name))
