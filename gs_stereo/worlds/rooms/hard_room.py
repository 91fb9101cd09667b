"""The hard sample scene: a conservatory with foliage, wires, a bare wall, mirror-like pots, and depth from 1 to 10."""

import numpy as np

from gs_stereo.core.hashing import unit_seed
from gs_stereo.worlds.light.baked import Lamp, Lighting
from gs_stereo.worlds.mesh import Vector
from gs_stereo.worlds.patches import Painted, Patch, blade, box, lathe, rod, shell, sphere
from gs_stereo.worlds.rooms.walk import Room
from gs_stereo.worlds.textures.paints import (
    bricks,
    fabric,
    flat,
    landscape,
    leaf,
    printed,
    shapes,
    speckled,
    tiles,
    wood,
)
from gs_stereo.worlds.world import SurfaceClass

_INKS = ((0.9, 0.55, 0.2), (0.15, 0.4, 0.55), (0.65, 0.2, 0.3), (0.3, 0.5, 0.25))
_STEEL = Painted(speckled((0.30, 0.32, 0.34), (0.48, 0.5, 0.52), 0.02), texel_m=0.003, kind=SurfaceClass.THIN)
_TWIG = Painted(wood((0.42, 0.3, 0.2), along_columns=False), texel_m=0.003, kind=SurfaceClass.THIN)


def conservatory(seed: int) -> Room:
    """Hall 7 m x 10 m x 3.2 m, floor at z = 0, back wall at y = 6; plants grow by the seed."""
    rng = np.random.default_rng(unit_seed(seed, "conservatory"))
    patches = [*_shell(), *_back(), *_glossy(), *_wires(), *_matt_things()]
    patches += _plant(rng, (-1.0, -0.2, 0.0), 0.95, 60)
    patches += _plant(rng, (1.45, 0.9, 0.0), 1.5, 110)
    patches += _plant(rng, (-2.2, 2.6, 0.0), 1.9, 130)
    patches += _hanging_plant(rng, (0.55, -1.05, 1.95), 46)
    lighting = Lighting(
        lamps=(
            Lamp(corner=(-0.6, 0.2, 3.15), edge_a=(0, 1.4, 0), edge_b=(1.2, 0, 0), power=(17.0, 16.0, 14.5)),
            Lamp(
                corner=(3.4, 3.6, 1.2), edge_a=(0, -1.6, 0), edge_b=(0, 0, 1.6), power=(10.0, 11.0, 12.5), rays=(3, 3)
            ),
        ),
        ambient=(0.72, 0.74, 0.76),
        exposure=0.5,
    )
    return Room(
        patches=tuple(patches),
        lighting=lighting,
        target=(0.1, 1.2, 0.95),
        radius_m=3.1,
        arc_deg=(-24.0, 24.0),
        heights_m=(1.25, 1.5),
    )


def _shell() -> list[Patch]:
    back = Painted(bricks((0.72, 0.66, 0.58), (0.52, 0.49, 0.46), (0.1, 0.3)), texel_m=0.007)
    bare = Painted(flat((0.86, 0.85, 0.81)), texel_m=0.03, kind=SurfaceClass.TEXTURELESS)
    stone = Painted(bricks((0.66, 0.62, 0.55), (0.45, 0.42, 0.38), (0.28, 0.5)), texel_m=0.008)
    floor = Painted(tiles((0.78, 0.74, 0.66), (0.45, 0.32, 0.26), 0.3), texel_m=0.006)
    return shell((-3.5, -4.0, 0.0), (3.5, 6.0, 3.2), back, bare, stone, floor)


def _back() -> list[Patch]:
    """A bare partition in the middle of the view, posters beside it."""
    bare = Painted(flat((0.80, 0.83, 0.84)), texel_m=0.02, kind=SurfaceClass.TEXTURELESS)
    sunset = Painted(landscape((0.95, 0.6, 0.4), (0.99, 0.92, 0.7), (0.35, 0.22, 0.3)), texel_m=0.005)
    abstract = Painted(shapes((0.92, 0.88, 0.78), _INKS), texel_m=0.005)
    return [
        *box((0.15, 3.3, 1.0), (1.5, 0.12, 2.0), bare),
        *box((1.9, 5.97, 1.9), (1.3, 0.04, 1.0), sunset),
        *box((-1.5, 5.97, 1.9), (1.0, 0.04, 1.3), abstract),
    ]


def _glossy() -> list[Patch]:
    def gloss(colour: Vector, mirror: float) -> Painted:
        return Painted(
            speckled(colour, 0.7 * np.asarray(colour), 0.03),
            texel_m=0.003,
            kind=SurfaceClass.GLOSSY,
            mirror=mirror,
            highlight=1.4,
            shininess=90.0,
        )

    vase = np.transpose(
        [(0.06, 0.075, 0.05, 0.09, 0.15, 0.16, 0.11, 0.09), (0.5, 0.49, 0.42, 0.33, 0.22, 0.14, 0.04, 0.0)]
    )
    top = Painted(
        wood((0.4, 0.24, 0.15)), texel_m=0.004, kind=SurfaceClass.GLOSSY, mirror=0.10, highlight=0.8, shininess=40.0
    )
    leg = Painted(wood((0.4, 0.24, 0.15), along_columns=False), texel_m=0.004)
    patches = [
        *box((0.15, 0.95, 0.62), (1.5, 0.8, 0.05), top),
        lathe(vase, (-0.25, 1.0, 0.645), gloss((0.15, 0.32, 0.5), 0.22)),
        sphere((0.28, 0.9, 0.645 + 0.13), 0.13, gloss((0.75, 0.75, 0.76), 0.6)),
        lathe(vase, (0.68, 1.08, 0.645), gloss((0.6, 0.16, 0.14), 0.15)),
    ]
    for x in (-0.52, 0.82):
        for y in (0.62, 1.28):
            patches += box((x, y, 0.3), (0.06, 0.06, 0.595), leg)
    return patches


def _wires() -> list[Patch]:
    """A trellis of thin rods, cables from the ceiling, and a lattice in front of the far wall."""
    patches = [rod((-0.85 + 0.17 * k, 2.2, 0.0), (-0.85 + 0.17 * k, 2.2, 1.7), 0.006, _STEEL, 8) for k in range(12)]
    patches += [rod((-0.9, 2.2, z), (1.06, 2.2, z), 0.006, _STEEL, 8) for z in (0.5, 1.0, 1.5)]
    patches += [rod((x, y, 3.2), (x, y, z), 0.005, _STEEL, 8) for x, y, z in ((-0.5, 0.2, 1.55), (0.95, -0.3, 1.35))]
    patches += [rod((-3.2 + 0.35 * k, 5.6, 0.0), (-2.9 + 0.35 * k, 5.6, 2.4), 0.014, _STEEL, 8) for k in range(18)]
    bulb = Painted(speckled((0.9, 0.75, 0.4), (0.98, 0.92, 0.75), 0.02), texel_m=0.002)
    return [*patches, sphere((-0.5, 0.2, 1.48), 0.08, bulb, 32), sphere((0.95, -0.3, 1.28), 0.08, bulb, 32)]


def _matt_things() -> list[Patch]:
    carton = Painted(printed((0.72, 0.56, 0.38), (0.22, 0.17, 0.14)), texel_m=0.003)
    teal = Painted(printed((0.3, 0.5, 0.5), (0.95, 0.9, 0.8)), texel_m=0.004)
    bench = Painted(fabric((0.25, 0.35, 0.5), (0.88, 0.82, 0.7), 0.05), texel_m=0.004)
    return [
        *box((2.3, 2.6, 0.35), (0.8, 0.7, 0.7), teal, 15.0),
        *box((2.25, 2.62, 0.9), (0.45, 0.4, 0.4), carton, -12.0),
        *box((-1.9, 4.4, 0.25), (1.4, 0.5, 0.5), bench, -8.0),
        *box((0.35, -0.75, 0.16), (0.5, 0.36, 0.32), carton, 22.0),
        *box((0.33, -0.74, 0.42), (0.32, 0.26, 0.2), teal, -6.0),
    ]


def _leaf(rng: np.random.Generator, base: np.ndarray, angle: float, length: float) -> Patch:
    """One drooping leaf that grows from `base` outwards at a compass angle."""
    lift = rng.uniform(-0.15, 0.75)
    tip = base + length * np.array([np.cos(angle), np.sin(angle), lift])
    bend, width = (0.0, 0.0, length * rng.uniform(0.03, 0.14)), length * rng.uniform(0.24, 0.4)
    green = leaf(rng.uniform((0.16, 0.38, 0.10), (0.36, 0.58, 0.2)))
    finish = Painted(green, texel_m=0.004, kind=SurfaceClass.THIN, two_sided=True)
    return blade(base, tip, width, bend, finish)


def _plant(rng: np.random.Generator, foot: Vector, height: float, leaves: int) -> list[Patch]:
    """A potted plant: twigs that fan out, with leaves along their upper two thirds."""
    pot = [(0.15, 0.3), (0.165, 0.3), (0.165, 0.26), (0.14, 0.24), (0.11, 0.0)]
    clay = Painted(speckled((0.66, 0.36, 0.24), (0.78, 0.52, 0.38), 0.03), texel_m=0.003)
    soil = Painted(speckled((0.2, 0.14, 0.1), (0.35, 0.27, 0.2), 0.01), texel_m=0.004)
    start = np.add(foot, (0.0, 0.0, 0.26))
    patches = [lathe(pot, foot, clay), lathe([(0.0, 0.27), (0.15, 0.27)], foot, soil)]
    twigs = 9
    for k in range(twigs):
        angle = 2 * np.pi * (k + rng.uniform(-0.3, 0.3)) / twigs
        spread = height * rng.uniform(0.1, 0.42)
        end = start + np.array([spread * np.cos(angle), spread * np.sin(angle), height * rng.uniform(0.65, 1.0)])
        patches.append(rod(start, end, 0.006, _TWIG, 6))
        for _ in range(leaves // twigs):
            base = start + rng.uniform(0.3, 1.0) * (end - start)
            patches.append(_leaf(rng, base, rng.uniform(0, 2 * np.pi), rng.uniform(0.10, 0.2)))
    return patches


def _hanging_plant(rng: np.random.Generator, hook: Vector, leaves: int) -> list[Patch]:
    """A plant on three wires near the walker: the closest thing in view."""
    top, pot_centre = np.asarray(hook), np.subtract(hook, (0.0, 0.0, 0.45))
    woven = Painted(tiles((0.75, 0.6, 0.4), (0.55, 0.4, 0.26), 0.02), texel_m=0.0015)
    patches = [lathe([(0.0, 0.07), (0.1, 0.07), (0.1, 0.06), (0.075, -0.06), (0.0, -0.07)], pot_centre, woven)]
    patches.append(rod(top, (hook[0], hook[1], 3.2), 0.003, _STEEL, 6))
    for k in range(3):
        edge = np.add(pot_centre, (0.1 * np.cos(2.1 * k), 0.1 * np.sin(2.1 * k), 0.06))
        patches.append(rod(top, edge, 0.0025, _STEEL, 6))
    for k in range(leaves):
        base = np.add(pot_centre, (0.08 * np.cos(2.4 * k), 0.08 * np.sin(2.4 * k), 0.05))
        patches.append(_leaf(rng, base, 2.4 * k + rng.uniform(-0.3, 0.3), rng.uniform(0.08, 0.17)))
    return patches
