"""A stochastic walk of one stream, in the company of others that walk without noise.

    drawn      x' ~ N(mean, std^2)            see flow.stochastic
    company    y' = y - (sigma_y - sigma_y') v_y

The company's states follow from its own noise and from the drawn states before, so that

    log p(walk | noises) = sum over steps of log N(x'; mean(x, y), std^2)

is exact for a policy that denoises a future beside its actions, and only the drawn states have to
be kept. The last axis of the drawn stream is summed over; the one before it (an action of a chunk)
keeps its own entry, since given (x, y) the actions are drawn independently of one another.
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Float, Key
from wamjax.flow.sampler import Velocity
from wamjax.flow.stochastic import transition

Streams = Mapping[str, Array]
LOG_2_PI = math.log(2 * math.pi)


def _log_density(there: Array, mean: Array, std: Array) -> Array:
    entries = -0.5 * jnp.square((there - mean) / std) - jnp.log(std) - 0.5 * LOG_2_PI
    return entries.sum(-1)


def _moved(
    velocity: Velocity, x: dict[str, Array], now: Streams, after: Streams, drawn: str
) -> tuple[dict[str, Array], Array]:
    """The company one step on, and the slope of the drawn stream."""
    rows = next(iter(x.values())).shape[0]
    slopes = velocity(x, {name: jnp.full(rows, level) for name, level in now.items()})
    company = {
        name: value + (after[name] - now[name]) * slopes[name]
        for name, value in x.items()
        if name != drawn
    }
    return company, slopes[drawn]


def _places(grids: Streams) -> tuple[Array, dict[str, Array], dict[str, Array]]:
    steps = next(iter(grids.values())).shape[0] - 1
    now = {name: grid[:-1] for name, grid in grids.items()}
    after = {name: grid[1:] for name, grid in grids.items()}
    return jnp.arange(steps), now, after


def draw_in_company(
    velocity: Velocity,
    noise: Streams,
    grids: Streams,
    strength: float,
    key: Key,
    drawn: str = "action",
) -> tuple[Float[Array, "S1 B K A"], Float[Array, "S B K"]]:
    """All states of the drawn stream, and log p of every step.

    Args:
        velocity: of all streams.
        noise: the states at the start; the drawn one is [B, K, A].
        grids: noise levels of each stream, falling, all of one length.
        strength: of the noise, under the law "sde" of flow.stochastic.
        key: every step has a draw of its own.
        drawn: which stream is drawn.
    """
    own = named_keys(key, "walk")["walk"]

    def step(x: dict[str, Array], place: tuple) -> tuple[dict[str, Array], tuple[Array, Array]]:
        index, now, after = place
        company, slope = _moved(velocity, x, now, after, drawn)
        mean, std = transition(x[drawn], slope, now[drawn], after[drawn], strength)
        draw = jax.random.normal(jax.random.fold_in(own, index), mean.shape, mean.dtype)
        there = mean + std * draw
        return {**company, drawn: there}, (there, _log_density(there, mean, std))

    _, (states, log_probs) = jax.lax.scan(step, dict(noise), _places(grids))
    return jnp.concatenate([noise[drawn][None], states]), log_probs


def log_probs_in_company(
    velocity: Velocity,
    states: Float[Array, "S1 B K A"],
    noise: Streams,
    grids: Streams,
    strength: float,
    drawn: str = "action",
) -> Float[Array, "S B K"]:
    """log p of every step of a walk that was drawn, under this velocity.

    Args:
        states: the drawn stream's, data: no gradient runs through them.
        noise: of the company, as it was when the walk was drawn.
        others: as in `draw_in_company`.
    """
    given = jax.lax.stop_gradient(states)

    @jax.checkpoint
    def step(company: dict[str, Array], place: tuple) -> tuple[dict[str, Array], Array]:
        (_, now, after), here, there = place
        company, slope = _moved(velocity, {**company, drawn: here}, now, after, drawn)
        mean, std = transition(here, slope, now[drawn], after[drawn], strength)
        return company, _log_density(there, mean, std)

    company = {name: value for name, value in noise.items() if name != drawn}
    _, out = jax.lax.scan(step, company, (_places(grids), given[:-1], given[1:]))
    return out
