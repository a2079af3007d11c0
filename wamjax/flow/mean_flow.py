"""MeanFlow (arXiv 2505.13447): the mean velocity over a jump, by its differential equation.

    u(x, sigma, d) d = integral of v over sigma - d .. sigma          differentiate in sigma, with
                                                                      the other end held fixed:
    u = v - d Du,   Du = v dot du/dx + du/dsigma + du/dd              one forward-mode product
    loss = w |u(x, sigma, d) - (v - d Du)|^2,   v = noise - clean     no gradient through v - d Du
    w = 1 / (error^2 + c)^p

With d = 0 it is flow matching.
"""

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Bool, Float, Key, typed
from wamjax.flow.jumps import JumpVelocity
from wamjax.flow.laws import LevelLaw, quantile
from wamjax.flow.loss import velocity_loss
from wamjax.flow.path import corrupt
from wamjax.flow.path import velocity as slope_between

ERROR_FLOOR = 1e-3
LAW = LevelLaw(law="logit_normal", mean=-0.4, std=1.0)


@typed
def draw_spans(
    key: Key, batch: int, instant_share: float = 0.75, law: LevelLaw = LAW
) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """Levels and lengths: two draws of the law are the ends of a jump, or one of them alone.

    Args:
        instant_share: how many samples in the mean have length 0.
    """
    keys = named_keys(key, "ends", "instant")
    ends = quantile(law, jax.random.uniform(keys["ends"], (batch, 2), minval=1e-6, maxval=1 - 1e-6))
    instant = jax.random.bernoulli(keys["instant"], instant_share, (batch,))
    sigma = jnp.where(instant, ends[:, 0], ends.max(-1))
    return sigma, jnp.where(instant, 0.0, sigma - ends.min(-1))


@typed
def mean_flow_loss(
    velocity: JumpVelocity,
    clean: Float[Array, "B *data"],
    noise: Float[Array, "B *data"],
    sigma: Float[Array, " B"],
    step: Float[Array, " B"],
    mask: Bool[Array, "..."],
    *,
    power: float = 1.0,
) -> Float[Array, ""]:
    """The identity's squared error over the real entries.

    Args:
        sigma, step: of `draw_spans`.
        mask: real entries; broadcasts.
        power: p above; 0 for the plain squared error.
    """
    x, v = corrupt(clean, noise, sigma), slope_between(clean, noise)
    ones = jnp.ones_like(sigma)
    mean: Array
    change: Array
    mean, change = jax.jvp(velocity, (x, sigma, step), (v, ones, ones))  # pyright: ignore
    beside = (-1, *[1] * (clean.ndim - 1))
    target = jax.lax.stop_gradient(v - step.reshape(beside) * change)
    real = jnp.broadcast_to(mask, clean.shape)
    axes = tuple(range(1, clean.ndim))
    error = jnp.where(real, jax.lax.stop_gradient(mean) - target, 0)
    size = jnp.sum(jnp.square(error), axes) / jnp.maximum(jnp.sum(real, axes), 1)
    weight = (size + ERROR_FLOOR) ** -power
    return velocity_loss(mean, target, real, weight.reshape(beside))
