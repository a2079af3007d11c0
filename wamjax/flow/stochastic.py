"""Euler's walk with noise in every step, so that a flow has a log-probability to climb.

A step from sigma to sigma' < sigma draws  x' ~ N(mean, std^2),  with  d = sigma - sigma'  and the
noise that the velocity stands for,  n = x + (1 - sigma) v:

    law        mean                          std         g
    sde        x - d (v + g^2 / (2 sigma) n)   g sqrt(d)   strength sqrt(sigma / (1 - sigma))
    injected   x - d v                         strength    -

    log p(walk) = sum over steps of log N(x'; mean, std^2)      (given the noise that it began with)

sde: the score at sigma is -n / sigma, so that the drift taken off in the mean is what the noise
adds, and every marginal is that of the flow up to the length of the steps (Flow-GRPO, arXiv
2505.05470). At sigma = 1, where g is infinite, the root has sigma' below the line; that first step
adds strength^4 / 4 to a variance of 1. injected: the marginals are wider than
the flow's; a strength that is learned is given as an array (ReinFlow, arXiv 2505.22094). With
strength 0 both are Euler's method, which has no density.
"""

import math
from collections.abc import Callable
from typing import Literal, assert_never

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Float, Key, typed

Walk = Literal["sde", "injected"]
# (x [B, ...], sigma [B]) -> velocity [B, ...]
Slope = Callable[[Array, Array], Array]
LOG_2_PI = math.log(2 * math.pi)


@typed
def transition(
    x: Float[Array, "B *data"],
    velocity: Float[Array, "B *data"],
    sigma: Float[Array, ""],
    after: Float[Array, ""],
    strength: float | Float[Array, "..."],
    law: Walk = "sde",
) -> tuple[Float[Array, "B *data"], Float[Array, "B *data"]]:
    """Mean and standard deviation of the state at `after`, given that at `sigma`.

    Args:
        x, velocity: at sigma, in (0, 1].
        after: the next level, below sigma.
        strength: see the table above; broadcasts against x.
        law: see the table above.
    """
    match law:
        case "sde":
            below = jnp.where(sigma < 1, sigma, after)
            variance = jnp.square(strength) * sigma / (1 - below)
            noise = x + (1 - sigma) * velocity
            drift = velocity + variance / (2 * sigma) * noise
            std = jnp.sqrt(variance * (sigma - after))
        case "injected":
            drift, std = velocity, jnp.asarray(strength, x.dtype)
        case _:
            assert_never(law)
    return x + (after - sigma) * drift, jnp.broadcast_to(std, x.shape)


@typed
def draw_walk(
    velocity: Slope,
    noise: Float[Array, "B *data"],
    sigmas: Float[Array, " S1"],
    strength: float | Float[Array, "..."],
    key: Key,
    law: Walk = "sde",
) -> Float[Array, "S1 B *data"]:
    """All states of a walk down the grid, `noise` first and the sample last.

    Args:
        velocity: (x, sigma [B]) -> velocity like x.
        noise: the state at the start of the grid.
        sigmas: noise levels, falling.
        strength, law: of the noise, see above.
        key: every step has a draw of its own.
    """
    own = named_keys(key, "walk")["walk"]

    def step(x: Array, place: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        index, sigma, after = place
        slope = velocity(x, jnp.full(x.shape[:1], sigma))
        mean, std = transition(x, slope, sigma, after, strength, law)
        x = mean + std * jax.random.normal(jax.random.fold_in(own, index), x.shape, x.dtype)
        return x, x

    places = (jnp.arange(sigmas.shape[0] - 1), sigmas[:-1], sigmas[1:])
    _, states = jax.lax.scan(step, noise, places)
    return jnp.concatenate([noise[None], states])


@typed
def step_log_probs(
    velocity: Slope,
    states: Float[Array, "S1 B *data"],
    sigmas: Float[Array, " S1"],
    strength: float | Float[Array, "..."],
    law: Walk = "sde",
) -> Float[Array, "S B"]:
    """log p of every step of a walk under `velocity`, summed over a sample's entries.

    The walk may be another policy's: the states are data, and the gradient runs through the
    velocity (and the strength) alone. Strength 0 has no density, and gives NaN.
    """

    def step(carry: None, place: tuple[Array, ...]) -> tuple[None, Array]:
        x, there, sigma, after = place
        slope = velocity(x, jnp.full(x.shape[:1], sigma))
        mean, std = transition(x, slope, sigma, after, strength, law)
        entries = -0.5 * jnp.square((there - mean) / std) - jnp.log(std) - 0.5 * LOG_2_PI
        return carry, entries.reshape(x.shape[0], -1).sum(-1)

    given = jax.lax.stop_gradient(states)
    _, out = jax.lax.scan(step, None, (given[:-1], given[1:], sigmas[:-1], sigmas[1:]))
    return out


@typed
def walk_log_prob(
    velocity: Slope,
    states: Float[Array, "S1 B *data"],
    sigmas: Float[Array, " S1"],
    strength: float | Float[Array, "..."],
    law: Walk = "sde",
) -> Float[Array, " B"]:
    """log p of a whole walk, given the noise that it began with; see `step_log_probs`."""
    return step_log_probs(velocity, states, sigmas, strength, law).sum(0)
