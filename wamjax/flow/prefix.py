"""Action chunks that go on from actions already under way (training-time real-time chunking).

While a chunk is computed the robot executes d more actions of the last one. Training simulates it
(arXiv 2512.05964):

    token k < d     clean action, level 0, no loss
    token k >= d    x(sigma), level sigma, loss

Sampling holds the first d actions at level 0: `continued` at every evaluation, `hold` at the end.
The network must take one level per token.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Bool, Float, Int, Key, typed
from wamjax.flow.path import corrupt, per_token
from wamjax.flow.sampler import Velocity


class Delayed(NamedTuple):
    """What a network sees of a chunk, and where it is scored.

    Attributes:
        noisy: the actions, clean before the delay.
        sigma: the level of each token, 0 before the delay.
        mask: which tokens are scored.
    """

    noisy: Float[Array, "B K A"]
    sigma: Float[Array, "B K"]
    mask: Bool[Array, "B K 1"]


@typed
def under_way(delay: Int[Array, " B"], chunk: int) -> Bool[Array, "B K"]:
    """Which of the `chunk` actions are already decided."""
    return jnp.arange(chunk)[None] < delay[:, None]


@typed
def delayed(
    clean: Float[Array, "B K A"],
    noise: Float[Array, "B K A"],
    sigma: Float[Array, "B *K"],
    delay: Int[Array, " B"],
) -> Delayed:
    """A noisy chunk whose first `delay` actions are known.

    Args:
        sigma: level of each sample, or of each token.
        delay: in control ticks, 0 to K; K leaves nothing to score.
    """
    known = under_way(delay, clean.shape[1])
    level = jnp.where(known, 0.0, per_token(sigma, clean.shape[1]))
    return Delayed(corrupt(clean, noise, level), level, ~known[..., None])


@typed
def draw_delays(key: Key, batch: int, longest: int) -> Int[Array, " B"]:
    """Delays from 0 to `longest` ticks, all as likely."""
    return jax.random.randint(key, (batch,), 0, longest + 1)


@typed
def hold(
    x: Float[Array, "B K A"], actions: Float[Array, "B K A"], delay: Int[Array, " B"]
) -> Float[Array, "B K A"]:
    """x with its first `delay` tokens replaced by `actions`."""
    return jnp.where(under_way(delay, x.shape[1])[..., None], actions, x)


def continued(
    velocity: Velocity,
    actions: Float[Array, "B K A"],
    delay: Int[Array, " B"],
    stream: str = "action",
) -> Velocity:
    """The velocity function of a sampler whose first `delay` actions are under way.

    Args:
        velocity: takes one level per token of `stream`.
        actions: what is under way, and anything after it.
    """
    known = under_way(delay, actions.shape[1])

    def slopes(x: dict[str, Array], sigma: dict[str, Array]) -> dict[str, Array]:
        level = jnp.where(known, 0.0, per_token(sigma[stream], actions.shape[1]))
        held = hold(x[stream], actions, delay)
        return velocity(x | {stream: held}, sigma | {stream: level})

    return slopes
