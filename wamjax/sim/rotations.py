"""Rotations: quaternions (w, x, y, z), matrices, rotation vectors, roll-pitch-yaw.

A pose's orientation R maps vectors of the body's frame to the base frame. A rotation vector r
(axis times angle, rad) given in the base frame turns it into exp(r) R, the convention of Open
X-Embodiment's end-effector deltas. Roll, pitch, yaw (a, b, c) mean R = Rz(c) Ry(b) Rx(a).
"""

import jax.numpy as jnp

from wamjax.core.typing import Array, Float, typed


@typed
def multiply(p: Float[Array, "*n 4"], q: Float[Array, "*n 4"]) -> Float[Array, "*n 4"]:
    """The quaternion of "first q, then p"."""
    pw, pv = p[..., :1], p[..., 1:]
    qw, qv = q[..., :1], q[..., 1:]
    scalar = pw * qw - jnp.sum(pv * qv, axis=-1, keepdims=True)
    return jnp.concatenate([scalar, pw * qv + qw * pv + jnp.cross(pv, qv)], axis=-1)


@typed
def conjugate(q: Float[Array, "*n 4"]) -> Float[Array, "*n 4"]:
    """The inverse rotation of a unit quaternion."""
    return q * jnp.array([1.0, -1.0, -1.0, -1.0])


@typed
def from_vector(r: Float[Array, "*n 3"]) -> Float[Array, "*n 4"]:
    """exp(r) as a unit quaternion; smooth at zero."""
    half = 0.5 * jnp.sqrt(jnp.sum(r * r, axis=-1, keepdims=True) + 1e-20)
    return jnp.concatenate([jnp.cos(half), 0.5 * r * jnp.sinc(half / jnp.pi)], axis=-1)


@typed
def to_vector(q: Float[Array, "*n 4"]) -> Float[Array, "*n 3"]:
    """The rotation vector of the shorter way, |r| <= pi."""
    q = jnp.where(q[..., :1] < 0, -q, q)
    norm = jnp.sqrt(jnp.sum(q[..., 1:] ** 2, axis=-1, keepdims=True) + 1e-20)
    return q[..., 1:] * (2 * jnp.arctan2(norm, q[..., :1]) / norm)


@typed
def to_matrix(q: Float[Array, "*n 4"]) -> Float[Array, "*n 3 3"]:
    """The rotation matrix of a unit quaternion."""
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


@typed
def to_roll_pitch_yaw(q: Float[Array, "*n 4"]) -> Float[Array, "*n 3"]:
    """Roll in (-pi, pi], pitch in [-pi/2, pi/2], yaw in (-pi, pi]."""
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    roll = jnp.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = jnp.arcsin(jnp.clip(2 * (w * y - z * x), -1.0, 1.0))
    yaw = jnp.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return jnp.stack([roll, pitch, yaw], axis=-1)


@typed
def from_roll_pitch_yaw(angles: Float[Array, "*n 3"]) -> Float[Array, "*n 4"]:
    """The inverse of `to_roll_pitch_yaw`."""
    half = 0.5 * angles
    zero = jnp.zeros_like(half[..., 0])
    cosine, sine = jnp.cos(half), jnp.sin(half)
    roll = jnp.stack([cosine[..., 0], sine[..., 0], zero, zero], axis=-1)
    pitch = jnp.stack([cosine[..., 1], zero, sine[..., 1], zero], axis=-1)
    yaw = jnp.stack([cosine[..., 2], zero, zero, sine[..., 2]], axis=-1)
    return multiply(yaw, multiply(pitch, roll))


@typed
def rotate(q: Float[Array, "*n 4"], v: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """The vector v turned by the unit quaternion q."""
    t = 2 * jnp.cross(q[..., 1:], v)
    return v + q[..., :1] * t + jnp.cross(q[..., 1:], t)


@typed
def about_z(angle: Float[Array, "*n"]) -> Float[Array, "*n 4"]:
    """The quaternion of a turn about the vertical."""
    zero = jnp.zeros_like(angle)
    return jnp.stack([jnp.cos(angle / 2), zero, zero, jnp.sin(angle / 2)], axis=-1)
