"""Rays against triangles (Moeller and Trumbore, Journal of Graphics Tools 2, 1997).

    o + t d = a + u e1 + v e2,      s = o - a,   n = e1 x e2,   c = s x d,   det = -d.n
    t = s.n / det,   u = e2.c / det,   v = -e1.c / det,      hit: u, v >= 0 and u + v <= 1

Rays go in bundles of BUNDLE neighbours, triangles in groups (see `mesh`). A bundle lies in a cone,
a group in a ball, and only where cone and ball meet are their rays and triangles tried, PAIRS pairs
at a time in a loop that ends with the list; so work grows with what is seen of a mesh, and nothing
of the size rays x triangles is ever stored. In a batch all worlds go through as many turns as the
one with the longest list.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array
from wamjax.sim.render.intersections import FAR
from wamjax.sim.render.mesh import GROUP
from wamjax.sim.render.scene import GeomKind, Scene
from wamjax.sim.render.stages import settle
from wamjax.sim.render.vector import (
    Vector,
    add,
    components,
    cross,
    dot,
    larger,
    matrix_rows,
    normalise,
    rotate,
    scale,
    smaller,
    subtract,
)

BUNDLE = 16
PAIRS = 128

# How far outside its edges a triangle is still hit, as a share of its size: neighbours leave no gap
# for what float32 rounds off.
EDGE = 2e-5

# Added to a bundle's opening angle (rad), for cosines near 1 are rounded.
SLACK = 2e-3


@flax.struct.dataclass
class Soup:
    """All triangles of a scene, C groups of GROUP.

    Attributes:
        corner: world frame, [C, GROUP] each.
        edge_1: from the first corner to the second, likewise.
        edge_2: from the first corner to the third, likewise.
        centre: world frame, [C] each.
        radius: [C].
        shown: bool [C].
        geom: int32 [C].
        local: float32 [18, C * GROUP], corners and normals in the geom's frame.
    """

    corner: Vector
    edge_1: Vector
    edge_2: Vector
    centre: Vector
    radius: Array
    shown: Array
    geom: Array
    local: Array


def place_triangles(kinds: tuple[GeomKind, ...], scene: Scene) -> Soup | None:
    """The meshes where their geoms are; None where there is none.

    Raises:
        ValueError: not one mesh per geom of that kind.
    """
    geoms = [index for index, kind in enumerate(kinds) if kind == "mesh"]
    if len(geoms) != len(scene.meshes):
        raise ValueError(f"{len(scene.meshes)} meshes for {len(geoms)} geoms of kind mesh")
    if not geoms:
        return None
    geom = np.repeat(geoms, [mesh.radius.shape[0] for mesh in scene.meshes]).astype(np.int32)
    corners, normals, centre = (
        jnp.concatenate([jnp.asarray(leaf) for leaf in leaves])
        for leaves in zip(
            *((mesh.corners, mesh.normals, mesh.centre) for mesh in scene.meshes), strict=True
        )
    )
    position, rows = components(scene.position[geom]), matrix_rows(scene.rotation[geom])
    wide = jax.tree.map(lambda leaf: leaf[:, None], rows)
    a, b, c = (components(corners[:, :, place]) for place in range(3))
    count = geom.size * GROUP
    local = [leaf.reshape(count, 9) for leaf in (corners, normals)]
    return settle(
        Soup(
            corner=add(rotate(wide, a), jax.tree.map(lambda leaf: leaf[:, None], position)),
            edge_1=rotate(wide, subtract(b, a)),
            edge_2=rotate(wide, subtract(c, a)),
            centre=add(rotate(rows, components(centre)), position),
            radius=jnp.concatenate([jnp.asarray(mesh.radius) for mesh in scene.meshes]),
            shown=scene.materials.visible[geom],
            geom=jnp.asarray(geom),
            local=jnp.concatenate(local, axis=1).T,
        )
    )


def meet(
    o: Vector, d: Vector, corner: Vector, edge_1: Vector, edge_2: Vector
) -> tuple[Array, Array]:
    """(t, hit): where the line o + t d meets triangles; t may be negative.

    Args:
        o: origins.
        d: directions.
        corner: of the triangles; all shapes broadcast.
        edge_1: from it.
        edge_2: from it.
    """
    s, n = subtract(o, corner), cross(edge_1, edge_2)
    c, det = cross(s, d), -dot(d, n)
    inverse = 1.0 / jnp.where(det == 0, 1.0, det)
    u, v = dot(edge_2, c) * inverse, -dot(edge_1, c) * inverse
    inside = (u >= -EDGE) & (v >= -EDGE) & (u + v <= 1 + EDGE)
    return dot(s, n) * inverse, inside & (det != 0)


def first_triangle(
    soup: Soup,
    origin: Vector,
    direction: Vector,
    live: Array,
    reach: Array,
    *,
    least: float = 0.0,
) -> tuple[Array, Array]:
    """(t, triangle) per ray: the nearest hit from `least` on; FAR and -1 where there is none.

    Args:
        soup: the triangles.
        origin: world frame, [R] each.
        direction: unit vectors, [R] each.
        live: bool [R]; of other rays nothing is wanted.
        reach: [R], hits beyond it are not wanted either, but may be returned.
        least: m, static.
    """
    rays = origin[0].shape[0]
    spare = -rays % BUNDLE

    def bundled(leaf: Array) -> Array:
        return jnp.pad(leaf, (0, spare)).reshape(-1, BUNDLE)

    origin, direction, live, reach = jax.tree.map(bundled, (origin, direction, live, reach))
    bundles, groups = live.shape[0], soup.radius.shape[0]
    near = jnp.ravel(_near(soup, origin, direction, live, reach))
    place = jnp.cumsum(near.astype(jnp.int32)) - 1
    length = bundles * groups + PAIRS
    listed = (
        jnp.zeros(length, jnp.int32)
        .at[jnp.where(near, place, length)]
        .set(jnp.arange(bundles * groups, dtype=jnp.int32), mode="drop")
    )
    total = place[-1] + 1
    beams = jnp.stack([*origin, *direction], axis=1)
    shapes = jnp.stack([*soup.corner, *soup.edge_1, *soup.edge_2], axis=1)

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        return carry[0] < total

    def turn(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        done, best, winner = carry
        pairs = jax.lax.dynamic_slice(listed, (done,), (PAIRS,))
        bundle, group = pairs // groups, pairs % groups
        # Triangles of the groups [GROUP, PAIRS, 1] against rays of the bundles [PAIRS, BUNDLE].
        beam = jnp.transpose(beams[bundle], (1, 0, 2))
        shape = jnp.transpose(shapes[group], (1, 2, 0))[..., None]
        t, hit = meet(
            (beam[0], beam[1], beam[2]),
            (beam[3], beam[4], beam[5]),
            (shape[0], shape[1], shape[2]),
            (shape[3], shape[4], shape[5]),
            (shape[6], shape[7], shape[8]),
        )
        listed_here = (done + jnp.arange(PAIRS) < total)[:, None]
        t = settle(jnp.where(hit & (t >= least) & listed_here, t, FAR))
        nearest, number = jnp.full_like(t[0], FAR), jnp.full(t[0].shape, -1, jnp.int32)
        for member in range(GROUP):
            closer = t[member] < nearest
            number = jnp.where(closer, group[:, None] * GROUP + member, number)
            nearest = jnp.where(closer, t[member], nearest)
        nearest, number = settle((nearest, number))
        # Several pairs may be of one bundle: the least distance wins, then the largest number. The
        # list has a bundle's groups in their order, so who wins later has a larger number, too.
        closest = best.at[bundle].min(nearest)
        won = (nearest == closest[bundle]) & (nearest < best[bundle])
        return done + PAIRS, closest, winner.at[bundle].max(jnp.where(won, number, -1))

    nothing = jnp.full(live.shape, FAR, jnp.float32), jnp.full(live.shape, -1, jnp.int32)
    _, best, winner = jax.lax.while_loop(unfinished, turn, (jnp.zeros((), jnp.int32), *nothing))
    return jnp.ravel(best)[:rays], jnp.ravel(winner)[:rays]


def _near(soup: Soup, origin: Vector, direction: Vector, live: Array, reach: Array) -> Array:
    """bool [bundles, C]: whether rays of a bundle may meet a group.

    The bundle's live rays start in a ball about their mean and lie within an angle a of their mean
    direction m. A group's ball, widened by the first, is seen at the angle b with sin b = radius /
    distance, and may be met unless it is further than a + b from m.
    """
    count = jnp.sum(live, axis=1).astype(jnp.float32)
    share = jnp.where(live, 1.0, 0.0) / larger(count, jnp.ones_like(count))[:, None]
    x, y, z = (jnp.sum(share * leaf, axis=1) for leaf in origin)
    away = subtract(origin, (x[:, None], y[:, None], z[:, None]))
    spread = jnp.sqrt(jnp.max(jnp.where(live, dot(away, away), 0.0), axis=1))
    mean = tuple(jnp.sum(share * leaf, axis=1) for leaf in direction)
    m = normalise((mean[0], mean[1], mean[2]))
    cosine = dot(direction, (m[0][:, None], m[1][:, None], m[2][:, None]))
    cosine = jnp.min(jnp.where(live, cosine, 1.0), axis=1)
    sine = jnp.sqrt(larger(1 - cosine * cosine, jnp.zeros_like(cosine)))
    # Wider than 80 degrees, a bundle may meet everything.
    wide = cosine < 0.17
    cosine, sine = (
        cosine * np.cos(SLACK) - sine * np.sin(SLACK),
        sine * np.cos(SLACK) + cosine * np.sin(SLACK),
    )
    far = jnp.max(jnp.where(live, reach, -FAR), axis=1)
    settled = settle((x, y, z, spread, m, cosine, sine, wide, far, count))
    x, y, z, spread, m, cosine, sine, wide, far, count = jax.tree.map(
        lambda leaf: leaf[:, None], settled
    )

    to_group = subtract(soup.centre, (x, y, z))
    distance = jnp.sqrt(dot(to_group, to_group))
    radius = soup.radius + spread
    sine_b = radius / larger(distance, radius + 1e-6)
    cosine_b = jnp.sqrt(1 - smaller(sine_b * sine_b, jnp.ones_like(sine_b)))
    ahead = dot(to_group, m) >= (cosine * cosine_b - sine * sine_b) * distance
    met = ahead | (distance <= radius) | wide
    return met & (distance - radius <= far) & (count > 0) & soup.shown


def normals_at(soup: Soup, triangle: Array, p: Vector) -> tuple[Vector, Vector]:
    """(smooth, flat) outward normals at points of triangles in the geom's frame, not normalised.

    Args:
        soup: the triangles.
        triangle: int32 [R]; of -1 something arbitrary is returned.
        p: in the geom's frame, [R] each.
    """
    row = jnp.take(soup.local, triangle, axis=1, mode="clip")
    a, b, c, at_a, at_b, at_c = ((row[i], row[i + 1], row[i + 2]) for i in range(0, 18, 3))
    e1, e2, w = subtract(b, a), subtract(c, a), subtract(p, a)
    n = cross(e1, e2)
    inverse = 1.0 / (dot(n, n) + 1e-30)
    u, v = dot(cross(w, e2), n) * inverse, dot(cross(e1, w), n) * inverse
    smooth = add(scale(1 - u - v, at_a), add(scale(u, at_b), scale(v, at_c)))
    return smooth, n
