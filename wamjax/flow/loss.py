"""Flow-matching loss with masks.

    loss = sum(mask * weight * (predicted - target)^2) / sum(mask)

The sums run over the whole (global) batch, so that a sample with few real entries counts by its
entries, and so that a sharded batch, or one that is walked through in parts (flow.divisors), gives
the same number as one device.
"""

import jax.numpy as jnp

from wamjax.core.typing import Array, Bool, Float, typed
from wamjax.flow.divisors import divisor


@typed
def masked_mean(
    values: Float[Array, "*data"],
    mask: Bool[Array, "..."],
    weight: Float[Array, "..."] | None = None,
) -> Float[Array, ""]:
    """Mean of `weight` x `values` where `mask` holds; 0 where it holds nowhere.

    Args:
        values: any shape; what stands under a false mask is not looked at, not even NaN.
        mask: broadcasts against `values`.
        weight: broadcasts against `values`; not part of the divisor.
    """
    real = jnp.broadcast_to(mask, values.shape)
    kept = jnp.where(real, values, 0)
    if weight is not None:
        kept = kept * weight
    return kept.sum() / divisor(real.sum())


@typed
def velocity_loss(
    predicted: Float[Array, "B *data"],
    target: Float[Array, "B *data"],
    mask: Bool[Array, "..."],
    weight: Float[Array, "..."] | None = None,
) -> Float[Array, ""]:
    """Mean squared error of the velocity over the real entries.

    Args:
        predicted, target: velocities of one stream.
        mask: which entries are real; broadcasts against them.
        weight: per entry or per sample ([B, 1, ...]); broadcasts; None means 1.
    """
    real = jnp.broadcast_to(mask, predicted.shape)
    # The inner where keeps NaN under the mask out of the gradient, too.
    error = jnp.where(real, predicted, 0) - jnp.where(real, target, 0)
    return masked_mean(jnp.square(error), real, weight)
