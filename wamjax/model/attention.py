"""softmax(q k^T / sqrt(head_dim)) v over the keys that a query may see."""

import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Bool, Float, typed


@typed
def attention(
    query: Float[Array, "B N heads head_dim"],
    key: Float[Array, "B M heads head_dim"],
    value: Float[Array, "B M heads head_dim"],
    visible: Bool[Array, "B N M"],
) -> Float[Array, "B N heads head_dim"]:
    """Scores and softmax in float32; hidden keys get exactly zero weight.

    Plain contractions: on CPUs they run 1.3 to 1.5 times faster than `jax.nn.dot_product_attention`
    (stack measurements in docs).
    """
    score: Array = jnp.einsum("BNHd,BMHd->BHNM", query, key, preferred_element_type=jnp.float32)
    score = score * query.shape[-1] ** -0.5
    score = jnp.where(visible[:, None], score, -jnp.inf)
    weight = jax.nn.softmax(score, axis=-1).astype(value.dtype)
    return jnp.einsum("BHNM,BMHd->BNHd", weight, value)
