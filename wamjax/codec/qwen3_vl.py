"""Qwen3-VL (arXiv 2511.21631) as an encoder: words and pictures to one vector a token.

What VLA-JEPA (2602.10098) and Motus (2512.13030) read a scene by. In a text a picture is a token
for the start, as many pads as it has tokens, and a token for the end. Words stand at three equal
numbers, one more than the last; the tokens of a picture that begins at p stand at

    (p, p + row, p + column),    and what follows begins at p + max(rows, columns)

A video is its pairs of frames, a picture each, between words that tell their times.
"""

import dataclasses
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from wamjax.codec import qwen3, qwen3_vision
from wamjax.codec.qwen3 import Qwen3, Qwen3Sizes, Shown
from wamjax.codec.qwen3_vision import Qwen3Vision, VisionSizes
from wamjax.core.typing import Array, Bool, Float, Int, typed

START, END, PICTURE, VIDEO = 151_652, 151_653, 151_655, 151_656
"""Words of the published vocabulary around a picture, and in place of its tokens."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Qwen3VlSizes:
    """The shape of an encoder: how it looks, and how it reads."""

    vision: VisionSizes
    language: Qwen3Sizes


QWEN3_VL_2B = Qwen3VlSizes(
    vision=qwen3_vision.sizes(24, 1024, 4096, 16, out=2048, grid=48, taps=(5, 11, 17)),
    language=qwen3.sizes(151_936, 2048, 6144, 28, 16, 8, pads=(PICTURE, VIDEO)),
)


@typed
def positions(
    words: Int[np.ndarray, "B N"],
    mask: Bool[np.ndarray, "B N"],
    grids: Sequence[tuple[int, int]],
    pads: tuple[int, ...] = (PICTURE, VIDEO),
) -> Int[np.ndarray, "B N 3"]:
    """(time, row, column) of each token, int32; zero at padding. Found on the host.

    Args:
        words: with pads where tokens of pictures stand.
        mask: which are real.
        grids: (rows, columns) in tokens of the pictures; every row shows these in this order, or
            only the first of them.

    Raises:
        ValueError: a row shows part of a picture, or words stand within one.
    """
    picture = np.isin(words, pads) & mask
    counts = [rows * columns for rows, columns in grids]
    # Of the p-th token of pictures, and of what stands behind all of them.
    number = np.repeat(np.arange(len(grids) + 1), [*counts, 1])
    room = np.cumsum([0, *(max(grid) for grid in grids)])[number]
    inside = np.concatenate([*(np.indices(grid).reshape(2, -1).T for grid in grids), [[0, 0]]])
    ends = np.cumsum([0, *counts])
    for row in picture:
        where = np.flatnonzero(row)
        together = np.diff(number[: len(where)]) == 0
        if len(where) not in ends or (np.diff(where)[together] > 1).any():
            raise ValueError(
                f"a row has {len(where)} tokens of pictures, which are not whole pictures of "
                f"{', '.join(f'{rows} x {columns}' for rows, columns in grids) or 'no'} tokens"
            )
    before = picture.cumsum(1) - picture
    said = mask & ~picture
    time = said.cumsum(1) - said + room[before]
    place = [time, *(time + picture * inside[before, axis] for axis in (0, 1))]
    return np.where(mask[..., None], np.stack(place, axis=-1), 0).astype(np.int32)


class Qwen3VlEncoder(nn.Module):
    """Words and pictures to one vector a token.

    Attributes:
        sizes: its shape.
        dtype: of products; weights are cast to it.
    """

    sizes: Qwen3VlSizes
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    @typed
    def __call__(
        self,
        words: Int[Array, "B N"],
        mask: Bool[Array, "B N"],
        position: Int[Array, "B N 3"],
        pictures: Sequence[Float[Array, "B _ _ _ 3"]] = (),
    ) -> Float[Array, "B N D"]:
        """Encode.

        Args:
            words: numbers in [0, vocabulary), padded with any on either side.
            mask: which of them are real; others are not attended to.
            position: see `positions`.
            pictures: frames [B, T, H, W, 3] of those of one size, for each size, see `Qwen3Vision`;
                their tokens take the places of a row's pads, in this order. Without any, pads are
                words.

        Returns:
            float32, behind the last norm; at padding anything.
        """
        shown = None
        if pictures:
            look = Qwen3Vision(self.sizes.vision, self.dtype, name="visual")
            seen = [look(frames) for frames in pictures]
            shown = Shown(
                jnp.concatenate([part.tokens for part in seen], axis=1),
                jnp.concatenate([part.deep for part in seen], axis=2),
            )
        language = Qwen3(self.sizes.language, self.dtype, name="language")
        return language(words, mask, position, shown)
