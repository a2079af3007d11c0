"""Rays against all geoms of a scene: the first hit, and whether anything stands before a light.

Up to CHUNK geoms of one kind are met in one elementwise stage of shape [geoms, rays], and their
distances are folded into the best so far; nothing larger is ever stored. Why not otherwise,
measured on CPU: a scan over geoms that carries the best overwrites it in place, which forbids
vector code where XLA's fusion emitters are off (5 times slower); a min-reduction over geoms is not
vectorised over rays (10 times slower). What else is wanted of the winner is looked up afterwards.
Meshes go another way, see `triangles`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Float, Int32, typed
from wamjax.sim.render.intersections import FAR, contains, surface_distance
from wamjax.sim.render.mesh import GROUP
from wamjax.sim.render.scene import GeomKind, Primitive, Scene, kind_names
from wamjax.sim.render.stages import settle
from wamjax.sim.render.triangles import Soup, first_triangle, place_triangles
from wamjax.sim.render.vector import (
    Vector,
    components,
    dot,
    matrix_rows,
    scale,
    smaller,
    subtract,
    unrotate,
)

CHUNK = 8

# A shadow ray ignores what it meets closer than this (m): the surface that it starts from.
SHADOW_GAP = 5e-4


def _chunks(
    kinds: tuple[GeomKind, ...], members: tuple[int, ...]
) -> list[tuple[Primitive, np.ndarray]]:
    """The members in groups of one kind and at most CHUNK geoms, but for meshes."""
    groups: dict[Primitive, list[int]] = {}
    for index in members:
        kind = kinds[index]
        if kind != "mesh":
            groups.setdefault(kind, []).append(index)
    return [
        (kind, np.array(places[start : start + CHUNK], np.int32))
        for kind, places in groups.items()
        for start in range(0, len(places), CHUNK)
    ]


def first_hit(
    kinds: tuple[GeomKind, ...],
    scene: Scene,
    soup: Soup | None,
    origin: Float[Array, "3"],
    direction: Vector,
) -> tuple[Array, Array, Array | None]:
    """(distance, geom, triangle) per ray; FAR, -1 and -1 where nothing (no triangle) is hit.

    Args:
        kinds: the kind of each geom, static.
        scene: the geoms.
        soup: their triangles; None without meshes, and then so is the result's triangle.
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
            rotation: Array, o: Array, size: Array, visible: Array, kind: Primitive = kind
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
    if soup is None:
        return best, winner, None
    start = components(jnp.broadcast_to(origin, (*best.shape, 3)))
    t, triangle = first_triangle(soup, start, direction, jnp.ones_like(best, bool), best)
    closer = t < best
    owner = soup.geom[jnp.maximum(triangle, 0) // GROUP]
    return settle(
        (
            jnp.where(closer, t, best),
            jnp.where(closer, owner, winner),
            jnp.where(closer, triangle, -1),
        )
    )


def occluded(
    kinds: tuple[GeomKind, ...],
    casters: tuple[int, ...],
    scene: Scene,
    soup: Soup | None,
    point: Vector,
    towards: Vector,
    reach: Array,
    live: Array,
) -> Array:
    """Whether a caster lies on the segment from `point` to `point + reach * towards`.

    A solid counts where the segment enters it, so a surface that faces the light never shades
    itself. A triangle counts from both sides, since a mesh may be open.

    Args:
        kinds: the kind of each geom, static.
        casters: indices of the geoms that cast shadows, static.
        scene: the geoms.
        soup: their triangles, None without meshes.
        point: world frame, on a visible surface, [R] each.
        towards: unit vectors to the light, [R] each.
        reach: distance to the light (m), [R].
        live: bool [R]; elsewhere any answer will do, which saves work on triangles.
    """
    dark = jnp.zeros(point[0].shape, bool)
    for kind, members in _chunks(kinds, casters):

        def blocks(
            position: Array, rotation: Array, size: Array, visible: Array, kind: Primitive = kind
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
    meshes = [index for index in casters if kinds[index] == "mesh"]
    if soup is None or not meshes:
        return dark
    casting = np.isin(np.arange(len(kinds)), meshes)
    solid = soup.replace(shown=soup.shown & jnp.asarray(casting)[soup.geom])
    t, _ = first_triangle(solid, point, towards, live & ~dark, reach, least=SHADOW_GAP)
    return dark | (t < smaller(reach, jnp.full_like(reach, FAR)))


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
        ValueError: a kind that cannot be drawn, or not one mesh per geom of that kind.
    """
    direction = components(directions)
    length = jnp.sqrt(dot(direction, direction))
    names = kind_names(kinds)
    soup = place_triangles(names, scene)
    distance, geom, _ = first_hit(names, scene, soup, origin, scale(1.0 / length, direction))
    return jnp.where(geom >= 0, distance / length, -1.0), geom
