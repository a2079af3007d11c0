"""Rays of a pinhole camera through the centres of its pixels, row by row from the top left.

Camera frame: x right, y up, looking along -z (MuJoCo, OpenGL); the ray of pixel (row, column) is
(W/H tan(f/2) (2 (column + 1/2)/W - 1), tan(f/2) (1 - 2 (row + 1/2)/H), -1).
"""

import jax.numpy as jnp

from wamjax.core.typing import Array
from wamjax.sim.render.scene import Camera
from wamjax.sim.render.vector import Vector, matrix_rows, rotate, scale


def pixel_rays(camera: Camera, height: int, width: int) -> tuple[Vector, Array]:
    """(unit directions in the world frame, cosine to the optical axis), each [height * width]."""
    top = jnp.tan(jnp.deg2rad(camera.fovy) / 2)
    index = jnp.arange(height * width, dtype=jnp.int32)
    row, column = (index // width).astype(jnp.float32), (index % width).astype(jnp.float32)
    x = top * (width / height) * ((2 * column + 1) / width - 1)
    y = top * (1 - (2 * row + 1) / height)
    cosine = 1.0 / jnp.sqrt(x * x + y * y + 1)
    direction = rotate(matrix_rows(camera.rotation), scale(cosine, (x, y, -jnp.ones_like(x))))
    return direction, cosine


def look_at(position: Array, target: Array, fovy: Array | float) -> Camera:
    """A camera at `position` that looks at `target`, with world z up in the picture.

    Args:
        position: float32 [3].
        target: float32 [3], not straight above or below `position`.
        fovy: full vertical field of view in degrees.
    """
    position, target = jnp.asarray(position, jnp.float32), jnp.asarray(target, jnp.float32)
    back = position - target
    back = back / jnp.linalg.norm(back)
    right = jnp.cross(jnp.array([0.0, 0.0, 1.0]), back)
    right = right / jnp.linalg.norm(right)
    rotation = jnp.stack([right, jnp.cross(back, right), back], axis=1)
    return Camera(position=position, rotation=rotation, fovy=jnp.asarray(fovy, jnp.float32))
