"""A head that says where an action lies and how sure it is: Laplace, dimension by dimension.

    density     p(x) = exp(-|x - mean| / scale) / (2 scale),   scale = exp(log_scale)
    log p(x)  = -|x - mean| / scale - log_scale - log 2
    loss      = sum(mask * -log p(target)) / sum(mask)

With a scale that is held fixed the loss has the minimum of L1: an L1 head becomes the mean of a
stochastic policy by a second head for log_scale (RIPT-VLA, arXiv 2505.17016).
"""

import math

import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Bool, Float, Key, typed
from wamjax.flow.loss import masked_mean

LOG_SCALE = (-2.0, 0.5)
"""RIPT-VLA's bounds of the log-scale, for actions in [-1, 1]."""


@typed
def bounded_log_scale(
    raw: Float[Array, "*data"], bounds: tuple[float, float] = LOG_SCALE
) -> Float[Array, "*data"]:
    """What the head answers, clipped; outside the bounds it has no gradient."""
    return jnp.clip(raw, *bounds)


def _log_density(x: Array, mean: Array, log_scale: Array) -> Array:
    return -jnp.abs(x - mean) * jnp.exp(-log_scale) - log_scale - math.log(2)


@typed
def laplace_log_prob(
    actions: Float[Array, "*lead A"],
    mean: Float[Array, "*lead A"],
    log_scale: Float[Array, "*lead A"],
) -> Float[Array, "*lead"]:
    """log p of each action, summed over its dimensions.

    A policy that draws with its scale times `c` has the log-scale `log_scale + log(c)` here, too.
    """
    return _log_density(actions, mean, log_scale).sum(-1)


@typed
def laplace_draw(
    key: Key, mean: Float[Array, "*data"], log_scale: Float[Array, "*data"]
) -> Float[Array, "*data"]:
    """One draw per entry."""
    return mean + jnp.exp(log_scale) * jax.random.laplace(key, mean.shape, mean.dtype)


@typed
def laplace_loss(
    mean: Float[Array, "B *data"],
    log_scale: Float[Array, "B *data"],
    target: Float[Array, "B *data"],
    mask: Bool[Array, "..."],
    weight: Float[Array, "..."] | None = None,
) -> Float[Array, ""]:
    """Negative log-likelihood per real entry; mask and weight broadcast, see `masked_mean`."""
    real = jnp.broadcast_to(mask, mean.shape)
    # The inner wheres keep NaN under the mask out of the gradient, too.
    kept = [jnp.where(real, entry, 0) for entry in (target, mean, log_scale)]
    return masked_mean(-_log_density(*kept), real, weight)


@typed
def laplace_law(
    read: Float[Array, "*data both"],
) -> tuple[Float[Array, "*data A"], Float[Array, "*data A"]]:
    """Mean and bounded log-scale, out of a head that answers with both, side by side."""
    width = read.shape[-1] // 2
    return read[..., :width], bounded_log_scale(read[..., width:])
