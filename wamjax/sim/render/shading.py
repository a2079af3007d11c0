"""Colour of the visible points: ambient + Lambert + Blinn-Phong, with hard shadows.

    rgb = albedo (ambient + sum_l seen_l diffuse_l max(n.l, 0))
          + specular sum_l seen_l specular_l max(n.h, 0)^shininess,    h = (l - d) / |l - d|

(Blinn, SIGGRAPH 1977.) seen_l is 0 or 1, for a spot cos(angle to its axis)^exponent instead of 1.
What a pixel needs to know about its geom is fetched for the winner only. On a mesh, n is the mean
of the normals at the triangle's corners by where the point lies between them (Phong, 1975).
"""

import flax.struct
import jax
import jax.numpy as jnp

from wamjax.core.typing import Array
from wamjax.sim.render.scene import (
    DIRECTIONAL,
    GEOM_KINDS,
    PRIMITIVES,
    SPOT,
    GeomKind,
    Lights,
    Scene,
)
from wamjax.sim.render.stages import settle
from wamjax.sim.render.textures import darkness
from wamjax.sim.render.trace import occluded
from wamjax.sim.render.triangles import Soup, normals_at
from wamjax.sim.render.vector import (
    Vector,
    add,
    components,
    dot,
    larger,
    normalise,
    rotate,
    scale,
    subtract,
    unrotate,
)


@flax.struct.dataclass
class Hits:
    """What R rays hit first.

    Attributes:
        distance: float32 [R], m.
        geom: int32 [R], -1 for nothing.
        triangle: int32 [R], -1 for none; None in a scene without meshes.
    """

    distance: Array
    geom: Array
    triangle: Array | None


def surface_table(kinds: tuple[GeomKind, ...], scene: Scene) -> Array:
    """[26, G]: position 3, rotation 9, size 3, rgb 3, texture 4, family, specular, shininess, kind.

    In this order, stacked over G."""
    materials = scene.materials
    count = len(kinds)
    kind = jnp.array([GEOM_KINDS.index(kind) for kind in kinds], jnp.float32)
    columns = [
        scene.position,
        scene.rotation.reshape(count, 9),
        scene.size,
        materials.rgb,
        materials.texture,
        materials.family.astype(jnp.float32)[:, None],
        materials.specular[:, None],
        materials.shininess[:, None],
        kind[:, None],
    ]
    return jnp.concatenate(columns, axis=1).T


def of_winner(table: Array, geom: Array) -> Array:
    """table[:, geom] as [rows, rays]; arbitrary where geom is -1.

    A gather is cheap on CPU and slow on accelerators, where a product with the one-hot geom, exact
    at the highest precision, does the same.
    """
    return jax.lax.platform_dependent(table, geom, cpu=gathered, default=contracted)


def gathered(table: Array, geom: Array) -> Array:
    return jnp.take(table, geom, axis=1, mode="clip")


def contracted(table: Array, geom: Array) -> Array:
    chosen = geom[None, :] == jnp.arange(table.shape[1], dtype=jnp.int32)[:, None]
    return jnp.dot(table, chosen.astype(jnp.float32), precision=jax.lax.Precision.HIGHEST)


def local_normal(kind: Array, p: Vector, size: Vector) -> Vector:
    """Outward direction at the surface point p of the local frame, not normalised.

    Args:
        kind: index into PRIMITIVES, as a float.
        p: surface point.
        size: half sizes.
    """
    is_kind = {name: kind == index for index, name in enumerate(PRIMITIVES)}
    ax, ay, az = jnp.abs(p[0]) - size[0], jnp.abs(p[1]) - size[1], jnp.abs(p[2]) - size[2]
    on_x, on_y = (ax >= ay) & (ax >= az), (ay > ax) & (ay >= az)
    sign = tuple(jnp.where(c < 0, -1.0, 1.0) for c in p)
    box = (
        jnp.where(on_x, sign[0], 0.0),
        jnp.where(on_y, sign[1], 0.0),
        jnp.where(on_x | on_y, 0.0, sign[2]),
    )
    radius, half = size[0], size[1]
    over = jnp.abs(p[2]) - half
    on_lid = over > jnp.sqrt(p[0] * p[0] + p[1] * p[1]) - radius
    middle = jnp.where(is_kind["capsule"], jnp.clip(p[2], -half, half), 0.0)
    middle = jnp.where(is_kind["cylinder"], p[2], middle)
    flat = (is_kind["cylinder"] & on_lid) | is_kind["plane"]
    squash = tuple(jnp.where(is_kind["ellipsoid"], 1.0 / (s * s + 1e-12), 1.0) for s in size)
    curved = (
        jnp.where(flat, 0.0, p[0] * squash[0]),
        jnp.where(flat, 0.0, p[1] * squash[1]),
        jnp.where(flat, jnp.where(is_kind["plane"], 1.0, sign[2]), (p[2] - middle) * squash[2]),
    )
    x, y, z = (jnp.where(is_kind["box"], b, c) for b, c in zip(box, curved, strict=True))
    return x, y, z


def shade(
    kinds: tuple[GeomKind, ...],
    casters: tuple[int, ...],
    shadow_lights: int,
    scene: Scene,
    soup: Soup | None,
    origin: Array,
    direction: Vector,
    hits: Hits,
    pixel_width: Array,
) -> Array:
    """rgb in 0..1, [R, 3].

    Args:
        kinds: the kind of each geom, static.
        casters: indices of the solids that cast shadows, static.
        shadow_lights: how many of the leading lights may cast shadows, static.
        scene: geoms, materials and lights.
        soup: its triangles, None without meshes.
        origin: the eye, [3].
        direction: unit rays.
        hits: where they end.
        pixel_width: width of a pixel at one metre (m).
    """
    distance, geom = hits.distance, hits.geom
    row = settle(of_winner(surface_table(kinds, scene), geom))
    centre, size, rgb = (row[0], row[1], row[2]), (row[12], row[13], row[14]), row[15:18]
    rows = ((row[3], row[4], row[5]), (row[6], row[7], row[8]), (row[9], row[10], row[11]))
    cycles, contrast, phase, warp = row[18], row[19], row[20], row[21]
    family, specular, shininess, kind = row[22], row[23], row[24], row[25]

    hit = geom >= 0
    point = add(components(origin), scale(jnp.where(hit, distance, 0.0), direction))
    p = unrotate(rows, subtract(point, centre))
    point, p, local = settle((point, p, local_normal(kind, p, size)))
    flat = None
    if soup is not None and hits.triangle is not None:
        local, flat = settle(_on_mesh(soup, hits.triangle, p, local))
    normal = settle(normalise(rotate(rows, local)))
    facing = dot(normal, direction)
    # Which side is seen is the flat surface's to say: a smooth normal may look away at an outline.
    back = facing > 0 if flat is None else dot(rotate(rows, flat), direction) > 0
    normal = scale(jnp.where(back, -1.0, 1.0), normal)

    ax, ay, az = jnp.abs(local[0]), jnp.abs(local[1]), jnp.abs(local[2])
    on_z = (az >= ax) & (az >= ay)
    u = cycles * jnp.where(on_z | (ay > ax), p[0], p[1])
    v = cycles * jnp.where(on_z, p[1], p[2])
    footprint = cycles * pixel_width * distance / larger(jnp.abs(facing), jnp.full_like(u, 0.1))
    normal, u, v, footprint = settle((normal, u, v, footprint))
    tone = settle(1.0 - contrast * darkness(family, u, v, phase, warp, footprint))

    lights = scene.lights
    diffuse = scene.ambient[:, None]
    shine = jnp.zeros_like(rgb)
    for index in range(lights.kind.shape[0]):
        towards, reach, strength = _arriving(lights, index, point)
        towards, reach, strength = settle((towards, reach, strength))
        cosine = dot(normal, towards)
        seen = (cosine > 0) & lights.active[index]
        if index < shadow_lights and casters:
            live = seen & hit & lights.shadow[index]
            dark = occluded(kinds, casters, scene, soup, point, towards, reach, live)
            seen = seen & ~(dark & lights.shadow[index])
        half = settle(normalise(subtract(towards, direction)))
        glint = larger(dot(normal, half), jnp.full_like(cosine, 1e-6))
        gloss = strength * specular * jnp.exp(shininess * jnp.log(glint))
        lit, gloss = settle((jnp.where(seen, strength * cosine, 0.0), jnp.where(seen, gloss, 0.0)))
        diffuse = diffuse + lights.diffuse[index][:, None] * lit
        shine = shine + lights.specular[index][:, None] * gloss
    drawn = jnp.where(hit, rgb * tone * diffuse + shine, scene.background[:, None])
    return jnp.clip(drawn, 0.0, 1.0).T


def _on_mesh(soup: Soup, triangle: Array, p: Vector, local: Vector) -> tuple[Vector, Vector]:
    """(smooth, flat) normals in the geom's frame; `local` for both where no triangle is."""
    smooth, flat = normals_at(soup, triangle, p)

    def where(found: Vector) -> Vector:
        x, y, z = (jnp.where(triangle >= 0, a, b) for a, b in zip(found, local, strict=True))
        return x, y, z

    return where(smooth), where(flat)


def _arriving(lights: Lights, index: int, point: Vector) -> tuple[Vector, Array, Array]:
    """(unit vector to the light, its distance, the share of its light sent this way) per point."""
    kind, axis = lights.kind[index], components(lights.direction[index])
    to_light = subtract(components(lights.position[index]), point)
    is_sun = kind == DIRECTIONAL
    reach = jnp.where(is_sun, jnp.inf, jnp.sqrt(dot(to_light, to_light)))
    x, y, z = (jnp.where(is_sun, -b, a) for a, b in zip(to_light, axis, strict=True))
    towards = normalise((x, y, z))
    if lights.cutoff is None or lights.exponent is None:
        return towards, reach, jnp.ones_like(reach)
    cosine = -dot(normalise(axis), towards)
    inside = cosine > jnp.cos(jnp.deg2rad(lights.cutoff[index]))
    cone = jnp.exp(lights.exponent[index] * jnp.log(larger(cosine, jnp.full_like(cosine, 1e-6))))
    return towards, reach, jnp.where(kind == SPOT, jnp.where(inside, cone, 0.0), 1.0)
