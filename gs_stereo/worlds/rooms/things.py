"""Things of hard rooms. Each function draws one, about 5 cm to 3 m large.

Things for walls stand with their back at y = 0 and face -y; free-standing ones have their middle over the origin.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from gs_stereo.worlds.mesh import Vector
from gs_stereo.worlds.patches import Painted, Patch, blade, box, lathe, placed, rod, sphere
from gs_stereo.worlds.rooms import materials
from gs_stereo.worlds.rooms.materials import Random
from gs_stereo.worlds.textures.paints import flat, leaf, outdoors, speckled, spines, tiles, wood
from gs_stereo.worlds.world import SurfaceClass

Maker = Callable[[Random], list[Patch]]

_STEEL = materials.steel()
_TWIG = Painted(wood((0.42, 0.3, 0.2), along_columns=False), texel_m=0.003, kind=SurfaceClass.THIN)
_LIT = 3.0  # of a window or lamp: brighter than a wall, not so bright that its reflection drowns all else


def turned_to(patches: Sequence[Patch], foot: Vector, yaw_deg: float = 0.0) -> list[Patch]:
    """A thing moved to its place."""
    return [placed(patch, foot, yaw_deg) for patch in patches]


def _slab(x: float, z: float, wide: float, high: float, deep: float, finish: Painted, at: float = 0.0) -> list[Patch]:
    """A board on a wall: middle (x, z), its back at y = -at."""
    return box((x, -at - deep / 2, z), (wide, deep, high), finish)


def _framed(rng: Random, z: float, wide: float, high: float, pane: Painted) -> list[Patch]:
    """A pane in a frame of four bars."""
    bar, finish = (
        rng.uniform(0.03, 0.08),
        materials.veneer(rng, polished=False) if rng.random() < 0.5 else materials.blank(rng),
    )
    patches = _slab(0, z, wide, high, 0.02, pane)
    for side in (-1, 1):
        patches += _slab(side * (wide + bar) / 2, z, bar, high + 2 * bar, 0.05, finish)
        patches += _slab(0, z + side * (high + bar) / 2, wide, bar, 0.05, finish)
    return patches


def door(rng: Random) -> list[Patch]:
    """A blank or lacquered leaf with a handle."""
    wide, high = rng.uniform(0.8, 1.0), rng.uniform(2.0, 2.15)
    leaf_finish = materials.blank(rng) if rng.random() < 0.5 else materials.lacquer(rng)
    patches = _framed(rng, high / 2, wide, high, leaf_finish)
    x = wide / 2 - 0.09
    return [
        *patches,
        rod((x, -0.02, 1.03), (x, -0.08, 1.03), 0.009, _STEEL),
        rod((x, -0.08, 1.03), (x - 0.12, -0.08, 1.03), 0.009, _STEEL),
    ]


def outside(rng: Random) -> Painted:
    """What one sees through a pane by day."""
    sky, ground = rng.uniform((0.4, 0.55, 0.75), (0.65, 0.8, 0.95)), rng.uniform((0.15, 0.25, 0.1), (0.4, 0.5, 0.3))
    return Painted(outdoors(sky, ground, rng.uniform(0.5, 0.75)), texel_m=0.01, glow=_LIT)


def window(rng: Random) -> list[Patch]:
    """A pane that shows a bright outside, or at night the room; with bars or slats."""
    wide, high, sill = rng.uniform(0.8, 1.8), rng.uniform(1.0, 1.5), rng.uniform(0.8, 1.0)
    lit = replace(outside(rng), kind=SurfaceClass.GLOSSY, mirror=0.05)
    patches = _framed(rng, sill + high / 2, wide, high, lit if rng.random() < 0.6 else materials.dark_glass(rng))
    bar = materials.blank(rng)
    if rng.random() < 0.4:
        slat = replace(bar, kind=SurfaceClass.THIN)
        for z in np.arange(sill + high * rng.uniform(0.1, 0.6), sill + high, 0.055):
            patches += _slab(0, float(z), wide - 0.04, 0.022, 0.004, slat, at=0.06)
    else:
        for x in np.linspace(-wide / 2, wide / 2, int(rng.integers(3, 5)))[1:-1]:
            patches += _slab(float(x), sill + high / 2, 0.03, high, 0.035, bar)
        patches += _slab(0, sill + 0.65 * high, wide, 0.03, 0.035, bar)
    return [*patches, *_slab(0, sill - 0.06, wide + 0.2, 0.03, 0.2, materials.lacquer(rng))]


def mirror(rng: Random) -> list[Patch]:
    """A mirror in a frame."""
    wide, high = rng.uniform(0.5, 1.1), rng.uniform(0.7, 1.7)
    return _framed(rng, 0.25 + max(high / 2 + 0.1, 1.15), wide, high, materials.looking_glass())


def painting(rng: Random) -> list[Patch]:
    """A picture, often behind glass."""
    wide, high = rng.uniform(0.4, 1.3), rng.uniform(0.4, 1.0)
    return _slab(0, rng.uniform(1.45, 1.7), wide, high, 0.03, materials.picture(rng, glazed=bool(rng.random() < 0.5)))


def screen(rng: Random) -> list[Patch]:
    """A television over a lacquered sideboard."""
    wide = rng.uniform(0.9, 1.4)
    board, size = materials.lacquer(rng), (wide + 0.4, 0.42, 0.4)
    return [*box((0, -0.22, 0.3), size, board), *_framed(rng, 1.25, wide, 0.56 * wide, materials.dark_glass(rng))]


def shelf(rng: Random) -> list[Patch]:
    """Boards with books, boxes and vases between them."""
    wide, deep, pitch, boards = rng.uniform(0.8, 1.7), 0.3, rng.uniform(0.32, 0.4), int(rng.integers(4, 7))
    finish = materials.veneer(rng, polished=False) if rng.random() < 0.5 else materials.blank(rng)
    high = pitch * (boards - 1)
    patches = [
        patch for side in (-1, 1) for patch in _slab(side * wide / 2, high / 2 + 0.05, 0.03, high + 0.1, deep, finish)
    ]
    if rng.random() < 0.5:
        patches += _slab(0, high / 2 + 0.05, wide, high, 0.01, finish)
    colours = tuple(rng.uniform(0.08, 0.9, (6, 3)))
    for level in range(boards):
        base = 0.05 + level * pitch
        patches += _slab(0, base, wide - 0.03, 0.025, deep, finish)
        x = -wide / 2 + 0.04
        while level < boards - 1 and x < wide / 2 - 0.15:
            run = min(rng.uniform(0.12, 0.6), wide / 2 - 0.03 - x)
            what, tall = rng.random(), rng.uniform(0.6, 0.85) * pitch
            if what < 0.6:
                finish_of = Painted(spines(colours, rng.uniform(0.02, 0.045)), texel_m=0.003)
                patches += _slab(x + run / 2, base + 0.013 + tall / 2, run, tall, rng.uniform(0.16, 0.24), finish_of)
            elif what < 0.8:
                carton = materials.cardboard(rng) if rng.random() < 0.5 else materials.lacquer(rng)
                patches += _slab(x + run / 2, base + 0.013 + tall / 2, run, tall, 0.25, carton)
            else:
                run = 0.16
                patches += turned_to(_vase(rng, tall), (x + 0.08, -0.15, base + 0.013))
            x += run + rng.choice((0.005, 0.005, 0.1))
    return patches


def cupboards(rng: Random) -> list[Patch]:
    """A row of lacquered fronts under a worktop, things on it, if wanted with cupboards above."""
    units, unit, deep = int(rng.integers(2, 6)), rng.uniform(0.45, 0.65), rng.uniform(0.5, 0.62)
    wide, front, carcass = units * unit, materials.lacquer(rng), Painted(flat((0.12, 0.11, 0.1)), texel_m=0.05)
    top = (materials.blank, materials.lacquer, lambda r: materials.veneer(r, polished=True), materials.metal)[
        rng.integers(4)
    ](rng)
    patches = _slab(0, 0.44, wide, 0.86, deep, carcass) + _slab(0, 0.89, wide + 0.03, 0.04, deep + 0.03, top)
    above = rng.random() < 0.5
    for x in (np.arange(units) + 0.5) * unit - wide / 2:
        patches += _slab(float(x), 0.47, unit - 0.006, 0.76, 0.018, front, at=deep)
        patches.append(rod((x - 0.1, -deep - 0.04, 0.78), (x + 0.1, -deep - 0.04, 0.78), 0.006, _STEEL))
        if above:
            patches += _slab(float(x), 1.8, unit - 0.006, 0.7, 0.34, front)
        if rng.random() < 0.7:
            patches += turned_to(small_thing(rng), (x, -0.35, 0.911))
    return patches


def radiator(rng: Random) -> list[Patch]:
    """Blank ribs under a blank wall."""
    finish, ribs = materials.blank(rng), int(rng.integers(10, 20))
    return [
        patch for k in range(ribs) for patch in _slab(0.07 * (k - ribs / 2), 0.42, 0.05, 0.6, 0.08, finish, at=0.04)
    ]


def panelling(rng: Random) -> list[Patch]:
    """Flat fields in a wall's own colour: only their shaded edges show."""
    finish, fields, wide = materials.blank(rng), int(rng.integers(2, 5)), rng.uniform(0.5, 0.8)
    return [
        patch for k in range(fields) for patch in _slab((wide + 0.12) * (k - fields / 2), 0.55, wide, 0.8, 0.02, finish)
    ]


def _vase(rng: Random, high: float) -> list[Patch]:
    """A vase of glaze, lacquer, metal or clay."""
    steps = np.linspace(1.0, 0.0, 12)
    outline = 0.5 + 0.3 * np.sin(steps * rng.uniform(3, 6) + rng.uniform(0, 6)) + 0.1 * np.cos(9 * steps)
    radius = np.clip(outline, 0.2, 1.0) * high * rng.uniform(0.2, 0.4)
    clay = Painted(speckled(materials.bright(rng), materials.pale(rng), 0.02), texel_m=0.003)
    finish = (materials.lacquer(rng), materials.metal(rng), clay, replace(clay, kind=SurfaceClass.GLOSSY, mirror=0.05))[
        rng.integers(4)
    ]
    return [lathe(np.stack([np.minimum(radius, 0.08 + 0.2 * high), high * steps], -1), (0, 0, 0), finish, 32)]


def small_thing(rng: Random) -> list[Patch]:
    """Something for a table: a vase, a ball, books, a carton, a bowl of fruit."""
    what = rng.integers(5)
    if what == 0:
        return _vase(rng, rng.uniform(0.15, 0.4))
    if what == 1:
        radius = rng.uniform(0.06, 0.14)
        return [
            sphere(
                (0, 0, radius),
                radius,
                (materials.metal, materials.lacquer, materials.blank, materials.cardboard)[rng.integers(4)](rng),
                36,
            )
        ]
    if what == 2:
        return [
            patch
            for k in range(int(rng.integers(1, 5)))
            for patch in box(
                (0, 0, 0.02 + 0.04 * k), (0.24, 0.17, 0.038), materials.cardboard(rng), rng.uniform(-25, 25)
            )
        ]
    if what == 3:
        size = rng.uniform((0.12, 0.1, 0.12), (0.3, 0.25, 0.35))
        return box((0, 0, size[2] / 2), size, materials.cardboard(rng), rng.uniform(-40, 40))
    bowl = [(0.10, 0.085), (0.14, 0.09), (0.12, 0.05), (0.08, 0.02), (0.05, 0.0)]
    fruit = Painted(speckled(rng.uniform((0.6, 0.2, 0.1), (0.95, 0.7, 0.2)), (0.9, 0.7, 0.3), 0.02), texel_m=0.002)
    balls = [sphere((0.05 * np.cos(2.1 * k), 0.05 * np.sin(2.1 * k), 0.11), 0.045, fruit, 24) for k in range(3)]
    return [lathe(bowl, (0, 0, 0), materials.lacquer(rng)), *balls]


def _legs(rng: Random, wide: float, deep: float, high: float) -> list[Patch]:
    """Four legs, thin rods or beams."""
    thin, beam = rng.random() < 0.5, materials.veneer(rng, polished=False)
    patches: list[Patch] = []
    for x in (0.06 - wide / 2, wide / 2 - 0.06):
        for y in (0.06 - deep / 2, deep / 2 - 0.06):
            patches += (
                [rod((x, y, 0), (x, y, high), 0.014, _STEEL)]
                if thin
                else box((x, y, high / 2), (0.06, 0.06, high), beam)
            )
    return patches


def table(rng: Random) -> list[Patch]:
    """A table with a top of wood, lacquer, glass or paint, and things on it."""
    wide, deep, high = rng.uniform(1.0, 1.8), rng.uniform(0.6, 0.9), rng.uniform(0.45, 0.76)
    top = (materials.blank, materials.lacquer, materials.dark_glass, lambda r: materials.veneer(r, polished=True))[
        rng.integers(4)
    ](rng)
    patches = box((0, 0, high), (wide, deep, 0.04), top) + _legs(rng, wide, deep, high - 0.02)
    for x in np.linspace(-wide / 2 + 0.2, wide / 2 - 0.2, int(rng.integers(3, 5))):
        patches += turned_to(small_thing(rng), (x, rng.uniform(-0.2, 0.2), high + 0.021))
    return patches


def island(rng: Random) -> list[Patch]:
    """A block with a blank or shining worktop."""
    wide, deep = rng.uniform(1.2, 2.0), rng.uniform(0.7, 0.95)
    body = materials.lacquer(rng) if rng.random() < 0.5 else materials.veneer(rng, polished=bool(rng.random() < 0.5))
    top = (materials.blank, materials.lacquer, materials.metal)[rng.integers(3)](rng)
    patches = box((0, 0, 0.43), (wide - 0.06, deep - 0.06, 0.86), body) + box((0, 0, 0.885), (wide, deep, 0.05), top)
    for x in np.linspace(-wide / 2 + 0.25, wide / 2 - 0.25, 4):
        patches += turned_to(small_thing(rng), (x, rng.uniform(-0.25, 0.25), 0.911))
    return patches


def chair(rng: Random) -> list[Patch]:
    """A seat on legs, its back of thin bars."""
    bar = (_STEEL, _TWIG)[rng.integers(2)]
    seat = materials.cloth(rng) if rng.random() < 0.5 else materials.veneer(rng, polished=True)
    patches = box((0, 0, 0.45), (0.44, 0.42, 0.035), seat)
    for x in (-0.19, 0.19):
        patches += [
            rod((x, -0.18, 0), (x, -0.18, 0.45), 0.013, bar, 8),
            rod((x, 0.19, 0), (x, 0.24, 0.95), 0.013, bar, 8),
        ]
    patches += [
        rod((x, 0.2, 0.46), (x, 0.235, 0.9), 0.006, bar, 8) for x in np.linspace(-0.15, 0.15, int(rng.integers(4, 8)))
    ]
    return [*patches, rod((-0.2, 0.237, 0.92), (0.2, 0.237, 0.92), 0.015, bar, 8)]


def sofa(rng: Random) -> list[Patch]:
    """Cushions of cloth, of one colour, or of leather that shines."""
    wide = rng.uniform(0.8, 1.9)
    finish = (materials.cloth, materials.blank, materials.lacquer)[rng.integers(3)](rng)
    arms = [patch for side in (-1, 1) for patch in box((side * wide / 2, 0, 0.3), (0.16, 0.8, 0.6), finish)]
    pillow = box((wide / 4, 0.15, 0.58), (0.4, 0.14, 0.35), materials.cloth(rng), 12.0)
    return [
        *box((0, 0, 0.22), (wide, 0.78, 0.44), finish),
        *box((0, 0.32, 0.6), (wide, 0.2, 0.42), finish),
        *arms,
        *pillow,
    ]


def cartons(rng: Random) -> list[Patch]:
    """Two or three boxes on one another."""
    base, patches = 0.0, []
    for size in sorted(rng.uniform(0.25, 0.65, int(rng.integers(2, 4))), reverse=True):
        high = size * rng.uniform(0.5, 0.9)
        finish = materials.cardboard(rng) if rng.random() < 0.7 else materials.lacquer(rng)
        patches += box((0, 0, base + high / 2), (size, 0.8 * size, high), finish, rng.uniform(-30, 30))
        base += high
    return patches


def pedestal(rng: Random) -> list[Patch]:
    """A block with something shining on it."""
    high, patches = rng.uniform(0.7, 1.1), _vase(rng, rng.uniform(0.3, 0.6))
    if rng.random() < 0.6:
        radius = rng.uniform(0.15, 0.25)
        patches = [
            sphere((0, 0, radius), radius, (materials.metal, materials.lacquer, materials.blank)[rng.integers(3)](rng))
        ]
    return [
        *box((0, 0, high / 2), (0.4, 0.4, high), materials.blank(rng)),
        *turned_to(patches, (0, 0, high)),
    ]


def bin_of_metal(rng: Random) -> list[Patch]:
    """A cylinder with a lid."""
    radius, high = rng.uniform(0.14, 0.22), rng.uniform(0.4, 0.8)
    return [lathe([(0.0, high), (radius, high), (radius, high - 1e-3), (radius, 0.0)], (0, 0, 0), materials.metal(rng))]


def column(rng: Random) -> list[Patch]:
    """A blank pillar, higher than any room."""
    radius = rng.uniform(0.12, 0.25)
    return [lathe([(radius, 4.0), (radius, 0.0)], (0, 0, 0), materials.blank(rng))]


def partition(rng: Random) -> list[Patch]:
    """A blank or lacquered board that stands in the room."""
    wide, high = rng.uniform(0.8, 1.8), rng.uniform(1.2, 2.0)
    return box(
        (0, 0, high / 2), (wide, 0.1, high), materials.blank(rng) if rng.random() < 0.7 else materials.lacquer(rng)
    )


def railing(rng: Random) -> list[Patch]:
    """A grid of thin rods."""
    wide, high, pitch, radius = (
        rng.uniform(1.0, 2.4),
        rng.uniform(0.9, 1.8),
        rng.uniform(0.09, 0.2),
        rng.uniform(0.004, 0.01),
    )
    upright = np.arange(-wide / 2, wide / 2 + 1e-6, pitch)
    bars = [rod((x, 0, 0), (x, 0, high), radius, _STEEL, 8) for x in upright]
    return bars + [
        rod((upright[0], 0, z), (upright[-1], 0, z), 1.3 * radius, _STEEL, 8) for z in np.linspace(0.15, high, 3)
    ]


def floor_lamp(rng: Random) -> list[Patch]:
    """A rod with a lit shade."""
    high = rng.uniform(1.3, 1.7)
    shade = replace(materials.cloth(rng), two_sided=True, glow=0.7 * _LIT)
    return [
        rod((0, 0, 0), (0, 0, high), 0.011, _STEEL),
        lathe([(0.12, high + 0.15), (0.22, high - 0.15)], (0, 0, 0), shade),
        lathe([(0.0, 0.03), (0.15, 0.028), (0.16, 0.0)], (0, 0, 0), materials.metal(rng)),
    ]


def _leaf(rng: Random, base: np.ndarray, angle: float, length: float) -> Patch:
    """One drooping leaf that grows from `base` outwards at a compass angle."""
    tip = base + length * np.array([np.cos(angle), np.sin(angle), rng.uniform(-0.15, 0.75)])
    bend, width = (0.0, 0.0, length * rng.uniform(0.03, 0.14)), length * rng.uniform(0.24, 0.4)
    green = leaf(rng.uniform((0.16, 0.38, 0.10), (0.36, 0.58, 0.2)))
    return blade(base, tip, width, bend, Painted(green, texel_m=0.004, kind=SurfaceClass.THIN, two_sided=True))


def plant(rng: Random) -> list[Patch]:
    """A potted plant: twigs that fan out, with leaves along their upper two thirds."""
    height, twigs = rng.uniform(0.7, 1.7), 8
    pot = [(0.15, 0.3), (0.165, 0.3), (0.165, 0.26), (0.14, 0.24), (0.11, 0.0)]
    clay = Painted(speckled((0.66, 0.36, 0.24), (0.78, 0.52, 0.38), 0.03), texel_m=0.003)
    soil = Painted(speckled((0.2, 0.14, 0.1), (0.35, 0.27, 0.2), 0.01), texel_m=0.004)
    start = np.array((0.0, 0.0, 0.26))
    patches = [
        lathe(pot, (0, 0, 0), clay if rng.random() < 0.6 else materials.lacquer(rng)),
        lathe([(0.0, 0.27), (0.15, 0.27)], (0, 0, 0), soil),
    ]
    for k in range(twigs):
        angle = 2 * np.pi * (k + rng.uniform(-0.3, 0.3)) / twigs
        spread = height * rng.uniform(0.08, 0.32)
        end = start + np.array([spread * np.cos(angle), spread * np.sin(angle), height * rng.uniform(0.65, 1.0)])
        patches.append(rod(start, end, 0.006, _TWIG, 6))
        for _ in range(int(height * 7)):
            base = start + rng.uniform(0.3, 1.0) * (end - start)
            patches.append(_leaf(rng, base, rng.uniform(0, 2 * np.pi), rng.uniform(0.10, 0.2)))
    return patches


def hanging_plant(rng: Random, hook: Vector) -> list[Patch]:
    """A plant on three wires from a hook in the ceiling."""
    top = np.asarray(hook, float)
    pot_centre = np.array((top[0], top[1], rng.uniform(1.45, 1.7)))
    woven = Painted(tiles((0.75, 0.6, 0.4), (0.55, 0.4, 0.26), 0.02), texel_m=0.0015)
    knot = pot_centre + np.array((0, 0, 0.45))
    patches = [
        lathe([(0.0, 0.07), (0.1, 0.07), (0.1, 0.06), (0.075, -0.06), (0.0, -0.07)], pot_centre, woven),
        rod(knot, top, 0.003, _STEEL, 6),
    ]
    for k in range(3):
        patches.append(
            rod(knot, pot_centre + np.array((0.1 * np.cos(2.1 * k), 0.1 * np.sin(2.1 * k), 0.06)), 0.0025, _STEEL, 6)
        )
    for k in range(40):
        base = pot_centre + np.array((0.08 * np.cos(2.4 * k), 0.08 * np.sin(2.4 * k), 0.05))
        patches.append(_leaf(rng, base, 2.4 * k + rng.uniform(-0.3, 0.3), rng.uniform(0.08, 0.17)))
    return patches


def pendant(rng: Random, hook: Vector) -> list[Patch]:
    """A lamp on a cable."""
    x, y, top = hook
    z, radius = rng.uniform(1.5, 2.1), rng.uniform(0.08, 0.2)
    shade = (
        materials.metal(rng),
        materials.lacquer(rng),
        replace(materials.blank(rng), glow=_LIT, kind=SurfaceClass.PLAIN),
    )[rng.integers(3)]
    body = (
        [sphere((x, y, z), radius, shade, 36)]
        if rng.random() < 0.5
        else [lathe([(0.03, 0.2), (radius, 0.0)], (x, y, z), replace(shade, two_sided=True))]
    )
    return [rod((x, y, z + 0.1), (x, y, top), 0.004, _STEEL, 6), *body]


def cable(start: Vector, end: Vector, sag_m: float) -> list[Patch]:
    """A cable that hangs between two points."""
    share = np.linspace(0, 1, 9)[:, None]
    points = np.asarray(start) * (1 - share) + np.asarray(end) * share
    points[:, 2:] -= sag_m * 4 * share * (1 - share)
    return [rod(a, b, 0.006, _STEEL, 6) for a, b in pairwise(points)]
