"""softmax(q k^T / sqrt(head_dim)) v over the keys that a query may see."""

import jax
import jax.numpy as jnp
from einops import rearrange

from wamjax.core.typing import Array, Bool, Float, typed


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
