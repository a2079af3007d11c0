"""Numbers as a latent frame: repeated until it is full, and read as the mean of the copies.

    painted(a)[i] = a[i mod n]          read(frame)[j] = mean of frame[i] over i mod n = j

Cosmos-Policy (arXiv 2601.16163) puts actions, states and values between frames like that.
"""

import jax.numpy as jnp

from wamjax.core.typing import Array, Float, typed


@typed
def painted(values: Float[Array, "B n"], shape: tuple[int, int, int]) -> Float[Array, "B h w c"]:
    """Numbers as a latent frame (h, w, c): repeated until it is full."""
    size = shape[0] * shape[1] * shape[2]
    repeats = -(-size // values.shape[1])
    return jnp.tile(values, (1, repeats))[:, :size].reshape(-1, *shape)


@typed
def read(frame: Float[Array, "B h w c"], count: int) -> Float[Array, "B {count}"]:
    """The inverse of `painted`: the mean of all copies of each of `count` numbers."""
    flat = frame.reshape(frame.shape[0], -1)
    repeats = -(-flat.shape[1] // count)
    padding = ((0, 0), (0, repeats * count - flat.shape[1]))
    copies = jnp.pad(flat, padding).reshape(flat.shape[0], repeats, count)
    real = jnp.pad(jnp.ones_like(flat), padding).reshape(copies.shape)
    return copies.sum(axis=1) / real.sum(axis=1)
