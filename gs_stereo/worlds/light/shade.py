"""The native library that lights rays in two passes; the structs mirror native/worlds/shade.cpp.

Its numpy twin is tests/twins/shading.py.
"""

from __future__ import annotations

from ctypes import c_float, c_int32, c_int64

from gs_stereo.native.library import Library, Struct, array_of


class World(Struct):
    """The tables of a world, its light, and how the direction of a ray changes from sample to sample."""

    _fields_ = (
        ("corner_uv", array_of("f4", 2, "triangles")), ("steps_uv", array_of("f4", 4, "triangles")),
        ("slope", array_of("f4", 6, "triangles")), ("normal", array_of("f4", 3, "triangles")),
        ("corner_normals", array_of("f4", 9, "triangles")), ("material", array_of("f4", 5, "pieces")),
        ("piece", array_of("i4", "triangles")), ("triangles", c_int64), ("pieces", c_int64),
        ("texels", array_of("u1", "rows", "columns", 3)), ("rows", c_int64), ("columns", c_int64),
        ("starts", array_of("f4", 2, "boxes")), ("linear", array_of("f4", 256)),
        ("tiles", c_int32), ("levels", c_int32), ("boxes", c_int32), ("side", c_int32), ("far", c_int32),
        ("place", c_float * 3), ("lamp", c_float * 3), ("sky", c_float * 3), ("floor", c_float * 3),
        ("reach", c_float), ("right", c_float * 3), ("down", c_float * 3),
    )  # fmt: skip


class Rays(Struct):
    """Rays and their hits, and what the two passes write."""

    _fields_ = (
        ("count", c_int64), ("shadows", c_int64), ("rays", array_of("f4", "count", 6)), ("t", array_of("f4", "count")),
        ("uv", array_of("f4", "count", 2)), ("triangle", array_of("i4", "count")),
        ("light", array_of("f4", "count", 3)), ("normal", array_of("f4", "count", 3)),
        ("shadow_rays", array_of("f4", "count", 6)), ("reached", array_of("?", "count")),
        ("shadow_of", array_of("i8", "count")),
    )  # fmt: skip


LIBRARY = Library(name="worlds", functions={"gs_surfaces": (World, Rays), "gs_light": (World, Rays)})
