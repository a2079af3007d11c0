"""T5's encoder and its kin: tokens with learned biases of relative positions, no other positions.

    T5       arXiv 1910.10683: ReLU, one table of biases, which all layers share
    T5 v1.1  2002.05202: a gated tanh-GELU; what LTX-Video conditions on
    UMT5     2304.09151: as v1.1, and a table in every layer; what Wan conditions on

Scores are not divided by sqrt(head_dim), norms take no mean off, nothing has a bias.
"""

import dataclasses
import math

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from wamjax.codec.encoder import Layers, Norm, Sight, from_table, through
from wamjax.codec.parameters import kernel
from wamjax.core.typing import Array, Bool, Float, Int, typed


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5Sizes:
    """The shape of an encoder.

    Attributes:
        vocabulary: rows of the embedding.
        layers: its layers.
        buckets: rows of a table of relative positions: half for keys behind, half for keys ahead.
        farthest: tokens that lie this far apart, or farther, share the last bucket.
    """

    vocabulary: int
    layers: Layers
    buckets: int = 32
    farthest: int = 128


def sizes(
    vocabulary: int,
    width: int,
    mlp: int,
    depth: int,
    heads: int,
    head_dim: int = 64,
    *,
    gated: bool = True,
    every_layer: bool = False,
) -> T5Sizes:
    """Of a T5 v1.1; without gates of a T5, with a table in every layer of a UMT5."""
    layers = Layers(
        depth=depth,
        width=width,
        heads=heads,
        head_dim=head_dim,
        mlp=mlp,
        activation="gelu_tanh" if gated else "relu",
        gated=gated,
        norm="rms",
        bias=False,
        divided=False,
        buckets=32 if every_layer else 0,
    )
    return T5Sizes(vocabulary=vocabulary, layers=layers)


UMT5_XXL = sizes(256384, 4096, 10240, 24, 64, every_layer=True)
T5_V1_1_XXL = sizes(32128, 4096, 10240, 24, 64)
T5_11B = sizes(32128, 1024, 65536, 24, 128, 128, gated=False)
T5_BASE = sizes(32128, 768, 3072, 12, 12, gated=False)


def relative_buckets(length: int, buckets: int, farthest: int) -> np.ndarray:
    """The bucket of key m for query n, int32 [length, length].

    Half of the buckets are for keys ahead. In each half, half the buckets are for one distance
    each, and the rest grow with the logarithm of the distance.
    """
    ahead = np.arange(length)[None] - np.arange(length)[:, None]
    half = buckets // 2
    exact = half // 2
    # In float32, as published models were trained: a distance may fall on the edge of a bucket.
    distance = np.abs(ahead)
    ratio = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact))
    growth = ratio / np.float32(math.log(farthest / exact)) * np.float32(half - exact)
    far = np.minimum(exact + growth.astype(np.int32), half - 1)
    return (np.where(distance < exact, distance, far) + half * (ahead > 0)).astype(np.int32)


class T5Encoder(nn.Module):
    """Token numbers to one vector a token.

    Attributes:
        sizes: its shape.
        dtype: of products; weights are cast to it.
    """

    sizes: T5Sizes
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    @typed
    def __call__(
        self, tokens: Int[Array, "B N"], mask: Bool[Array, "B N"]
    ) -> Float[Array, "B N D"]:
        """Encode.

        Args:
            tokens: numbers in [0, vocabulary), padded with any.
            mask: which of them are real; others are not attended to.

        Returns:
            float32; see `padded_with_zeros` for what stands at padding.
        """
        shape = self.sizes.layers
        # Split along its width alone: a gather from a table that is cut along its rows gathers it.
        table = self.param(
            "embedding", *kernel((self.sizes.vocabulary, shape.width), (None, "embed"), fan_in=1)
        )
        x = table[tokens].astype(jnp.float32)
        count = self.sizes.buckets
        bucket = jnp.asarray(relative_buckets(tokens.shape[1], count, self.sizes.farthest))
        if shape.buckets:
            sight = Sight(mask=mask, bucket=bucket)
        else:
            sight = Sight(mask=mask, added=from_table(self, count, shape.heads, bucket))
        x = through(shape, self.dtype, x, sight)
        return Norm("rms", shape.eps, name="norm")(x)


@typed
def padded_with_zeros(
    encoded: Float[Array, "B N D"], mask: Bool[Array, "B N"], length: int
) -> Float[Array, "B {length} D"]:
    """What Wan's transformer attends to, without a mask: zeros where no token stands.

    Wan encodes with a mask, cuts the padding off and pads with zeros to `length` (512).
    """
    real = jnp.where(mask[..., None], encoded, 0)[:, :length]
    return jnp.pad(real, ((0, 0), (0, length - real.shape[1]), (0, 0)))
