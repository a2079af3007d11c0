"""softmax(q k^T / sqrt(head_dim)) v over the keys that a query may see."""

import jax
import jax.numpy as jnp

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
    2305.13245). Plain contractions: on CPUs they run 1.3 to 1.5 times faster than
    `jax.nn.dot_product_attention` (stack measurements in docs).
    """
    heads, key_heads = query.shape[2], key.shape[2]
    grouped = query.reshape(*query.shape[:2], key_heads, heads // key_heads, query.shape[3])
    score: Array = jnp.einsum("BNHGd,BMHd->BHGNM", grouped, key, preferred_element_type=jnp.float32)
    score = score * query.shape[-1] ** -0.5
    score = jnp.where(visible[:, None, None], score, -jnp.inf)
    weight = jax.nn.softmax(score, axis=-1).astype(value.dtype)
    return jnp.einsum("BHGNM,BMHd->BNHGd", weight, value).reshape(query.shape)
