"""Rays against all geoms of a scene: the first hit, and whether anything stands before a light.

The loop over geoms is unrolled and keeps the best distance and index per ray; an array of rays x
geoms never exists. Distances first; what else is wanted of the winner is looked up afterwards.
"""

import jax.numpy as jnp

from wamjax.core.typing import Array, Float, Int32, typed
from wamjax.sim.render.intersections import FAR, interval, plane_distance
from wamjax.sim.render.scene import GeomKind, Scene, kind_names
from wamjax.sim.render.vector import (
    Vector,
    components,
    matrix_rows,
    subtract,
    unrotate,
)

# A shadow ray ignores what it meets closer than this (m): the surface that it starts from.
SHADOW_GAP = 5e-4


def first_hit(
    kinds: tuple[GeomKind, ...], scene: Scene, origin: Vector, direction: Vector
) -> tuple[Array, Array]:
    """(distance, geom) per ray; FAR and -1 where nothing is hit.

    Args:
        kinds: the kind of each geom, static.
        scene: the geoms.
        origin: world frame; scalars if all rays share it.
        direction: world frame; distances are in units of its length.
    """
    best = jnp.full(direction[0].shape, FAR, jnp.float32)
    geom = jnp.full(direction[0].shape, -1, jnp.int32)
    for index, kind in enumerate(kinds):
        rows = matrix_rows(scene.rotation[index])
        size = components(scene.size[index])
        o = unrotate(rows, subtract(origin, components(scene.position[index])))
        d = unrotate(rows, direction)
        if kind == "plane":
            t = plane_distance(o, d, size)
            hit = t < best
        else:
            near, far = interval(kind, o, d, size)
            t = jnp.where(near >= 0, near, far)
            hit = (near <= far) & (far >= 0) & (t < best)
        hit = hit & scene.materials.visible[index]
        best = jnp.where(hit, t, best)
        geom = jnp.where(hit, index, geom)
    return best, geom


def occluded(
    kinds: tuple[GeomKind, ...],
    casters: tuple[int, ...],
    scene: Scene,
    point: Vector,
    towards: Vector,
    reach: Array,
) -> Array:
    """Whether a caster lies on the segment from `point` to `point + reach * towards`.

    A solid counts where the segment enters it, so a surface that faces the light never shades
    itself.

    Args:
        kinds: the kind of each geom, static.
        casters: indices of the solids that cast shadows, static.
        scene: the geoms.
        point: world frame, on a visible surface.
        towards: unit vectors to the light.
        reach: distance to the light (m).
    """
    dark = jnp.zeros(point[0].shape, bool)
    for index in casters:
        rows = matrix_rows(scene.rotation[index])
        o = unrotate(rows, subtract(point, components(scene.position[index])))
        d = unrotate(rows, towards)
        near, far = interval(kinds[index], o, d, components(scene.size[index]))
        dark = dark | (
            (near <= far)
            & (near > SHADOW_GAP)
            & (near < reach)
            & scene.materials.visible[index]
        )
    return dark


@typed
def cast(
    kinds: tuple[GeomKind | int, ...],
    scene: Scene,
    origin: Float[Array, "3"],
    directions: Float[Array, "R 3"],
) -> tuple[Float[Array, "R"], Int32[Array, "R"]]:
    """The first visible geom along each ray from one point, like MuJoCo's mj_multiRay.

    Args:
        kinds: the kind of each geom by name or `mjtGeom` number, static.
        scene: the geoms; materials count only by `visible`.
        origin: world frame (m).
        directions: world frame, any length but zero.

    Returns:
        distance (in units of the direction's length, -1 where nothing is hit) and geom (-1).

    Raises:
        ValueError: a kind that cannot be drawn.
    """
    distance, geom = first_hit(
        kind_names(kinds), scene, components(origin), components(directions)
    )
    return jnp.where(geom >= 0, distance, -1.0), geom
