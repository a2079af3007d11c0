"""Weights of one width made from those of another: an action expert begins as a narrow video one.

    kernel [in, out]      both axes resampled; times sqrt(in there / in here) where inputs differ
    table [rows, width]   resampled; times sqrt(width there / width here) where widths differ
    bias, scale           resampled as one axis

Resampling is linear between neighbours, ends on ends: number j of n lies at j (m - 1) / (n - 1) of
m. Output axes of a kernel, as the six vectors of a modulation, are one axis as in PyTorch's files.
FastWAM (arXiv 2603.16666) makes its action expert so from Wan's blocks and its embeddings of time
and text; the actions' own embedding and head are fresh. LingBot-VA's paper tells of the same scale,
the root of the ratio of both widths.
"""

import math
from collections.abc import Sequence

import numpy as np

from wamjax.model.layers import matrix_axes

FIXED = ("layer", "heads", "head_dim")


def resampled(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An array with other lengths of its axes, float32; linear, ends on ends.

    Raises:
        ValueError: it has other axes.
    """
    if x.ndim != len(shape):
        raise ValueError(f"{x.ndim} axes cannot become {len(shape)}")
    x = np.asarray(x, np.float32)
    for axis, length in enumerate(shape):
        if x.shape[axis] != length:
            x = _along(x, axis, length)
    return x


def _along(x: np.ndarray, axis: int, length: int) -> np.ndarray:
    places = np.linspace(0, x.shape[axis] - 1, length)
    low = np.minimum(places.astype(int), max(x.shape[axis] - 2, 0))
    high = np.minimum(low + 1, x.shape[axis] - 1)
    over = [1] * x.ndim
    over[axis] = length
    share = (places - low).astype(np.float32).reshape(over)
    return x.take(low, axis) * (1 - share) + x.take(high, axis) * share


def cuts_of(
    there: tuple[int, ...], here: tuple[int, ...], names: Sequence[str | None], kind: str
) -> tuple[int, ...]:
    """Where the axes begin that are resampled as one; those before the first are counted through.

    Args:
        there, here: shapes of the weight.
        names: the logical axes of the weight here.
        kind: the last word of its path: "kernel", "table", "bias" or "scale".

    Raises:
        ValueError: layers, heads or axes differ, or it is a convolution.
    """
    if len(there) != len(here):
        raise ValueError(f"is {there} there and {here} here")
    for name, before, after in zip(names, there, here, strict=True):
        if before != after and name in FIXED:
            raise ValueError(f"has {before} along {name} there and {after} here")
    stacked, inputs = int(tuple(names[:1]) == ("layer",)), 0
    if kind == "kernel":
        stacked, inputs = matrix_axes(names)
    if there[:stacked] != here[:stacked]:
        raise ValueError(f"is {there} there and {here} here")
    match kind:
        case "kernel":
            return stacked, stacked + inputs
        case "table":
            return tuple(range(stacked, len(here)))
        case _:
            return (stacked,)


def resized(
    x: np.ndarray, shape: tuple[int, ...], names: Sequence[str | None], kind: str
) -> np.ndarray:
    """A weight with another width, scaled as said above; as it is where no axis differs.

    Args:
        x: the weight there.
        shape: of the weight here.
        names, kind: see `cuts_of`.

    Raises:
        ValueError: see `cuts_of`.
    """
    if x.shape == shape:
        return x
    cuts = cuts_of(x.shape, shape, names, kind)
    before, after = (_joined(sizes, cuts) for sizes in (x.shape, shape))
    out = resampled(x.reshape(before), after).reshape(shape)
    # The axis that is summed over: a kernel's input, a table's last one as in PyTorch's files.
    summed = {"kernel": cuts[0], "table": len(before) - 1}
    if kind in summed and before[summed[kind]] != after[summed[kind]]:
        out = out * np.float32(math.sqrt(before[summed[kind]] / after[summed[kind]]))
    return out


def _joined(sizes: tuple[int, ...], cuts: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes before the first cut as they are; those between two cuts as one."""
    ends = (*cuts[1:], len(sizes))
    parts = tuple(math.prod(sizes[a:b]) for a, b in zip(cuts, ends, strict=True))
    return (*sizes[: cuts[0]], *parts)
