"""Rotary positions over (time, row, column).

The pairs of a head are dealt to the three axes; a pair with frequency w turns by w * position:

    (a, b) -> (a cos - b sin, a sin + b cos),        w_i = base ** (-i / pairs of the axis)

The pair of i is i + head_dim / 2 (half-split, arXiv 2104.09864 section 3.4.2), or its neighbour
(Wan, LTX). An axis that is stretched by r has the base  base * r ** (d / (d - 2))  with d twice its
pairs (NTK-aware scaling, as Cosmos-Predict2 does). On a "line" only time turns, over all pairs; so
does a "count", in the place of time, of the real tokens that stand before.

On a canvas of size s (LTX-Video, arXiv 2501.00103) the axes take turns pair by pair, n = D // 6
times over the width D of all heads; what is left stands first and does not turn. A line there runs
through the middle, where rows and columns do not turn, or, where a longest line is given, is a
canvas of time alone (n = D // 2):

    angle of the i-th pair of an axis = (2 position / s - 1) pi / 2 base ** (i / (n - 1))

Angles have an axis for heads, of size 1 where all turn alike.
"""

import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import AnyArray, Array, Bool, Float, typed
from wamjax.model.config import Positions, Rotary


def axis_pairs(head_dim: int) -> tuple[int, int, int]:
    """Pairs dealt to time, row and column: a third each, the rest to time.

    Raises:
        ValueError: `head_dim` is odd or below 6.
    """
    if head_dim % 2 or head_dim < 6:
        raise ValueError(f"head_dim must be even and at least 6, got {head_dim}")
    third = head_dim // 6
    return head_dim // 2 - 2 * third, third, third


def _dealt(rotary: Rotary, head_dim: int, kind: Positions) -> tuple[int, int, int]:
    if kind in ("line", "count"):
        return head_dim // 2, 0, 0
    pairs = rotary.pairs or axis_pairs(head_dim)
    if sum(pairs) != head_dim // 2:
        raise ValueError(f"rotary pairs {pairs} do not add up to head_dim / 2 = {head_dim // 2}")
    return pairs


def rotary_angles(
    position: np.ndarray, head_dim: int, rotary: Rotary, kind: Positions = "grid", heads: int = 1
) -> np.ndarray:
    """Angles float32 for positions [N, 3]; zero where `kind` is "none".

    Returns:
        [N, 1, head_dim / 2], or on a canvas [N, heads, head_dim / 2], as for all positions of a
        stack with a longest line. A count is not known before there are tokens: see
        `counted_angles`.

    Raises:
        ValueError: pairs that do not add up to half of `head_dim`.
    """
    wide = (len(position), heads, head_dim // 2)
    if kind == "none":
        each = heads if rotary.canvas or rotary.line else 1
        return np.zeros((len(position), each, head_dim // 2), np.float32)
    if rotary.line and kind == "line":
        size, width = (rotary.line,), heads * head_dim
        return _on_canvas(position[:, :1], width, size, rotary.base).reshape(wide)
    if rotary.canvas:
        if kind == "line":
            _, row, column = rotary.canvas
            position = position * np.array([1, 0, 0]) + np.array([0, row / 2, column / 2])
        angles = _on_canvas(position, heads * head_dim, rotary.canvas, rotary.base)
        return angles.reshape(wide)
    angles = []
    for axis, pairs in enumerate(_dealt(rotary, head_dim, kind)):
        stretch = rotary.stretch[axis]
        base = rotary.base * (stretch ** (pairs / (pairs - 1)) if stretch != 1 else 1.0)
        frequency = base ** (-np.arange(pairs) / max(pairs, 1))
        angles.append(position[:, axis : axis + 1].astype(np.float64) * frequency)
    found = np.concatenate(angles, axis=-1).astype(np.float32)[:, None]
    return np.broadcast_to(found, wide) if rotary.line else found


def _on_canvas(
    position: np.ndarray, width: int, canvas: tuple[float, ...], base: float
) -> np.ndarray:
    """Angles [N, width / 2] of positions [N, k] on a canvas of k sizes."""
    single = np.float32
    # In float32, as published models were trained: at 15,000 radians rounding shows.
    power = np.linspace(0, 1, width // (2 * len(canvas)), dtype=single).astype(np.float64)
    frequency = (base**power).astype(single) * single(np.pi) / single(2)
    part = position.astype(single) / np.asarray(canvas, single)
    angles = frequency[:, None] * (2 * part - 1)[:, None, :]
    angles = angles.reshape(len(position), -1)
    return np.pad(angles, ((0, 0), (width // 2 - angles.shape[1], 0)))


@typed
def counted_angles(
    real: Bool[Array, "B N"], head_dim: int, rotary: Rotary
) -> Float[Array, "B N 1 half"]:
    """Angles of tokens whose position is how many real ones stand before them."""
    before = jnp.cumsum(real, axis=1) - real
    frequency = rotary_angles(np.array([[1.0, 0.0, 0.0]]), head_dim, rotary, "line")
    return before[..., None, None].astype(jnp.float32) * frequency[0]


@typed
def rotate(
    x: Float[Array, "B N heads head_dim"],
    angles: Float[AnyArray, "*lead N each half"],
    adjacent: bool = False,
) -> Float[Array, "B N heads head_dim"]:
    """Turn queries or keys to their positions, which are the same in every row, or of each."""
    angle = jnp.asarray(angles)
    cosine, sine = jnp.cos(angle).astype(x.dtype), jnp.sin(angle).astype(x.dtype)
    if adjacent:
        a, b = x[..., 0::2], x[..., 1::2]
        turned = jnp.stack([a * cosine - b * sine, a * sine + b * cosine], axis=-1)
        return turned.reshape(x.shape)
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * cosine - b * sine, a * sine + b * cosine], axis=-1)
