"""Mean absolute error:  sum(mask * |predicted - target|) / sum(mask).

The action loss of OpenVLA-OFT (arXiv 2502.19645) and the feature loss of VLA-JEPA.
"""

import jax.numpy as jnp

from wamjax.core.typing import Array, Bool, Float, typed
from wamjax.flow.loss import masked_mean


@typed
def absolute_loss(
    predicted: Float[Array, "B *data"],
    target: Float[Array, "B *data"],
    mask: Bool[Array, "..."],
    weight: Float[Array, "..."] | None = None,
) -> Float[Array, ""]:
    """L1 over the real entries; mask and weight broadcast, see `masked_mean`."""
    real = jnp.broadcast_to(mask, predicted.shape)
    # The inner where keeps NaN under the mask out of the gradient, too.
    error = jnp.where(real, predicted, 0) - jnp.where(real, target, 0)
    return masked_mean(jnp.abs(error), real, weight)
