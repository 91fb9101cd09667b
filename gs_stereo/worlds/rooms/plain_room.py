"""The plain sample scene: a living room with a table, a rug, shelves and posters; matt and rich in texture."""

from dataclasses import replace

import numpy as np

from gs_stereo.core.hashing import unit_seed
from gs_stereo.worlds.light.baked import Lamp, Lighting
from gs_stereo.worlds.patches import Painted, Patch, box, lathe, placed, quad, rod, shell, sphere
from gs_stereo.worlds.rooms.outside import garden, sun
from gs_stereo.worlds.rooms.walk import Arc, Room
from gs_stereo.worlds.textures.paints import (
    bricks,
    fabric,
    landscape,
    planks,
    plaster,
    printed,
    rug,
    shapes,
    speckled,
    tiles,
    wood,
)
from gs_stereo.worlds.world import SurfaceClass

_OAK = (0.72, 0.52, 0.33)
_WALNUT = (0.42, 0.27, 0.17)
_INKS = ((0.85, 0.25, 0.2), (0.15, 0.35, 0.6), (0.95, 0.72, 0.2), (0.1, 0.5, 0.45), (0.2, 0.15, 0.2))


_OPEN_SIDE = 2  # of the shell: the wall at the right


def living_room() -> Room:
    """Room 6 m x 5.6 m x 2.7 m, floor at z = 0, back wall at y = 2.4; the walker stands about 3 m before the table."""
    patches = [*_shell(), *_pictures(), *_table(), *_on_table(), *_furniture(), *_foreground()]
    lighting = Lighting(
        lamps=(
            Lamp(corner=(-0.9, -0.6, 2.65), edge_a=(0, 1.2, 0), edge_b=(1.4, 0, 0), power=(13.0, 12.2, 11.0)),
            Lamp(corner=(-2.9, -1.6, 1.0), edge_a=(0, 1.4, 0), edge_b=(0, 0, 1.3), power=(4.5, 5.0, 5.8), rays=(3, 3)),
        ),
        ambient=(0.62, 0.62, 0.64),
        exposure=0.56,
    )
    return Room(
        patches=tuple(patches),
        lighting=lighting,
        walk=Arc(target=(0.1, 0.55, 0.8), radius_m=2.75, arc_deg=(-31.0, 31.0), heights_m=(1.3, 1.6)),
    )


def _shell() -> list[Patch]:
    back = Painted(bricks((0.80, 0.47, 0.36), (0.80, 0.76, 0.70)), texel_m=0.0055)
    side = Painted(plaster((0.80, 0.80, 0.68), 0.12), texel_m=0.008)
    floor = Painted(planks((0.66, 0.48, 0.32)), texel_m=0.006)
    carpet = Painted(rug((0.42, 0.13, 0.14), (0.82, 0.72, 0.55), (0.15, 0.22, 0.36)), texel_m=0.004)
    board = Painted(wood((0.90, 0.87, 0.82), contrast=0.08), texel_m=0.006)
    return [
        *shell((-3.0, -3.2, 0.0), (3.0, 2.4, 2.7), back, side, side, floor),
        quad((-1.5, 1.5, 0.006), (3.1, 0, 0), (0, -2.2, 0), carpet),
        *box((0, 2.39, 0.05), (6, 0.02, 0.1), board),
    ]


def _pictures() -> list[Patch]:
    works = [
        (-2.55, 1.95, 0.72, 0.92, landscape((0.55, 0.75, 0.9), (0.98, 0.85, 0.45), (0.22, 0.42, 0.34))),
        (-1.55, 1.85, 0.95, 0.66, shapes((0.93, 0.89, 0.78), _INKS)),
        (-0.25, 1.98, 0.62, 0.82, landscape((0.95, 0.62, 0.42), (0.99, 0.93, 0.75), (0.35, 0.2, 0.32))),
        (0.65, 1.90, 1.0, 0.70, landscape((0.3, 0.45, 0.62), (0.95, 0.95, 0.9), (0.16, 0.26, 0.36))),
    ]
    patches = []
    for left, top, wide, high, paint in works:
        finish = Painted(paint, texel_m=0.0035)
        patches += box((left + wide / 2, 2.385, top - high / 2), (wide, 0.03, high), finish)
    return patches


def _table() -> list[Patch]:
    top, legs = Painted(wood(_OAK), texel_m=0.003), Painted(wood(_WALNUT, along_columns=False), texel_m=0.004)
    patches = box((0.1, 0.75, 0.72), (1.7, 0.85, 0.045), top)
    for x in (-0.68, 0.88):
        for y in (0.38, 1.12):
            patches += box((x, y, 0.35), (0.07, 0.07, 0.7), legs)
    patches += box((0.1, 0.36, 0.66), (1.5, 0.025, 0.08), legs)
    return patches


def _on_table() -> list[Patch]:
    height = 0.743
    orange = Painted(speckled((0.93, 0.52, 0.12), (0.98, 0.68, 0.22), 0.008), texel_m=0.002)
    apple = Painted(speckled((0.72, 0.14, 0.12), (0.9, 0.62, 0.25), 0.03), texel_m=0.002)
    clay = Painted(speckled((0.22, 0.42, 0.52), (0.85, 0.8, 0.68), 0.035), texel_m=0.0025)
    jug = Painted(tiles((0.9, 0.88, 0.8), (0.2, 0.35, 0.6), 0.045), texel_m=0.002)
    vase = np.transpose(
        [(0.035, 0.045, 0.03, 0.05, 0.095, 0.1, 0.07, 0.05), (0.34, 0.335, 0.29, 0.24, 0.16, 0.1, 0.03, 0)]
    )
    pot = [(0.06, 0.2), (0.066, 0.19), (0.075, 0.12), (0.08, 0.06), (0.07, 0.01), (0.055, 0.0)]
    bowl = [(0.10, 0.085), (0.13, 0.09), (0.12, 0.06), (0.08, 0.02), (0.05, 0.0)]
    patches = [
        lathe(vase, (-0.35, 0.95, height), clay),
        lathe(pot, (0.62, 0.62, height), jug),
        lathe(bowl, (0.12, 0.58, height), Painted(speckled((0.86, 0.82, 0.74), (0.5, 0.4, 0.3)), texel_m=0.002)),
        sphere((0.09, 0.56, height + 0.10), 0.048, orange, 32),
        sphere((0.16, 0.61, height + 0.10), 0.045, apple, 32),
        sphere((0.13, 0.53, height + 0.105), 0.042, apple, 32),
        sphere((0.40, 0.50, height + 0.045), 0.045, orange, 32),
    ]
    covers = (((0.2, 0.3, 0.5), 8.0), ((0.75, 0.3, 0.2), -14.0), ((0.85, 0.75, 0.5), 21.0), ((0.25, 0.45, 0.3), 3.0))
    for number, (colour, yaw) in enumerate(covers):
        finish = Painted(printed(colour, (0.95, 0.92, 0.85)), texel_m=0.002)
        patches += box((-0.42, 0.52, height + 0.0225 + 0.045 * number), (0.26, 0.19, 0.043), finish, yaw)
    carton = Painted(printed((0.72, 0.55, 0.36), (0.25, 0.17, 0.12)), texel_m=0.0025)
    patches += box((0.4, 0.95, height + 0.14), (0.3, 0.22, 0.28), carton, -18.0)
    return patches


def _furniture() -> list[Patch]:
    walnut = Painted(wood(_WALNUT), texel_m=0.005)
    steel = Painted(speckled((0.32, 0.33, 0.36), (0.55, 0.55, 0.58), 0.02), texel_m=0.003, kind=SurfaceClass.THIN)
    shade = Painted(fabric((0.93, 0.85, 0.68), (0.80, 0.58, 0.36), 0.03), texel_m=0.003)
    cushion = Painted(fabric((0.2, 0.36, 0.42), (0.86, 0.8, 0.66), 0.04), texel_m=0.004)
    patches = [
        *box((2.25, 1.9, 0.4), (0.9, 0.5, 0.8), walnut),
        *box((2.1, 1.9, 0.95), (0.4, 0.34, 0.3), Painted(printed((0.35, 0.5, 0.55), (0.95, 0.9, 0.8)), texel_m=0.003)),
        *box((-2.1, 1.75, 0.28), (0.62, 0.62, 0.56), Painted(printed((0.74, 0.58, 0.4), (0.2, 0.2, 0.25))), 24.0),
        *box((-2.08, 1.77, 0.74), (0.42, 0.42, 0.36), Painted(tiles((0.25, 0.5, 0.4), (0.9, 0.85, 0.7), 0.06)), -9.0),
        *box((-1.35, 1.95, 0.22), (0.5, 0.4, 0.44), cushion, 6.0),
        rod((1.5, 1.75, 0.02), (1.5, 1.75, 1.5), 0.011, steel),
        lathe([(0.12, 1.75), (0.2, 1.42)], (1.5, 1.75, 0.0), Painted(shade.paint, texel_m=0.003, two_sided=True)),
        lathe([(0.0, 0.03), (0.14, 0.028), (0.15, 0.0)], (1.5, 1.75, 0.0), steel),
    ]
    for k in range(7):
        x = -0.95 + 0.08 * k
        patches.append(rod((x, 1.62, 0.0), (x - 0.05, 1.70, 1.05), 0.007, steel))
    patches.append(rod((-1.05, 1.66, 0.85), (-0.42, 1.66, 0.85), 0.009, steel))
    return patches


def _foreground() -> list[Patch]:
    """What stands between the walker and the table: a stool with a crate on it, and a bollard of stacked tins."""
    crate = Painted(wood((0.78, 0.6, 0.38), contrast=0.22), texel_m=0.002)
    stool = Painted(fabric((0.62, 0.2, 0.2), (0.9, 0.82, 0.7), 0.025), texel_m=0.002)
    tin = Painted(shapes((0.9, 0.86, 0.74), _INKS, 18), texel_m=0.0018)
    lid = Painted(speckled((0.6, 0.6, 0.58), (0.8, 0.8, 0.78), 0.01), texel_m=0.002)
    return [
        lathe(
            [(0.0, 0.47), (0.17, 0.465), (0.19, 0.44), (0.18, 0.40), (0.05, 0.38), (0.045, 0.0)],
            (0.62, -0.62, 0),
            stool,
        ),
        *box((0.62, -0.62, 0.565), (0.2, 0.2, 0.19), crate, 33.0),
        lathe([(0.0, 0.62), (0.1, 0.62)], (-0.72, -0.55, 0), lid),
        lathe([(0.1, 0.62), (0.1, 0.0)], (-0.72, -0.55, 0), tin),
        sphere((-0.72, -0.55, 0.70), 0.08, Painted(speckled((0.2, 0.45, 0.3), (0.75, 0.8, 0.4), 0.03), texel_m=0.002)),
    ]


def open_living_room(seed: int) -> Room:
    """The living room with a garden in place of its right wall."""
    rng, room = np.random.default_rng(unit_seed(seed, "garden")), living_room()
    walls = room.patches[:_OPEN_SIDE] + room.patches[_OPEN_SIDE + 1 :]
    beside = [placed(patch, (0, 0, 0), -90.0) for patch in garden(rng, 3.0)]
    above = sun(rng, 3.0)
    across, along, high = above.corner
    above = replace(above, corner=(along, -across, high))
    lighting = replace(room.lighting, lamps=(*room.lighting.lamps, above))
    return replace(room, patches=(*walls, *beside), lighting=lighting, metered=True)
