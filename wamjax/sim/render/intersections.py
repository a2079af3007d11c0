"""Where a ray o + t d meets a primitive, in the primitive's own frame.

A closed convex primitive is met on an interval [near, far] of t (empty where near > far): the
intersection of slabs (box), of a slab and a round tube (cylinder), or the hull of two balls
(capsule). Discriminants use the moment |o x d| instead of (o.d)^2 - (o.o)(d.d), which cancels in
float32 for small things far away (Haines et al., Ray Tracing Gems, 2019, chapter 7).

`d` need not have unit length; t is in units of |d|. o or d may be scalars, one per geom.
"""

from typing import assert_never

import jax.numpy as jnp

from wamjax.core.typing import Array
from wamjax.sim.render.scene import GeomKind
from wamjax.sim.render.vector import Vector, dot, larger, smaller

FAR = 1e10
TINY = 1e-9


def interval(kind: GeomKind, o: Vector, d: Vector, size: Vector) -> tuple[Array, Array]:
    """(near, far) of the line through the solid; near > far where the line misses it.

    Args:
        kind: a closed solid, so not "plane".
        o: origin, local frame.
        d: direction, local frame.
        size: MuJoCo's half sizes, scalars.
    """
    match kind:
        case "box":
            return _box(o, d, size)
        case "sphere":
            return _ball(o, d, size[0])
        case "ellipsoid":
            stretch = tuple(1.0 / s for s in size)
            shrunk_o = (o[0] * stretch[0], o[1] * stretch[1], o[2] * stretch[2])
            shrunk_d = (d[0] * stretch[0], d[1] * stretch[1], d[2] * stretch[2])
            return _ball(shrunk_o, shrunk_d, jnp.float32(1.0))
        case "capsule":
            return _capsule(o, d, size[0], size[1])
        case "cylinder":
            return _cylinder(o, d, size[0], size[1])
        case "plane":
            raise ValueError("a plane is no solid; use plane_distance")
        case _:
            assert_never(kind)


def plane_distance(o: Vector, d: Vector, size: Vector) -> Array:
    """t of the first meeting with the upper side of the rectangle; FAR if there is none."""
    t = -o[2] / jnp.where(d[2] < -TINY, d[2], -1.0)
    inside = (jnp.abs(o[0] + t * d[0]) <= jnp.where(size[0] > 0, size[0], FAR)) & (
        jnp.abs(o[1] + t * d[1]) <= jnp.where(size[1] > 0, size[1], FAR)
    )
    return jnp.where((d[2] < -TINY) & (t >= 0) & inside, t, FAR)


def _slab(o: Array, d: Array, half: Array) -> tuple[Array, Array]:
    """Interval of |o + t d| <= half along one axis."""
    inverse = 1.0 / jnp.where(jnp.abs(d) > TINY, d, TINY)
    centre, reach = -o * inverse, half * jnp.abs(inverse)
    return centre - reach, centre + reach


def _box(o: Vector, d: Vector, size: Vector) -> tuple[Array, Array]:
    (x0, x1), (y0, y1), (z0, z1) = (_slab(o[i], d[i], size[i]) for i in range(3))
    return larger(larger(x0, y0), z0), smaller(smaller(x1, y1), z1)


def _ball(o: Vector, d: Vector, radius: Array) -> tuple[Array, Array]:
    a = dot(d, d)
    middle = -dot(o, d) / a
    p = (o[0] + middle * d[0], o[1] + middle * d[1], o[2] + middle * d[2])
    inside = radius * radius - dot(p, p)
    reach = jnp.sqrt(larger(inside, jnp.zeros_like(inside)) / a)
    return jnp.where(inside >= 0, middle - reach, FAR), middle + reach


def _tube(o: Vector, d: Vector, radius: Array) -> tuple[Array, Array, Array]:
    """(near, far, hit) of the infinite round tube along z."""
    a = larger(d[0] * d[0] + d[1] * d[1], jnp.float32(1e-14))
    moment = o[0] * d[1] - o[1] * d[0]
    inside = radius * radius * a - moment * moment
    inverse = 1.0 / a
    middle = -(o[0] * d[0] + o[1] * d[1]) * inverse
    reach = jnp.sqrt(larger(inside, jnp.zeros_like(inside))) * inverse
    return middle - reach, middle + reach, inside >= 0


def _cylinder(o: Vector, d: Vector, radius: Array, half: Array) -> tuple[Array, Array]:
    t0, t1, hit = _tube(o, d, radius)
    z0, z1 = _slab(o[2], d[2], half)
    return jnp.where(hit, larger(t0, z0), FAR), smaller(t1, z1)


def _capsule(o: Vector, d: Vector, radius: Array, half: Array) -> tuple[Array, Array]:
    """Enter (leave) through the tube's wall, or else through the ball at the end beyond it."""
    t0, t1, hit = _tube(o, d, radius)
    enter, leave = o[2] + t0 * d[2], o[2] + t1 * d[2]
    near_ball, _ = _ball((o[0], o[1], o[2] - jnp.where(enter > 0, half, -half)), d, radius)
    _, far_ball = _ball((o[0], o[1], o[2] - jnp.where(leave > 0, half, -half)), d, radius)
    near = jnp.where(jnp.abs(enter) <= half, t0, near_ball)
    far = jnp.where(jnp.abs(leave) <= half, t1, far_ball)
    return jnp.where(hit, near, FAR), far
