"""Shortcut models (arXiv 2410.12557): a jump is two jumps of half its length.

    x' = x - d/2 u(x, sigma, d/2)
    target = (u(x, sigma, d/2) + u(x', sigma - d/2, d/2)) / 2     no gradient through it
    loss = |u(x, sigma, d) - target|^2       where d > 0, a part of the batch
    loss = |u(x, sigma, 0) - (noise - clean)|^2       elsewhere: flow matching

Lengths are powers of two, 1 down to 2 smallest; levels are multiples of the length. A half of the
smallest length is followed with u(., ., 0), which flow matching trains.
"""

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Bool, Float, Key, typed
from wamjax.flow.jumps import JumpVelocity, follow
from wamjax.flow.loss import velocity_loss
from wamjax.flow.path import corrupt
from wamjax.flow.path import velocity as slope_between


@typed
def draw_jumps(
    key: Key, batch: int, jumps: int, halvings: int = 7
) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """Levels and lengths of a batch of which the first `jumps` samples are jumps.

    Args:
        halvings: the smallest length that a half may have is 2^-halvings.
    """
    keys = named_keys(key, "length", "place", "flow")
    length = 2.0 ** -jax.random.randint(keys["length"], (jumps,), 0, halvings)
    multiple = jnp.ceil((1 - jax.random.uniform(keys["place"], (jumps,))) / length)
    sigma = jax.random.uniform(keys["flow"], (batch,)).at[:jumps].set(multiple * length)
    return sigma, jnp.zeros(batch).at[:jumps].set(length)


@typed
def shortcut_target(
    guide: JumpVelocity,
    x: Float[Array, "B *data"],
    slope: Float[Array, "B *data"],
    sigma: Float[Array, " B"],
    step: Float[Array, " B"],
    *,
    jumps: int,
    smallest: float = 2.0**-7,
) -> Float[Array, "B *data"]:
    """What u(x, sigma, step) is compared with; no gradient flows through the first `jumps`.

    Args:
        guide: whose half jumps are the target; it is asked for the first `jumps` samples alone.
        x, slope: of the path at sigma, noise - clean.
        sigma, step, smallest: see `shortcut_loss`.
    """
    if not jumps:
        return slope
    level, half = sigma[:jumps], step[:jumps] / 2
    told = jnp.where(half <= smallest, 0.0, half)
    first = guide(x[:jumps], level, told)
    second = guide(follow(first, x[:jumps], half), level - half, told)
    mean = jax.lax.stop_gradient((first + second) / 2)
    return jnp.concatenate([mean, slope[jumps:]])


@typed
def shortcut_loss(
    velocity: JumpVelocity,
    clean: Float[Array, "B *data"],
    noise: Float[Array, "B *data"],
    sigma: Float[Array, " B"],
    step: Float[Array, " B"],
    mask: Bool[Array, "..."],
    *,
    jumps: int,
    smallest: float = 2.0**-7,
    teacher: JumpVelocity | None = None,
) -> Float[Array, ""]:
    """Flow matching, and self-consistency of the first `jumps` samples.

    Args:
        sigma, step: of `draw_jumps`; step is 0 after the first `jumps` samples.
        mask: real entries; broadcasts.
        smallest: the length whose velocity is taken at length 0.
        teacher: whose half jumps are the target (an average of past weights); by default the
            velocity itself.
    """
    x = corrupt(clean, noise, sigma)
    target = shortcut_target(
        velocity if teacher is None else teacher,
        x,
        slope_between(clean, noise),
        sigma,
        step,
        jumps=jumps,
        smallest=smallest,
    )
    return velocity_loss(velocity(x, sigma, step), target, mask)
