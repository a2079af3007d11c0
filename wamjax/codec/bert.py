"""BERT (arXiv 1810.04805), and sentences as the mean of its tokens (1908.10084).

    x = norm(word + place + kind 0) -> layers that norm after each part

MiniLM (2002.10957) is a small BERT distilled from a large one; all-MiniLM-L6-v2 was then trained on
pairs of sentences, so that sentences of one meaning lie near one another.
"""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from wamjax.codec.encoder import Layers, Norm, Sight, through
from wamjax.codec.parameters import kernel
from wamjax.core.typing import Array, Bool, Float, Int, typed


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertSizes:
    """The shape of an encoder.

    Attributes:
        vocabulary, places, kinds: rows of the three embeddings; a text has at most `places` tokens.
        layers: its layers.
    """

    vocabulary: int
    places: int
    kinds: int
    layers: Layers


def sizes(
    vocabulary: int, width: int, mlp: int, depth: int, heads: int, places: int = 512
) -> BertSizes:
    """Of a BERT."""
    layers = Layers(
        depth=depth,
        width=width,
        heads=heads,
        head_dim=width // heads,
        mlp=mlp,
        eps=1e-12,
        order="after",
    )
    return BertSizes(vocabulary=vocabulary, places=places, kinds=2, layers=layers)


MINILM_L6 = sizes(30522, 384, 1536, 6, 12)
"""all-MiniLM-L6-v2."""


class BertEncoder(nn.Module):
    """Token numbers to one vector a token.

    Attributes:
        sizes: its shape.
        dtype: of products; weights are cast to it.
    """

    sizes: BertSizes
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    @typed
    def __call__(
        self, tokens: Int[Array, "B N"], mask: Bool[Array, "B N"]
    ) -> Float[Array, "B N D"]:
        """Encode one sentence a row.

        Args:
            tokens: numbers in [0, vocabulary), padded with any; the first is [CLS], the last [SEP].
            mask: which of them are real; others are not attended to.

        Raises:
            ValueError: more tokens than the encoder has places.
        """
        s = self.sizes
        width, length = s.layers.width, tokens.shape[1]
        if length > s.places:
            raise ValueError(f"{length} tokens, but the encoder has {s.places} places")
        tables = {
            name: self.param(name, *kernel((rows, width), (None, "embed"), fan_in=1))
            for name, rows in {"word": s.vocabulary, "place": s.places, "kind": s.kinds}.items()
        }
        x = tables["word"][tokens] + tables["place"][:length] + tables["kind"][0]
        x = Norm(eps=s.layers.eps, name="norm")(x)
        return through(s.layers, self.dtype, x, Sight(mask=mask))


@typed
def sentence(encoded: Float[Array, "B N D"], mask: Bool[Array, "B N"]) -> Float[Array, "B D"]:
    """The mean of the real tokens, of length 1."""
    real = mask[..., None]
    mean = jnp.where(real, encoded, 0).sum(1) / jnp.maximum(real.sum(1), 1)
    return mean / jnp.maximum(jnp.linalg.norm(mean, axis=-1, keepdims=True), 1e-12)
