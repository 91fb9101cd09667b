"""What lies outside an open front: ground, sheds and plants, a sky without parallax, the sun."""

from dataclasses import replace

from gs_stereo.worlds.light.baked import Lamp
from gs_stereo.worlds.patches import Painted, Patch, box, quad
from gs_stereo.worlds.rooms import materials, things
from gs_stereo.worlds.rooms.materials import Random
from gs_stereo.worlds.textures.paints import outdoors, plaster
from gs_stereo.worlds.world import SurfaceClass

_FAR_M = 300.0  # the sky


def garden(rng: Random, deep: float) -> list[Patch]:
    """Ground behind y = deep, what stands on it, and the sky."""
    lawn = Painted(plaster(rng.uniform((0.25, 0.35, 0.15), (0.5, 0.55, 0.35)), 0.35, 0.3), texel_m=0.03, lumel_m=0.4)
    sky = rng.uniform((0.3, 0.5, 0.75), (0.6, 0.75, 0.95))
    paint, glow = outdoors(sky, (0.3, 0.36, 0.28), 0.86), rng.uniform(0.8, 1.8)
    air = Painted(paint, texel_m=0.3, kind=SurfaceClass.SKY, glow=glow, lumel_m=30.0)
    patches = [
        quad((-60, 80, -0.03), (120, 0, 0), (0, deep - 80, 0), lawn),
        quad((-4 * _FAR_M, _FAR_M, _FAR_M), (8 * _FAR_M, 0, 0), (0, 0, -_FAR_M - 40), air),
        quad((-4 * _FAR_M, -50, 0.8 * _FAR_M), (8 * _FAR_M, 0, 0), (0, _FAR_M + 60, 0), air),
    ]
    for _ in range(14):
        high, x, y = rng.uniform(1.0, 5.0), rng.uniform(-14, 14), deep + rng.uniform(6, 30)
        finish = materials.textured_wall(rng) if rng.random() < 0.7 else materials.blank(rng)
        finish = replace(finish, lumel_m=0.3, texel_m=2 * finish.texel_m)
        patches += box((x, y, high / 2 - 0.03), (*rng.uniform(1.0, 5.0, 2), high), finish, rng.uniform(-30, 30))
    for _ in range(5):
        foot = (rng.uniform(-3, 3), deep + rng.uniform(0.8, 4.0), 0.0)
        patches += things.turned_to(things.plant(rng), foot, 0.0)
    return patches


def sun(rng: Random, deep: float) -> Lamp:
    """Light from high over the garden."""
    corner, glare = (rng.uniform(-25, 5), deep + rng.uniform(5, 15), 40.0), rng.uniform(2000.0, 4000.0)
    return Lamp(corner=corner, edge_a=(0, 4, 0), edge_b=(4, 0, 0), power=(glare, 0.97 * glare, 0.9 * glare))
