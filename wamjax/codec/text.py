"""Instructions to vectors, from bytes, trained from scratch with the rest.

    bytes -> embedding -> two convolutions over bytes -> mean over each word -> one token per word
    pooled = projection of the mean over the words

A word ends at a space (byte 32); words beyond the last token share it. Padding is byte 0. The
empty text is one learned token. Byte-level input as in ByT5 (arXiv 2105.13626).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.codec.parameters import bias, kernel, scale
from wamjax.core.typing import Array, Bool, Float, Int, UInt8, typed

SPACE = 32
SYMBOLS = 256


def _neighbours(x: Array, reach: int, step: int) -> Array:
    """[B, X, C] -> [B, X, (2 reach + 1) C]: each position beside its neighbours, zeros outside."""
    pad = reach * step
    padded = jnp.pad(x, ((0, 0), (pad, pad), (0, 0)))
    length = x.shape[1]
    return jnp.concatenate(
        [padded[:, start : start + length] for start in range(0, 2 * pad + 1, step)], axis=-1
    )


@typed
def words_of(text: UInt8[Array, "B X"], words: int) -> Float[Array, "B {words} X"]:
    """1 where byte X belongs to word N, else 0; spaces and padding belong to none."""
    letter = (text != 0) & (text != SPACE)
    before = jnp.pad(letter[:, :-1], ((0, 0), (1, 0)))
    number = jnp.cumsum(letter & ~before, axis=1) - 1
    member = jnp.minimum(number, words - 1)[:, None, :] == jnp.arange(words)[None, :, None]
    return (member & letter[:, None, :]).astype(jnp.float32)


@typed
def word_numbers(text: UInt8[Array, "B X"], words: int, vocabulary: int) -> Int[Array, "B {words}"]:
    """A number for each word, 1 ... vocabulary - 1, from its letters and their order; 0 for none.

    A stand-in for a tokenizer: equal words have equal numbers, different ones nearly always
    different numbers (a polynomial in the letters, modulo a prime, modulo the vocabulary).
    """
    member = words_of(text, words) > 0
    letters = text.astype(jnp.int32)

    def add(total: Array, at: tuple[Array, Array]) -> tuple[Array, None]:
        letter, belongs = at
        return jnp.where(belongs, (total * 257 + letter[:, None]) % 7_919_777, total), None

    start = jnp.zeros((text.shape[0], words), jnp.int32)
    total, _ = jax.lax.scan(add, start, (letters.T, jnp.moveaxis(member, 2, 0)))
    return jnp.where(member.any(-1), 1 + total % (vocabulary - 1), 0)


class TextEncoder(nn.Module):
    """Bytes -> word tokens, their mask, and one vector for the whole instruction.

    Attributes:
        width: D, of tokens and pooled vector.
        words: number of tokens Nt.
        hidden: width of the byte features.
    """

    width: int = 64
    words: int = 12
    hidden: int = 32

    @nn.compact
    @typed
    def __call__(
        self, text: UInt8[Array, "B X"]
    ) -> tuple[Float[Array, "B N D"], Bool[Array, "B N"], Float[Array, "B D"]]:
        """Encode.

        Args:
            text: UTF-8 bytes, padded with 0 (core.text.encode_text).

        Returns:
            Tokens, which of them hold a word, and the pooled vector.
        """
        c, d = self.hidden, self.width
        table = self.param("table", *kernel((SYMBOLS, c), (None, None), fan_in=1))
        # Replicated, since a gather from a table that is cut along its rows gathers all of it.
        x = table[text]
        real = (text != 0)[..., None]
        for layer, step in enumerate((1, 3)):
            weight = self.param(f"convolution_{layer}", *kernel((5 * c, c), (None, None)))
            offset = self.param(f"convolution_bias_{layer}", *bias((c,), (None,)))
            x = x + jax.nn.gelu(_neighbours(x * real, 2, step) @ weight + offset)

        member = words_of(text, self.words)
        size = member.sum(-1, keepdims=True)
        mean = jnp.einsum("BNX,BXc->BNc", member, x) / jnp.maximum(size, 1)
        project = self.param("project", *kernel((c, d), (None, "text")))
        place = self.param("place", *kernel((self.words, d), (None, "text"), fan_in=1))
        mask = size[..., 0] > 0
        # The place enters before the bend: "red ... green" and "green ... red" pool differently.
        tokens = jax.nn.gelu(mean @ project + place)
        null = self.param("null", *kernel((d,), ("text",), fan_in=1))
        stands_in = ~mask.any(-1, keepdims=True) & (jnp.arange(self.words) == 0)
        tokens = tokens * mask[..., None] + null * stands_in[..., None]
        mask = mask | stands_in

        pooled = tokens.sum(1) / mask.sum(1, keepdims=True)
        gain = self.param("pool_scale", *scale((d,), ("text",)))
        normal = pooled / jnp.sqrt(jnp.square(pooled).mean(-1, keepdims=True) + 1e-6) * gain
        mix = self.param("pool", *kernel((d, d), ("text", None)))
        return tokens, mask, normal @ mix
