"""Instructions to vectors by a pretrained BERT: what `codec.text` gives, with a language behind it.

    bytes -> word pieces -> BERT -> a map to the width of the model, one token a piece
    pooled = a map of the sentence's vector

Words that training never told lie near those that it did; robustness to other wordings is not
learned from the robot's data alone.
"""

import flax.linen as nn
import jax.numpy as jnp

from wamjax.codec.bert import BertEncoder, BertSizes, sentence
from wamjax.codec.encoder import Linear
from wamjax.codec.word_pieces import Vocabulary, word_pieces
from wamjax.core.typing import Array, Bool, Float, UInt8, typed

TRUNK = "trunk"


class SentenceEncoder(nn.Module):
    """Bytes -> one token a word piece, their mask, and one vector for the whole instruction.

    Attributes:
        vocabulary, sizes: of the BERT, whose weights are the subtree "trunk".
        width: D, of tokens and pooled vector.
        words: number of tokens N, [CLS] and [SEP] among them.
    """

    vocabulary: Vocabulary
    sizes: BertSizes
    width: int = 64
    words: int = 24

    @nn.compact
    @typed
    def __call__(
        self, text: UInt8[Array, "B X"]
    ) -> tuple[Float[Array, "B N D"], Bool[Array, "B N"], Float[Array, "B D"]]:
        """Encode.

        Args:
            text: UTF-8 bytes, padded with 0 (core.text.encode_text).

        Returns:
            Tokens, which of them hold a piece, and the pooled vector.
        """
        pieces, mask = word_pieces(text, self.words, self.vocabulary)
        told = BertEncoder(self.sizes, name=TRUNK)(pieces, mask)
        # A sentence has length 1; its numbers are brought to a variance of 1.
        whole = sentence(told, mask) * self.sizes.layers.width**0.5
        tokens = Linear((self.width,), ("embed", "text"), name="tokens")(told)
        pooled = Linear((self.width,), ("embed", "text"), name="pooled")(whole)
        return jnp.where(mask[..., None], tokens, 0), mask, pooled
