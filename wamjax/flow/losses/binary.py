"""Binary cross-entropy of logits:  softplus(logit) - target * logit,   target in [0, 1].

It is -target log p - (1 - target) log(1 - p) with p = sigmoid(logit), and finite for every finite
logit. Grippers of X-VLA (arXiv 2510.10274).
"""

import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Bool, Float, typed
from wamjax.flow.loss import masked_mean


@typed
def binary_loss(
    logit: Float[Array, "B *data"],
    target: Float[Array, "B *data"],
    mask: Bool[Array, "..."],
    weight: Float[Array, "..."] | None = None,
) -> Float[Array, ""]:
    """Nats per real entry; mask and weight broadcast, see `masked_mean`."""
    real = jnp.broadcast_to(mask, logit.shape)
    logit, target = jnp.where(real, logit, 0), jnp.where(real, target, 0)
    return masked_mean(jax.nn.softplus(logit) - target * logit, real, weight)
