"""A picture of one world from one camera; `jax.vmap` draws many worlds or cameras at once."""

import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Float, UInt8, typed
from wamjax.sim.render.camera import pixel_rays
from wamjax.sim.render.scene import Camera, GeomKind, Image, Scene, kind_names
from wamjax.sim.render.shading import Hits, shade
from wamjax.sim.render.stages import settle
from wamjax.sim.render.trace import first_hit
from wamjax.sim.render.triangles import place_triangles

SQUARE = 4


def render(
    kinds: tuple[GeomKind | int, ...],
    scene: Scene,
    camera: Camera,
    height: int,
    width: int,
    *,
    shadows: int = 1,
    casters: tuple[int, ...] | None = None,
    supersample: int = 1,
) -> Image:
    """What the camera sees.

    Args:
        kinds: the kind of each geom by name or `mjtGeom` number, static.
        scene: one world, traced.
        camera: traced.
        height: H pixels, static.
        width: W pixels, static.
        shadows: the first `shadows` lights cast hard shadows where their `shadow` flag is set (True
            is 1, False is 0), static. Each costs about as much as the picture without shadows.
        casters: indices of the geoms that cast shadows, static; by default all but planes, which
            never do.
        supersample: rays per pixel along each axis, static; colours are averaged, depth and geom
            are those of the ray at (or just right below) the pixel's centre.

    Returns:
        rgb in 0..1, depth along the optical axis (m, 0 for nothing), geom (-1 for nothing).

    Raises:
        ValueError: a kind that cannot be drawn, not one kind per geom, or not one mesh per geom of
            that kind.
    """
    names = kind_names(kinds)
    if len(names) != scene.position.shape[0]:
        raise ValueError(f"{len(names)} kinds for {scene.position.shape[0]} geoms")
    casting = tuple(range(len(names))) if casters is None else casters
    casting = tuple(index for index in casting if names[index] != "plane")

    rows, columns = height * supersample, width * supersample
    origin = camera.position
    soup = place_triangles(names, scene)
    direction, cosine = pixel_rays(camera, rows, columns)
    # Neighbours in the order of rays are met together with triangles: squares beat strips.
    square = SQUARE if soup is not None and rows % SQUARE == columns % SQUARE == 0 else 1
    to_squares = (rows // square, square, columns // square, square)
    from_squares = (rows // square, columns // square, square, square)
    if square > 1:
        direction, cosine = jax.tree.map(
            lambda leaf: leaf.reshape(to_squares).swapaxes(1, 2).ravel(), (direction, cosine)
        )
    direction, cosine = settle((direction, cosine))
    distance, geom, triangle = first_hit(names, scene, soup, origin, direction)
    pixel_width = 2 * jnp.tan(jnp.deg2rad(camera.fovy) / 2) / rows
    hits = Hits(distance=distance, geom=geom, triangle=triangle)
    rgb = shade(names, casting, int(shadows), scene, soup, origin, direction, hits, pixel_width)
    depth = jnp.where(geom >= 0, distance * cosine, 0.0)
    if square > 1:
        rgb, depth, geom = (
            leaf.reshape(*from_squares, *leaf.shape[1:])
            .swapaxes(1, 2)
            .reshape(rows * columns, *leaf.shape[1:])
            for leaf in (rgb, depth, geom)
        )
    if supersample == 1:
        rgb, depth, geom = (a.reshape(height, width, *a.shape[1:]) for a in (rgb, depth, geom))
        return Image(rgb=rgb, depth=depth, geom=geom)
    grid = (height, supersample, width, supersample)
    middle = supersample // 2
    return Image(
        rgb=rgb.reshape(*grid, 3).mean(axis=(1, 3)),
        depth=depth.reshape(grid)[:, middle, :, middle],
        geom=geom.reshape(grid)[:, middle, :, middle],
    )


@typed
def to_uint8(rgb: Float[Array, "*N"]) -> UInt8[Array, "*N"]:
    """0..1 to 0..255, rounded; values outside are clipped."""
    return jnp.round(jnp.clip(rgb, 0.0, 1.0) * 255.0).astype(jnp.uint8)
