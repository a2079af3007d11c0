"""Actions by the frame that they lead to.

    K actions, n a frame:    [f, j] = action n f + j,    f = 0 .. K / n - 1,   j = 0 .. n - 1

The first action is executed now, so that row f leads from the f-th frame (now is the 0-th) to the
next one, where frames are n control steps apart. A chunk that n does not divide is refused: its
last row would lead nowhere.
"""

from wamjax.core.typing import AnyArray, Bool, Float, typed


def per_frame(chunk: int, frames: int) -> int:
    """Actions that lead to each of `frames` frames, n.

    Raises:
        ValueError: the chunk cannot be cut into equal parts, one a frame.
    """
    if frames < 1 or chunk < 1 or chunk % frames:
        raise ValueError(
            f"a chunk of {chunk} actions cannot be cut among {frames} frames: choose a multiple"
        )
    return chunk // frames


@typed
def by_frame(
    actions: Float[AnyArray, "*B K A"], mask: Bool[AnyArray, "*B K A"], n: int
) -> tuple[Float[AnyArray, "*B F n A"], Bool[AnyArray, "*B F n A"]]:
    """A chunk (and which of its numbers are real) as n actions for each frame; a view where it can.

    Args:
        actions, mask: of a batch, for example; of NumPy or JAX.
        n: actions a frame; `frame_stride` where frames and actions are told by the same clock.

    Raises:
        ValueError: n does not divide the chunk.
    """
    *batch, chunk, width = actions.shape
    if n < 1 or chunk % n:
        raise ValueError(
            f"a chunk of {chunk} actions cannot be cut into runs of {n}: choose a multiple"
        )
    shape = (*batch, chunk // n, n, width)
    return actions.reshape(shape), mask.reshape(shape)
