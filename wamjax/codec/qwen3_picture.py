"""Pictures as Qwen3-VL was trained with them: near their own size and shape, in whole tokens.

    sides    rounded to tokens; if there are then too many pixels (or too few), both are scaled by
             sqrt(pixels wanted / pixels) first and rounded down (or up)
    pixels   Keys' cubic with antialiasing, columns first, clipped behind each axis; in [-1, 1]

Sizes are those of its image processor (transformers, models/qwen2_vl); a picture of fewer tokens
than it takes by itself is a cheaper one: give `most`.
"""

import math

import jax.numpy as jnp

from wamjax.codec.resampling import resampling
from wamjax.core.typing import Array, Float, typed

LEAST, MOST = 65_536, 16_777_216
"""Pixels of a picture, as published."""


def fitted(
    height: int, width: int, *, side: int = 32, least: int = LEAST, most: int = MOST
) -> tuple[int, int]:
    """(rows, columns) of pixels that a picture of `height` x `width` is brought to.

    Args:
        side: pixels on a side of a token.
        least, most: pixels of a picture.

    Raises:
        ValueError: one side is more than 200 times the other.
    """
    if max(height, width) > 200 * min(height, width):
        raise ValueError(f"a picture of {height} x {width} pixels is too narrow")
    sides = (height, width)
    near = [round(pixels / side) * side for pixels in sides]
    pixels = near[0] * near[1]
    if pixels > most:
        shrink = math.sqrt(height * width / most)
        near = [max(side, math.floor(x / shrink / side) * side) for x in sides]
    elif pixels < least:
        grow = math.sqrt(least / (height * width))
        near = [math.ceil(x * grow / side) * side for x in sides]
    return near[0], near[1]


@typed
def resized(
    frames: Float[Array, "B T H W 3"], height: int, width: int
) -> Float[Array, "B T {height} {width} 3"]:
    """Frames in [-1, 1] at another size."""
    across = resampling(width, frames.shape[3], antialias=True)
    down = resampling(height, frames.shape[2], antialias=True)
    for matrix, product in ((across, "wk,BThkc->BThwc"), (down, "hk,BTkwc->BThwc")):
        frames = jnp.clip(jnp.einsum(product, matrix, frames, precision="highest"), -1, 1)
    return frames
