"""softmax(q k^T / sqrt(head_dim)) v over the keys that a query may see.

Here is what every other way of computing it is held against; `model.backends` chooses among them.
"""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange

from wamjax.core.typing import AnyArray, Array, Bool, Float, typed


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """A bool [N, M] that is known before any array is; equal where its entries are."""

    array: np.ndarray

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and np.array_equal(self.array, other.array)

    def __hash__(self) -> int:
        return hash(self.array.shape)


@flax.struct.dataclass
class Seen:
    """Which of M keys each of N queries sees.

    Attributes:
        visible: bool [B, N, M] = (table and real) or own.
        real: bool [B, M], False for keys that are padding.
        table: bool [N, M], of the visibility table.
        own: bool [N, M], keys that are the query itself and are seen though they be padding, so
            that no row of the softmax is empty. None for memories.
    """

    visible: Array
    real: Array
    table: Table = flax.struct.field(pytree_node=False)
    own: Table | None = flax.struct.field(pytree_node=False, default=None)


def seen(table: np.ndarray, real: AnyArray, own: np.ndarray | None = None) -> Seen:
    """What `table`, `real` and `own` make of one another, see `Seen`."""
    visible = jnp.asarray(table)[None] & jnp.asarray(real)[:, None]
    if own is None:
        return Seen(visible, jnp.asarray(real), Table(table))
    return Seen(visible | own[None], jnp.asarray(real), Table(table), Table(own))


@typed
def attention(
    query: Float[Array, "B N heads head_dim"],
    key: Float[Array, "B M key_heads head_dim"],
    value: Float[Array, "B M key_heads head_dim"],
    visible: Bool[Array, "B N M"],
) -> Float[Array, "B N heads head_dim"]:
    """Scores and softmax in float32; hidden keys get exactly zero weight.

    A key head serves heads / key_heads query heads that stand side by side (grouped queries, arXiv
    2305.13245): their queries stand one behind the other in one product, for a product over a
    group's own axis is copied on CPUs. Plain contractions: there they run faster than
    `jax.nn.dot_product_attention`, forward and backward.
    """
    batch, count, heads, head_dim = query.shape
    seen, key_heads = key.shape[1:3]
    group = heads // key_heads
    asked = rearrange(query, "B N (H G) d -> B H (G N) d", H=key_heads)
    key, value = jnp.swapaxes(key, 1, 2), jnp.swapaxes(value, 1, 2)
    score: Array = jnp.einsum("BHQd,BHMd->BHQM", asked, key, preferred_element_type=jnp.float32)
    score = score.reshape(batch, key_heads, group, count, seen) * head_dim**-0.5
    score = jnp.where(visible[:, None, None], score, -jnp.inf)
    weight = jax.nn.softmax(score, axis=-1).astype(value.dtype)
    weight = weight.reshape(batch, key_heads, group * count, seen)
    out = jnp.einsum("BHQM,BHMd->BHQd", weight, value)
    return rearrange(out, "B H (G N) d -> B N (H G) d", G=group)
