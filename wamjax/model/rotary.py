"""Rotary positions over (time, row, column).

The pairs of a head are dealt to the three axes; a pair with frequency w turns by w * position:

    (a, b) -> (a cos - b sin, a sin + b cos),        w_i = base ** (-i / pairs of the axis)

Half-split layout, as in arXiv 2104.09864 section 3.4.2 (the pair of i is i + head_dim / 2).
"""

import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import AnyArray, Array, Float, typed


def axis_pairs(head_dim: int) -> tuple[int, int, int]:
    """Pairs dealt to time, row and column: a third each, the rest to time.

    Raises:
        ValueError: `head_dim` is odd or below 6.
    """
    if head_dim % 2 or head_dim < 6:
        raise ValueError(f"head_dim must be even and at least 6, got {head_dim}")
    third = head_dim // 6
    return head_dim // 2 - 2 * third, third, third


def rotary_angles(position: np.ndarray, head_dim: int, base: float) -> np.ndarray:
    """Angles float32 [N, head_dim / 2] for positions [N, 3]."""
    angles = []
    for axis, pairs in enumerate(axis_pairs(head_dim)):
        frequency = base ** (-np.arange(pairs) / pairs)
        angles.append(position[:, axis : axis + 1] * frequency)
    return np.concatenate(angles, axis=-1).astype(np.float32)


@typed
def rotate(
    x: Float[Array, "B N heads head_dim"], angles: Float[AnyArray, "N half"]
) -> Float[Array, "B N heads head_dim"]:
    """Turn queries or keys to their positions."""
    cosine = jnp.cos(jnp.asarray(angles))[None, :, None, :].astype(x.dtype)
    sine = jnp.sin(jnp.asarray(angles))[None, :, None, :].astype(x.dtype)
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * cosine - b * sine, a * sine + b * cosine], axis=-1)
