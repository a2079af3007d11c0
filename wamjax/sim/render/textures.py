"""Procedural textures: a darkness m in 0..1 as a function of a place (u, v) on the surface.

    albedo = rgb * (1 - contrast * m(scale * (u, v) + phase))

(u, v) are the two local coordinates across the face that the normal points out of most (box
mapping), in metres. Everything is arithmetic on the place: an integer hash of the lattice corner
stands where other renderers look into an image, so there is no gather and one program draws all
families. m fades to its mean where a pixel covers more than about half a cycle.
"""

from typing import Literal, get_args

import jax.numpy as jnp

from wamjax.core.typing import Array

Family = Literal[
    "flat", "checker", "gradient", "noise", "stripes", "wood", "brick", "marble", "tile"
]
FAMILIES: tuple[Family, ...] = get_args(Family)
_MEANS = (0.0, 0.5, 0.5, 0.5, 0.5, 0.45, 0.3, 0.4, 0.3)


def lattice_hash(x: Array, y: Array) -> Array:
    """A number in [0, 1) for each pair of int32 lattice coordinates (murmur3's finaliser)."""
    h = x.astype(jnp.uint32) * jnp.uint32(0x9E3779B1) ^ y.astype(jnp.uint32) * jnp.uint32(
        0x85EBCA77
    )
    h = (h ^ (h >> 16)) * jnp.uint32(0x7FEB352D)
    h = (h ^ (h >> 15)) * jnp.uint32(0x846CA68B)
    h = h ^ (h >> 16)
    return (h >> 8).astype(jnp.float32) * jnp.float32(2.0**-24)


def value_noise(u: Array, v: Array) -> Array:
    """Smooth noise in 0..1 with one independent value per unit square."""
    floor_u, floor_v = jnp.floor(u), jnp.floor(v)
    x, y = floor_u.astype(jnp.int32), floor_v.astype(jnp.int32)
    a, b = _smooth(u - floor_u), _smooth(v - floor_v)
    low = lattice_hash(x, y) * (1 - a) + lattice_hash(x + 1, y) * a
    high = lattice_hash(x, y + 1) * (1 - a) + lattice_hash(x + 1, y + 1) * a
    return low * (1 - b) + high * b


def darkness(
    family: Array, u: Array, v: Array, phase: Array, warp: Array, footprint: Array
) -> Array:
    """m in 0..1, elementwise.

    Args:
        family: index into FAMILIES (a float or an integer).
        u: place across the face, in cycles.
        v: the other coordinate, in cycles.
        phase: shift in cycles; also another draw of the noise.
        warp: 0..1: share of fine noise ("noise"), distortion ("stripes", "wood", "marble"), width
            of the mortar ("brick", "tile").
        footprint: width of a pixel on the surface, in cycles.
    """
    coarse = value_noise(u + 7.0 * phase, v + 3.0 * phase)
    fine = value_noise(2.7 * u + 11.0 * phase + 31.0, 2.7 * v + 19.0)
    bent = u + phase + warp * (coarse + 0.5 * fine - 0.75)

    checker = jnp.abs(_wave(u + phase) - _wave(v + phase))
    gradient = jnp.clip(0.5 + v + phase, 0.0, 1.0)
    noise = (1.0 - 0.5 * warp) * coarse + 0.5 * warp * fine
    stripes = _wave(bent)
    rings = bent + 0.35 * value_noise(0.31 * u + phase, 2.3 * v)
    wood = 0.75 * (rings - jnp.floor(rings)) ** 2 + 0.4 * value_noise(9.0 * u + phase, 0.9 * v)
    row = jnp.floor(v + phase)
    along = 0.5 * u + 0.5 * row
    edge = 0.02 + 0.1 * warp
    mortar = (v + phase - row < 2 * edge) | (along - jnp.floor(along) < edge)
    tone = 0.35 * lattice_hash(jnp.floor(along).astype(jnp.int32), row.astype(jnp.int32))
    brick = jnp.where(mortar, 1.0, tone)
    vein = jnp.abs(2.0 * (bent + 0.5 * v - jnp.floor(bent + 0.5 * v)) - 1.0)
    marble = (1.0 - vein) ** 3 * 0.8 + 0.35 * fine

    column = jnp.floor(u + phase)
    joint = (u + phase - column < edge) | (v + phase - row < edge)
    glaze = 0.5 * lattice_hash(column.astype(jnp.int32) + 57, row.astype(jnp.int32))
    tile = jnp.where(joint, 1.0, glaze)

    drawn = (checker, gradient, noise, stripes, wood, brick, marble, tile)
    m, mean = jnp.zeros_like(u), jnp.zeros_like(u)
    for number, value in enumerate(drawn, start=1):
        m = jnp.where(family == number, value, m)
        mean = jnp.where(family == number, _MEANS[number], mean)
    keep = jnp.clip(1.5 - 2.0 * footprint, 0.0, 1.0)
    return jnp.clip(mean + keep * (m - mean), 0.0, 1.0)


def _smooth(x: Array) -> Array:
    return x * x * (3.0 - 2.0 * x)


def _wave(x: Array) -> Array:
    """A square wave of period 1 with slightly soft edges."""
    triangle = jnp.abs(2.0 * (x - jnp.floor(x)) - 1.0)
    return jnp.clip(8.0 * (triangle - 0.5) + 0.5, 0.0, 1.0)
