"""Rotations in the forms of `wamjax.data.cards.rotations`, in JAX: to quaternions and back.

Quaternions are (w, x, y, z). Where several numbers mean one rotation, the same come out as there:
the quaternion with the positive scalar, the shorter rotation vector, yaw 0 at a pitch of +-pi/2.
Numbers that are no rotation give some rotation, never a NaN.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from wamjax.core.typing import Array
from wamjax.data.cards.rotations import Form
from wamjax.sim import rotations

SMALLEST = 1e-12
LOCKED = 3e-4
"""Cosine of the pitch below which float32 cannot tell roll and yaw apart."""


class Way(NamedTuple):
    """Numbers [..., width of the form] -> quaternion [..., 4], and back."""

    read: Callable[[Array], Array]
    write: Callable[[Array], Array]


def _unit(vectors: Array) -> Array:
    return vectors / jnp.sqrt(jnp.sum(vectors**2, axis=-1, keepdims=True) + SMALLEST)


def _positive(q: Array) -> Array:
    return jnp.where(q[..., :1] < 0, -q, q)


def _write_euler(q: Array) -> Array:
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    up, across = 1 - 2 * (x * x + y * y), 2 * (w * x + y * z)
    level = jnp.sqrt(up * up + across * across)  # the pitch's cosine; arcsin is blunt at its limits
    pitch = jnp.arctan2(2 * (w * y - z * x), level)
    yaw = jnp.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    whole = 2 * jnp.arctan2(x, w)
    whole = (whole + jnp.pi) % (2 * jnp.pi) - jnp.pi
    locked = level < LOCKED
    roll = jnp.where(locked, whole, jnp.arctan2(across, up))
    return jnp.stack([roll, pitch, jnp.where(locked, 0.0, yaw)], axis=-1)


def _read_matrix(rows: Array) -> Array:
    """The quaternion of R, from the largest of its four components (Shepperd 1978)."""
    m = rows.reshape(*rows.shape[:-1], 3, 3)
    a, b, c = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    x, y, z = (
        m[..., 2, 1] - m[..., 1, 2],
        m[..., 0, 2] - m[..., 2, 0],
        m[..., 1, 0] - m[..., 0, 1],
    )
    xy, xz, yz = (
        m[..., 0, 1] + m[..., 1, 0],
        m[..., 0, 2] + m[..., 2, 0],
        m[..., 1, 2] + m[..., 2, 1],
    )
    # Each row is the quaternion times four of its components: that of w, x, y, z.
    whole = jnp.stack(
        [
            jnp.stack([1 + a + b + c, x, y, z], axis=-1),
            jnp.stack([x, 1 + a - b - c, xy, xz], axis=-1),
            jnp.stack([y, xy, 1 - a + b - c, yz], axis=-1),
            jnp.stack([z, xz, yz, 1 - a - b + c], axis=-1),
        ],
        axis=-2,
    )
    largest = jnp.argmax(jnp.diagonal(whole, axis1=-2, axis2=-1), axis=-1)
    return _unit(jnp.take_along_axis(whole, largest[..., None, None], axis=-2)[..., 0, :])


def _read_six_d(columns: Array) -> Array:
    first, second = columns[..., :3], columns[..., 3:]
    x = _unit(first)
    y = _unit(second - jnp.sum(x * second, axis=-1, keepdims=True) * x)
    return _read_matrix(jnp.stack([x, y, jnp.cross(x, y)], axis=-1).reshape(*x.shape[:-1], 9))


def _write_six_d(q: Array) -> Array:
    m = rotations.to_matrix(q)
    return jnp.concatenate([m[..., 0], m[..., 1]], axis=-1)


def _write_matrix(q: Array) -> Array:
    return rotations.to_matrix(q).reshape(*q.shape[:-1], 9)


WAYS: dict[Form, Way] = {
    "euler": Way(rotations.from_roll_pitch_yaw, _write_euler),
    "quaternion_xyzw": Way(
        lambda x: _unit(jnp.roll(x, 1, axis=-1)), lambda q: jnp.roll(_positive(q), -1, axis=-1)
    ),
    "quaternion_wxyz": Way(_unit, _positive),
    "axis_angle": Way(rotations.from_vector, rotations.to_vector),
    "six_d": Way(_read_six_d, _write_six_d),
    "matrix": Way(_read_matrix, _write_matrix),
}
