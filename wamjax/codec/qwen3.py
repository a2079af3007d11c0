"""Qwen 3's transformer (arXiv 2505.09388) as Qwen3-VL (2511.21631) reads words and pictures by it.

    x <- x + W_o attention(turn(norm q), turn(norm k), v)     of norm(x); nothing looks ahead
    x <- x + W_down (silu(W_gate x) * W_up x)                 of norm(x)

All norms are RMS norms, those of queries and keys over a head; several heads share keys. A token
stands at (time, row, column), words at three equal numbers (2409.12191). Pair i of a head, (x_i,
x_i+d/2), turns by one of the three, which take turns pair by pair:

    angle_i = position[axis_i] base ** (-2 i / d),    axis = 0 1 2 0 1 2 ... 0 0

Rows and columns have so many pairs as they were given, time has the rest. What pictures are seen as
stands in place of words, and more of it is added behind the first layers (DeepStack, 2406.04334).
"""

import dataclasses

import flax.linen as nn
import flax.struct
import jax.numpy as jnp
import numpy as np

from wamjax.codec.encoder import Layer, Layers, Norm, Sight, stepped
from wamjax.codec.parameters import kernel
from wamjax.core.typing import Array, Bool, Float, Int, typed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Qwen3Sizes:
    """The shape of a transformer.

    Attributes:
        vocabulary: rows of the embedding.
        layers: its layers.
        base: of the rotary frequencies.
        across: pairs of a head that turn with the row, and with the column.
        pads: numbers of the words in whose place tokens of pictures stand.
    """

    vocabulary: int
    layers: Layers
    base: float = 5e6
    across: tuple[int, int] = (20, 20)
    pads: tuple[int, ...]


def sizes(
    vocabulary: int,
    width: int,
    mlp: int,
    depth: int,
    heads: int,
    kv_heads: int,
    head_dim: int = 128,
    *,
    across: tuple[int, int] = (20, 20),
    pads: tuple[int, ...],
) -> Qwen3Sizes:
    """Of a Qwen3-VL's."""
    layers = Layers(
        depth=depth,
        width=width,
        heads=heads,
        head_dim=head_dim,
        mlp=mlp,
        kv_heads=kv_heads,
        head_norm=True,
        activation="silu",
        gated=True,
        norm="rms",
        bias=False,
        pairs="halves",
    )
    return Qwen3Sizes(vocabulary=vocabulary, layers=layers, across=across, pads=pads)


@flax.struct.dataclass
class Shown:
    """What pictures are seen as, one behind the other.

    Attributes:
        tokens: float [B, P, D], which enter the transformer.
        deep: float [K, B, P, D], which are added behind its first K layers.
    """

    tokens: Array
    deep: Array


def axes_of_pairs(head_dim: int, across: tuple[int, int]) -> np.ndarray:
    """Of each pair of a head, int [head_dim / 2]: 0 turns with time, 1 with row, 2 with column."""
    axes = np.zeros(head_dim // 2, np.int32)
    for axis, pairs in enumerate(across, start=1):
        axes[axis : 3 * pairs : 3] = axis
    return axes


@typed
def rotation(
    position: Int[Array, "B N 3"], sizes: Qwen3Sizes
) -> tuple[Float[Array, "B N d"], Float[Array, "B N d"]]:
    """Cosines and sines of queries and keys, float32."""
    head_dim = sizes.layers.head_dim
    half = head_dim // 2
    rate = (sizes.base ** -(np.arange(half) / half)).astype(np.float32)
    own = position[..., axes_of_pairs(head_dim, sizes.across)]
    angle = jnp.tile(own.astype(jnp.float32) * rate, 2)
    return jnp.cos(angle), jnp.sin(angle)


class Qwen3(nn.Module):
    """Words, and pictures among them, to one vector a token.

    Attributes:
        sizes: its shape.
        dtype: of products; weights are cast to it.
    """

    sizes: Qwen3Sizes
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    @typed
    def __call__(
        self,
        words: Int[Array, "B N"],
        mask: Bool[Array, "B N"],
        position: Int[Array, "B N 3"],
        shown: Shown | None = None,
    ) -> Float[Array, "B N D"]:
        """Encode.

        Args:
            words: numbers in [0, vocabulary), padded with any on either side.
            mask: which of them are real; others are not attended to.
            position: (time, row, column) of each, see `qwen3_vl.positions`.
            shown: what stands in place of a row's `sizes.pads`, in order. What is left over is not
                seen; a row that has too little is NaN.

        Returns:
            float32, behind the last norm; at padding anything.
        """
        s = self.sizes
        width, count = s.layers.width, words.shape[1]
        table = self.param("embedding", *kernel((s.vocabulary, width), (None, "embed"), fan_in=1))
        x = table[words].astype(jnp.float32)
        deep = jnp.zeros((0, *x.shape), jnp.float32)
        if shown is not None:
            x, deep = put(x, jnp.isin(words, jnp.asarray(s.pads)) & mask, shown)
        behind = jnp.tril(jnp.ones((count, count), bool))
        sight = Sight(mask=mask[:, None] & behind, rotation=rotation(position, s))

        def step(layer: Layer, x: Array, place: Array) -> Array:
            x = layer(x, sight)
            if not len(deep):
                return x
            return x + jnp.where(place < len(deep), deep[jnp.minimum(place, len(deep) - 1)], 0)

        x = stepped(s.layers, self.dtype, x, step)
        return Norm("rms", s.layers.eps, name="norm")(x)


@typed
def put(
    x: Float[Array, "B N D"], picture: Bool[Array, "B N"], shown: Shown
) -> tuple[Float[Array, "B N D"], Float[Array, "K B N D"]]:
    """Pictures among words.

    Args:
        x: words.
        picture: where the row's next token of pictures stands instead.

    Returns:
        (what enters the transformer, what is added behind its first layers; zero at words).
    """
    at = jnp.maximum(picture.cumsum(1) - 1, 0)[..., None]
    here = picture[..., None]
    tokens = jnp.take_along_axis(shown.tokens.astype(jnp.float32), at, axis=1)
    deep = jnp.take_along_axis(shown.deep.astype(jnp.float32), at[None], axis=2)
    return jnp.where(here, tokens, x), jnp.where(here, deep, 0)
