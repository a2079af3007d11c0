"""Policies that look at nothing: the floor every trained policy must leave behind.

    action ~ Uniform[lower, upper]        per dimension, independent in every step

Random actions and standing still are the same program with other weights, so that both share one
compilation. Neither reads the frames; XLA then drops the rendering from the rollout.
"""

import functools

import jax
import jax.numpy as jnp

from wamjax.core.errors import UserError
from wamjax.core.records import Observation
from wamjax.core.typing import AnyArray, Array, Float, Key, Params, typed
from wamjax.policy.base import Act, Policy


@functools.cache
def _uniform(chunk: int) -> Act:
    """One function object per chunk length, so that equal policies can share a program."""

    def act(weights: Params, observation: Observation, key: Key) -> Array:
        lower, upper = weights["lower"], weights["upper"]
        shape = (observation.proprio.shape[0], chunk, lower.shape[0])
        return jax.random.uniform(key, shape, jnp.float32, lower, upper)

    return act


@typed
def random_policy(
    lower: Float[AnyArray, " A"], upper: Float[AnyArray, " A"], *, chunk: int, replan: int
) -> tuple[Policy, Params]:
    """Uniform actions between the limits, and the weights that hold those.

    Args:
        lower: smallest action per dimension, raw units; the data's q01 is a good choice.
        upper: largest action, for example q99.
        chunk: actions per call.
        replan: actions executed per call.

    Raises:
        UserError: a limit is not finite or lower exceeds upper.
    """
    limits = {"lower": jnp.asarray(lower, jnp.float32), "upper": jnp.asarray(upper, jnp.float32)}
    if not bool(jnp.all(jnp.isfinite(limits["lower"]) & jnp.isfinite(limits["upper"]))):
        raise UserError("the random policy needs finite action limits; recompute the statistics.")
    if not bool(jnp.all(limits["lower"] <= limits["upper"])):
        raise UserError("a lower action limit exceeds the upper one; recompute the statistics.")
    return Policy(name="random", chunk=chunk, replan=replan, act=_uniform(chunk)), limits


def still_policy(
    *,
    width: int,
    gripper_dim: int | None,
    chunk: int,
    replan: int,
    hold: Float[AnyArray, " A"] | None = None,
) -> tuple[Policy, Params]:
    """No motion and an open gripper (1), and the weights that say so.

    Args:
        width: A.
        gripper_dim: which action opens the gripper; None when there is none.
        chunk: actions per call.
        replan: actions executed per call.
        hold: what the other numbers are; zeros by default, which is no motion where they are
            changes.
    """
    still = jnp.zeros(width, jnp.float32) if hold is None else jnp.asarray(hold, jnp.float32)
    if gripper_dim is not None:
        still = still.at[gripper_dim].set(1.0)
    policy = Policy(name="still", chunk=chunk, replan=replan, act=_uniform(chunk))
    return policy, {"lower": still, "upper": still}
