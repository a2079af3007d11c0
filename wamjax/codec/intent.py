"""What the context asks for: keypoints, proprio and instruction mixed, and a first guess.

    h = mlp([features, proprio, text]);    tokens = W_t h;    guess = W_g h

The guess is a plain regression of the action chunk. It is trained beside the flow and only shapes
the features: from pixels in minutes, the gradient of a regression finds the named object about ten
times sooner than that of the flow alone. Sampling does not use it.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.codec.parameters import bias, kernel
from wamjax.core.typing import Array, Float, typed


class Intent(nn.Module):
    """Two hidden layers, then tokens and the guess.

    Attributes:
        width: E of the tokens. tokens: N.
        chunk, actions: K and A of the guess.
        hidden: width of the hidden layers.
    """

    width: int
    tokens: int
    chunk: int
    actions: int
    hidden: int = 128

    @nn.compact
    @typed
    def __call__(
        self,
        features: Float[Array, "B M F"],
        proprio: Float[Array, "B P"],
        text: Float[Array, "B D"],
    ) -> tuple[Float[Array, "B N E"], Float[Array, "B K A"]]:
        """Mix.

        Args:
            features: of the context encoder.
            proprio: normalised.
            text: the pooled instruction.

        Returns:
            Tokens [B, tokens, width], and the guessed chunk [B, chunk, actions], normalised.
        """
        h = jnp.concatenate([features.reshape(features.shape[0], -1), proprio, text], axis=-1)
        for layer in range(2):
            weight = self.param(
                f"hidden_{layer}",
                *kernel((h.shape[-1], self.hidden), ("embed", "mlp"), gain=2**0.5),
            )
            h = jax.nn.relu(
                h @ weight + self.param(f"bias_{layer}", *bias((self.hidden,), ("mlp",)))
            )
        size = (self.hidden, self.tokens, self.width)
        tokens = self.param("tokens", *kernel(size, ("mlp", None, "embed"), fan_in=self.hidden))
        size = (self.hidden, self.chunk, self.actions)
        guess = self.param("guess", *kernel(size, ("mlp", None, "action"), fan_in=self.hidden))
        offset = self.param("guess_bias", *bias((self.chunk, self.actions), (None, "action")))
        return (
            jnp.einsum("Bh,hND->BND", h, tokens),
            jnp.einsum("Bh,hKA->BKA", h, guess) + offset,
        )
