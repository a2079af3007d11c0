"""What becomes of an episode, kept while it runs: success is latched, divergence ends the count.

success[s] = success[s - 1] or (solved now and not yet diverged),    s = 1 .. horizon
"""

import flax.struct
import jax.numpy as jnp

from wamjax.core.typing import AnyArray, Array

NEVER = -1


@flax.struct.dataclass
class Outcome:
    """What became of E episodes.

    Attributes:
        success: bool [E], solved at some step, before any divergence.
        steps_to_success: int32 [E], steps until first solved (1 = after the first), or NEVER.
        distance: float32 [E], metres to the goal after the last step before any divergence.
        closest: float32 [E], the smallest distance on the way.
        diverged: bool [E], the physics became non-finite.
        mode: int32 [E], the way in which the task was being solved, NEVER where none showed.
        other: bool [E], what another instruction asks for was done, before any divergence.
        path: float32 [E, S + 1, D], what was tracked before the first and after every step; None
            where nothing was.
    """

    success: AnyArray
    steps_to_success: AnyArray
    distance: AnyArray
    closest: AnyArray
    diverged: AnyArray
    mode: AnyArray
    other: AnyArray
    path: AnyArray | None = None


def latch(outcome: Outcome, metrics: dict[str, Array], step: Array, horizon: int) -> Outcome:
    """`outcome` after control step `step` (counted from 1)."""
    counts = step <= horizon
    diverged = outcome.diverged | (counts & metrics["diverged"].astype(bool))
    counts = counts & ~diverged
    first = counts & metrics["success"].astype(bool) & ~outcome.success
    distance = metrics["distance"].astype(jnp.float32)
    return Outcome(
        success=outcome.success | first,
        steps_to_success=jnp.where(first, step, outcome.steps_to_success),
        distance=jnp.where(counts, distance, outcome.distance),
        closest=jnp.where(counts, jnp.minimum(outcome.closest, distance), outcome.closest),
        diverged=diverged,
        mode=jnp.where(counts, metrics["mode"].astype(jnp.int32), outcome.mode),
        other=outcome.other | (counts & metrics["other"].astype(bool)),
    )


def begin(metrics: dict[str, Array]) -> Outcome:
    """The outcome before the first step."""
    distance = metrics["distance"].astype(jnp.float32)
    return Outcome(
        success=jnp.zeros(distance.shape, bool),
        steps_to_success=jnp.full(distance.shape, NEVER, jnp.int32),
        distance=distance,
        closest=distance,
        diverged=metrics["diverged"].astype(bool),
        mode=metrics["mode"].astype(jnp.int32),
        other=jnp.zeros(distance.shape, bool),
    )
