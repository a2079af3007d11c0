"""Vectors as three arrays (x, y, z), so that every operation is elementwise over rays.

A trailing axis of length 3 would leave most vector lanes idle on CPU and on TPU. `smaller` and
`larger` are plain selects: XLA's own min and max also carry NaN along, which costs twice as much
on CPU, and no NaN arises here.
"""

import jax.numpy as jnp

from wamjax.core.typing import Array

Vector = tuple[Array, Array, Array]


def components(array: Array) -> Vector:
    """The three entries of the last axis."""
    return array[..., 0], array[..., 1], array[..., 2]


def dot(a: Vector, b: Vector) -> Array:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def add(a: Vector, b: Vector) -> Vector:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def subtract(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def scale(factor: Array | float, a: Vector) -> Vector:
    return factor * a[0], factor * a[1], factor * a[2]


def normalise(a: Vector) -> Vector:
    """a / |a|; zero stays zero."""
    return scale(1.0 / jnp.sqrt(dot(a, a) + 1e-30), a)


def rotate(rows: tuple[Vector, Vector, Vector], a: Vector) -> Vector:
    """R a, with R given by its rows."""
    return dot(rows[0], a), dot(rows[1], a), dot(rows[2], a)


def unrotate(rows: tuple[Vector, Vector, Vector], a: Vector) -> Vector:
    """R^T a, with R given by its rows."""
    x = rows[0][0] * a[0] + rows[1][0] * a[1] + rows[2][0] * a[2]
    y = rows[0][1] * a[0] + rows[1][1] * a[1] + rows[2][1] * a[2]
    z = rows[0][2] * a[0] + rows[1][2] * a[1] + rows[2][2] * a[2]
    return x, y, z


def matrix_rows(matrix: Array) -> tuple[Vector, Vector, Vector]:
    """Rows of [..., 3, 3] as vectors."""
    return (
        components(matrix[..., 0, :]),
        components(matrix[..., 1, :]),
        components(matrix[..., 2, :]),
    )


def smaller(a: Array, b: Array) -> Array:
    return jnp.where(a < b, a, b)


def larger(a: Array, b: Array) -> Array:
    return jnp.where(a > b, a, b)
