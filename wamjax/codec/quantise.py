"""Vectors to the nearest of a few learned ones, with a gradient that passes straight through.

    index = argmin_c |x - e_c|^2,   q = e_index
    value = x + stop(q - x)                                  d value / d x = 1
    loss  = |stop(x) - q|^2 + commitment |x - stop(q)|^2      (means over entries)

The first term moves the codes, the second the encoder. A code that nobody is nearest to has no
gradient and stays so: `restarted` puts it on a vector that there is, `revival_loss` draws it
towards one. VQ-VAE: arXiv 1711.00937.
"""

from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Float, Int, Key, typed


@flax.struct.dataclass
class Quantised:
    """What a quantiser makes of [*lead, D].

    Attributes:
        value: float [*lead, D], codes in value, the encoder's in gradient.
        index: int32 [*lead].
        loss: scalar, codebook and commitment.
    """

    value: Array
    index: Array
    loss: Array


@typed
def nearest(x: Float[Array, "*lead D"], codes: Float[Array, "C D"]) -> Int[Array, "*lead"]:
    """The code with the least squared distance; of equal ones the first."""
    distance = jnp.square(codes).sum(-1) - 2 * jnp.einsum("...D,CD->...C", x, codes)
    return jnp.argmin(distance, axis=-1)


@typed
def straight_through(
    x: Float[Array, "*lead D"], quantised: Float[Array, "*lead D"]
) -> Float[Array, "*lead D"]:
    """`quantised`, whose gradient goes to x."""
    return x + jax.lax.stop_gradient(quantised - x)


@typed
def quantisation_loss(
    x: Float[Array, "*lead D"], quantised: Float[Array, "*lead D"], commitment: float = 0.25
) -> Float[Array, ""]:
    """Codebook and commitment terms."""
    codebook = jnp.square(jax.lax.stop_gradient(x) - quantised).mean()
    return codebook + commitment * jnp.square(x - jax.lax.stop_gradient(quantised)).mean()


@typed
def code_counts(index: Int[Array, "*lead"], codes: int) -> Int[Array, " C"]:
    """How often each code was nearest."""
    return jnp.zeros(codes, jnp.int32).at[index.reshape(-1)].add(1)


@typed
def perplexity(counts: Int[Array, " C"]) -> Float[Array, ""]:
    """exp of the entropy of the codes' use: C for even use, 1 for one code alone."""
    share = counts / jnp.maximum(counts.sum(), 1)
    return jnp.exp(jax.scipy.special.entr(share).sum())


@typed
def dead_share(counts: Int[Array, " C"]) -> Float[Array, ""]:
    """The share of codes that were never nearest."""
    return (counts == 0).mean()


@typed
def restarted(
    codes: Float[Array, "C D"], counts: Int[Array, " C"], seen: Float[Array, "N D"], key: Key
) -> Float[Array, "C D"]:
    """The codes, with each dead one moved onto one of the vectors that were `seen`."""
    place = jax.random.randint(key, codes.shape[:1], 0, seen.shape[0])
    return jnp.where((counts == 0)[:, None], seen[place], codes)


@typed
def revival_loss(
    codes: Float[Array, "C D"], counts: Int[Array, " C"], seen: Float[Array, "N D"], key: Key
) -> Float[Array, ""]:
    """Mean squared distance of dead codes to vectors that were `seen`; the vectors do not move.

    What `restarted` does, for a loop that knows gradients alone.
    """
    place = jax.random.randint(key, codes.shape[:1], 0, seen.shape[0])
    away = jnp.square(codes - jax.lax.stop_gradient(seen)[place])
    return jnp.where((counts == 0)[:, None], away, 0.0).mean()


class VectorQuantiser(nn.Module):
    """A codebook.

    Attributes:
        codes: C. width: D.
        commitment: weight of the second term of the loss.
        frozen: the codes have no gradient.
    """

    codes: int
    width: int
    commitment: float = 0.25
    frozen: bool = False

    def setup(self) -> None:
        def start(key: Key, shape: tuple[int, ...]) -> Array:
            return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0) / self.codes

        declared = nn.with_logical_partitioning(start, ("vocab", "embed"))
        self.table: Any = self.param("codes", declared, (self.codes, self.width))

    def __call__(self, x: Float[Array, "*lead D"]) -> Quantised:
        """Quantise."""
        index = nearest(x, self.table)
        found = self.lookup(index)
        loss = quantisation_loss(x, found, self.commitment)
        return Quantised(straight_through(x, found), index, loss)

    def lookup(self, index: Int[Array, "*lead"]) -> Float[Array, "*lead D"]:
        """The codes of these indices."""
        table = jax.lax.stop_gradient(self.table) if self.frozen else self.table
        return table[index]
