"""Cross-entropy of integer tokens:  logsumexp(logits) - logits[target].

Actions as words of the language model: OpenVLA (arXiv 2406.09246), pi0-FAST (2501.09747), UniVLA.
"""

import jax.numpy as jnp
from jax.scipy.special import logsumexp

from wamjax.core.typing import Array, Bool, Float, Int, typed
from wamjax.flow.loss import masked_mean


@typed
def token_loss(
    logits: Float[Array, "B *data vocabulary"],
    target: Int[Array, "B *data"],
    mask: Bool[Array, "..."],
    weight: Float[Array, "..."] | None = None,
) -> Float[Array, ""]:
    """Nats per real token.

    Args:
        target: indices; what stands under a false mask may be any integer.
        mask, weight: broadcast against `target`, see `masked_mean`.
    """
    real = jnp.broadcast_to(mask, target.shape)
    logits = jnp.where(real[..., None], logits, 0).astype(jnp.float32)
    picked = jnp.where(real, target, 0)[..., None]
    chosen = jnp.take_along_axis(logits, picked, axis=-1)[..., 0]
    return masked_mean(logsumexp(logits, axis=-1) - chosen, real, weight)
