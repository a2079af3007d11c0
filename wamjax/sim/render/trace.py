"""Rays against all geoms of a scene: the first hit, and whether anything stands before a light.

Up to CHUNK geoms of one kind are met in one elementwise stage of shape [geoms, rays], and their
distances are folded into the best so far; nothing larger is ever stored. Why not otherwise,
measured on CPU: a scan over geoms that carries the best overwrites it in place, which forbids
vector code where XLA's fusion emitters are off (5 times slower); a min-reduction over geoms is not
vectorised over rays (10 times slower). What else is wanted of the winner is looked up afterwards.
"""

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Float, Int32, typed
from wamjax.sim.render.intersections import FAR, contains, surface_distance
from wamjax.sim.render.scene import GeomKind, Scene, kind_names
from wamjax.sim.render.stages import settle
from wamjax.sim.render.vector import (
    Vector,
    components,
    dot,
    matrix_rows,
    scale,
    subtract,
    unrotate,
)

CHUNK = 8

# A shadow ray ignores what it meets closer than this (m): the surface that it starts from.
SHADOW_GAP = 5e-4


def _chunks(
    kinds: tuple[GeomKind, ...], members: tuple[int, ...]
) -> list[tuple[GeomKind, np.ndarray]]:
    """The members in groups of one kind and at most CHUNK geoms."""
    groups: dict[GeomKind, list[int]] = {}
    for index in members:
        groups.setdefault(kinds[index], []).append(index)
    return [
        (kind, np.array(places[start : start + CHUNK], np.int32))
        for kind, places in groups.items()
        for start in range(0, len(places), CHUNK)
    ]


def first_hit(
    kinds: tuple[GeomKind, ...], scene: Scene, origin: Float[Array, "3"], direction: Vector
) -> tuple[Array, Array]:
    """(distance, geom) per ray; FAR and -1 where nothing is hit.

    Args:
        kinds: the kind of each geom, static.
        scene: the geoms.
        origin: of all rays, world frame.
        direction: unit vectors, world frame, [R] each.
    """
    # The origin in each geom's frame, once: only directions differ from ray to ray.
    offset = origin - scene.position
    local = jnp.sum(scene.rotation * offset[:, :, None], axis=1)

    best = jnp.full(direction[0].shape, FAR, jnp.float32)
    winner = jnp.full(direction[0].shape, -1, jnp.int32)
    for kind, members in _chunks(kinds, tuple(range(len(kinds)))):

        def distance(
            rotation: Array, o: Array, size: Array, visible: Array, kind: GeomKind = kind
        ) -> Array:
            o_local, half = components(o), components(size)
            d = unrotate(matrix_rows(rotation), direction)
            side = jnp.where(contains(kind, o_local, half), 1.0, -1.0)
            t, hit = surface_distance(kind, o_local, d, half, side)
            return jnp.where(hit & (t >= 0) & visible, t, FAR)

        t = settle(
            jax.vmap(distance)(
                scene.rotation[members],
                local[members],
                scene.size[members],
                scene.materials.visible[members],
            )
        )
        for place, index in enumerate(members):
            closer = t[place] < best
            winner = jnp.where(closer, int(index), winner)
            best = jnp.where(closer, t[place], best)
        best, winner = settle((best, winner))
    return best, winner


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
        casters: indices of the geoms that cast shadows, static.
        scene: the geoms.
        point: world frame, on a visible surface, [R] each.
        towards: unit vectors to the light, [R] each.
        reach: distance to the light (m), [R].
    """
    dark = jnp.zeros(point[0].shape, bool)
    for kind, members in _chunks(kinds, casters):

        def blocks(
            position: Array, rotation: Array, size: Array, visible: Array, kind: GeomKind = kind
        ) -> Array:
            rows = matrix_rows(rotation)
            o = unrotate(rows, subtract(point, components(position)))
            d = unrotate(rows, towards)
            t, hit = surface_distance(kind, o, d, components(size), jnp.float32(-1.0))
            return hit & (t > SHADOW_GAP) & (t < reach) & visible

        blocked = settle(
            jax.vmap(blocks)(
                scene.position[members],
                scene.rotation[members],
                scene.size[members],
                scene.materials.visible[members],
            )
        )
        for place in range(len(members)):
            dark = dark | blocked[place]
        dark = settle(dark)
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
    direction = components(directions)
    length = jnp.sqrt(dot(direction, direction))
    distance, geom = first_hit(kind_names(kinds), scene, origin, scale(1.0 / length, direction))
    return jnp.where(geom >= 0, distance / length, -1.0), geom
