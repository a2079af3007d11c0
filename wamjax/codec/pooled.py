"""Features that nobody trains: averages of pixels, laid out as the patches of an image encoder.

    frame -> rows * side x columns * side averages -> rows x columns tokens of 3 side^2 numbers

They stand in for a frozen encoder (V-JEPA2, DINOv2) where its weights are not at hand: a fixed map
of one frame, so that nothing of a later frame reaches them.
"""

import jax

from wamjax.codec.patch import space_to_depth
from wamjax.core.typing import Array, Float, typed


@typed
def pooled_patches(
    frames: Float[Array, "B T H W 3"], rows: int, columns: int, side: int
) -> Float[Array, "B T N F"]:
    """Tokens [rows * columns, 3 side^2] of each frame, row by row; of the range of the pixels."""
    b, t = frames.shape[:2]
    small = jax.image.resize(frames, (b, t, rows * side, columns * side, 3), "linear")
    return space_to_depth(small, side).reshape(b, t, rows * columns, 3 * side * side)
