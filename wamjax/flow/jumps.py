"""Velocities that are told how far they will be followed, and sampling with them.

    x(sigma - d) = x(sigma) - d u(x, sigma, d)          0 <= d <= sigma

u is the mean velocity over the jump; for d = 0 it is the velocity itself. flow.shortcut and
flow.mean_flow train it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Float

# (x [B, ...], sigma [B], step [B]) -> [B, ...]
JumpVelocity = Callable[[Array, Array, Array], Array]


def follow(slope: Array, x: Array, step: Array) -> Array:
    """x(sigma - step), along a mean velocity; one step per sample."""
    return x - step.reshape(-1, *[1] * (x.ndim - 1)) * slope


def sample_jumps(
    velocity: JumpVelocity, noise: Float[Array, "B *data"], steps: int
) -> Float[Array, "B *data"]:
    """From noise to data in `steps` equal jumps, with one evaluation each."""
    step = jnp.full(noise.shape[0], 1 / steps)

    def walk(x: Array, done: Array) -> tuple[Array, None]:
        sigma = 1 - done * step
        return follow(velocity(x, sigma, step), x, step), None

    return jax.lax.scan(walk, noise, jnp.arange(steps, dtype=jnp.float32))[0]
