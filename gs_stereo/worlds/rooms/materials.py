"""What hard rooms are made of. Each function draws one finish; a texel is as small as the surface needs."""

from dataclasses import replace

import numpy as np

from gs_stereo.worlds.patches import Painted
from gs_stereo.worlds.textures.canvas import Paint
from gs_stereo.worlds.textures.paints import (
    bricks,
    fabric,
    flat,
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

_WOODS = ((0.72, 0.52, 0.33), (0.42, 0.27, 0.17), (0.86, 0.74, 0.56), (0.55, 0.33, 0.2))
_METALS = ((0.95, 0.96, 0.98), (0.98, 0.82, 0.5), (0.95, 0.66, 0.5))
_GLOSSY, _BLANK, _THIN = SurfaceClass.GLOSSY, SurfaceClass.TEXTURELESS, SurfaceClass.THIN

Random = np.random.Generator


def pale(rng: Random) -> np.ndarray:
    """A wall's colour: near white, or a light tint."""
    return np.clip(rng.uniform(0.68, 0.93) + rng.normal(0, rng.choice((0.015, 0.05)), 3), 0.35, 0.95)


def bright(rng: Random) -> np.ndarray:
    """A furniture's colour, from dark to vivid."""
    colour = rng.uniform(0.08, 0.85, 3)
    return colour + rng.uniform(0.1, 0.6) * (colour.mean() - colour)


def blank(rng: Random) -> Painted:
    """A wall's paint: nothing to see but how light falls on it."""
    return Painted(flat(pale(rng)), texel_m=0.02, kind=_BLANK)


def lacquer(rng: Random) -> Painted:
    """Painted fronts and doors: one colour under a coat that mirrors, sharply or blurred."""
    mirror, roughness = rng.uniform(0.03, 0.12), rng.choice((0.0, 0.02, 0.06))
    colour = bright(rng) if rng.random() < 0.6 else pale(rng)
    return Painted(flat(colour), texel_m=0.02, kind=_GLOSSY, mirror=mirror, roughness=roughness, highlight=0.3)


def veneer(rng: Random, polished: bool) -> Painted:
    """Wood, matt or polished."""
    paint = wood(_WOODS[rng.integers(4)], along_columns=bool(rng.random() < 0.7), contrast=rng.uniform(0.08, 0.2))
    if not polished:
        return Painted(paint, texel_m=0.004)
    return Painted(paint, texel_m=0.004, kind=_GLOSSY, mirror=rng.uniform(0.04, 0.1), roughness=rng.uniform(0.0, 0.06))


def metal(rng: Random, kind: SurfaceClass = _GLOSSY) -> Painted:
    """Steel, brass or copper, from mirror-like to brushed."""
    tone = _METALS[rng.integers(3)]
    paint = speckled(0.5 * np.asarray(tone), 0.42 * np.asarray(tone), 0.02)
    roughness = rng.choice((0.01, 0.06, 0.15))
    mirror = rng.uniform(0.45, 0.75)
    return Painted(paint, texel_m=0.004, kind=kind, mirror=mirror, roughness=roughness, reflection=tone, highlight=0.8)


def looking_glass() -> Painted:
    """A mirror; its own grey is what one sees of it in another mirror."""
    return Painted(flat((0.45, 0.46, 0.46)), texel_m=0.05, kind=_GLOSSY, mirror=0.88, reflection=(0.96, 0.98, 0.97))


def dark_glass(rng: Random) -> Painted:
    """A screen, an oven door, a window at night."""
    return Painted(flat(rng.uniform(0.05, 0.16, 3)), texel_m=0.05, kind=_GLOSSY, mirror=rng.uniform(0.06, 0.14))


def steel() -> Painted:
    """Rods and cables."""
    return Painted(speckled((0.30, 0.32, 0.34), (0.48, 0.5, 0.52), 0.02), texel_m=0.003, kind=_THIN)


def picture(rng: Random, glazed: bool) -> Painted:
    """A poster or a painting in a frame, if wanted behind glass."""
    inks = tuple(rng.uniform(0.1, 0.95, (5, 3)))
    sky, sun, hill = rng.uniform((0.3, 0.4, 0.4), (0.95, 0.8, 0.9)), (0.98, 0.9, 0.6), rng.uniform(0.15, 0.45, 3)
    paint = landscape(sky, sun, hill) if rng.random() < 0.5 else shapes(pale(rng), inks)
    if not glazed:
        return Painted(paint, texel_m=0.004)
    return Painted(paint, texel_m=0.004, kind=_GLOSSY, mirror=0.06)


def cardboard(rng: Random) -> Painted:
    """A printed box."""
    return Painted(printed(bright(rng) * 0.5 + 0.35, rng.uniform(0.05, 0.25, 3)), texel_m=0.003)


def cloth(rng: Random) -> Painted:
    """Striped upholstery."""
    return Painted(fabric(bright(rng), pale(rng), rng.uniform(0.02, 0.08)), texel_m=0.004)


def textured_wall(rng: Random) -> Painted:
    """Bricks, boards, rough plaster or patterned tiles."""
    paints: tuple[Paint, ...] = (
        bricks(rng.uniform((0.6, 0.4, 0.3), (0.85, 0.75, 0.7)), pale(rng), (0.075, 0.23)),
        bricks(pale(rng) * 0.8, pale(rng) * 0.55, (0.28, 0.5)),
        planks(_WOODS[rng.integers(4)], (0.16, 1.6)),
        plaster(pale(rng), rng.uniform(0.06, 0.16)),
    )
    return Painted(paints[rng.integers(len(paints))], texel_m=0.007)


def floor(rng: Random) -> Painted:
    """Lacquered boards, polished stone, poured concrete, worn tiles, carpet or linoleum."""
    stone = tiles(pale(rng), rng.uniform(0.3, 0.8, 3), rng.uniform(0.2, 0.5))
    boards = planks(_WOODS[rng.integers(4)])
    matt = (
        Painted(stone, texel_m=0.006),
        Painted(boards, texel_m=0.006),
        Painted(rug(bright(rng), pale(rng), bright(rng)), texel_m=0.006),
        Painted(flat(pale(rng) * 0.8), texel_m=0.02, kind=_BLANK),
    )
    if rng.random() < 0.5:
        return matt[rng.integers(len(matt))]
    polished = (matt[0], matt[1], matt[3])[rng.integers(3)]
    return replace(polished, kind=_GLOSSY, mirror=rng.uniform(0.03, 0.08), roughness=rng.uniform(0.0, 0.08))
