"""The arithmetic of RL from a reward per rollout: no critic, no rollouts, no optimizer.

    groups      G initial states with K rollouts each;   reward r [G, K], 1 for success
    advantage   A_gk = r_gk - mean of the other K - 1 rewards of the group        (sums to 0)
    informative a group counts if its rewards differ: otherwise every A in it is 0
    ratio       rho = exp(log p - log p_old), of an action, or of a chunk's walk
    objective   mean of  min(rho A, clip(rho, 1 - low, 1 + high) A)               (to be climbed)

Leave-one-out: Ahmadian et al., arXiv 2402.14740. Clipping: arXiv 1707.06347. Together with the
dropping of groups: RIPT-VLA, arXiv 2505.17016, with K = 8 and low = high = 0.1.

Where log p comes from is the policy's matter: `flow.laplace_log_prob` for a head that reads out a
mean and a scale, `flow.walk_log_prob` for a flow.
"""

import jax.numpy as jnp

from wamjax.core.typing import Array, Bool, Float, typed


@typed
def leave_one_out(reward: Float[Array, "G K"]) -> Float[Array, "G K"]:
    """Each reward less the mean of the others of its group.

    Raises:
        ValueError: groups of one.
    """
    count = reward.shape[1]
    if count < 2:
        raise ValueError(f"leave-one-out needs at least two rollouts a group, got {count}")
    others = (reward.sum(axis=1, keepdims=True) - reward) / (count - 1)
    return reward - others


@typed
def informative(reward: Float[Array, "G K"]) -> Bool[Array, " G"]:
    """Which groups have rewards that differ."""
    return (reward != reward[:, :1]).any(axis=1)


@typed
def ratios(
    log_prob: Float[Array, "*data"], old: Float[Array, "*data"], mask: Bool[Array, "*data"]
) -> Float[Array, "*data"]:
    """p / p_old; 1 where the mask is false, whatever stands there."""
    return jnp.exp(jnp.where(mask, log_prob, 0) - jnp.where(mask, old, 0))


@typed
def clipped_objective(
    log_prob: Float[Array, "*data"],
    old: Float[Array, "*data"],
    advantage: Float[Array, "..."],
    mask: Bool[Array, "*data"],
    low: float = 0.1,
    high: float = 0.1,
) -> Float[Array, ""]:
    """PPO's objective over the real entries, to be climbed; 0 where there are none.

    Args:
        log_prob, old: of the same actions under the policy that learns, and under the one that
            drew them; an entry per chunk, or per action of a chunk.
        advantage: of their rollouts; broadcasts, [N, 1] beside [N, K].
        mask: which entries count: real actions of rollouts of informative groups.
        low, high: how far the ratio may move from 1, downwards and upwards.
    """
    rho = ratios(log_prob, old, mask)
    plain = rho * advantage
    clipped = jnp.clip(rho, 1 - low, 1 + high) * advantage
    kept = jnp.where(mask, jnp.minimum(plain, clipped), 0)
    return kept.sum() / jnp.maximum(mask.sum(), 1)


@typed
def clipped_fraction(
    log_prob: Float[Array, "*data"],
    old: Float[Array, "*data"],
    mask: Bool[Array, "*data"],
    low: float = 0.1,
    high: float = 0.1,
) -> Float[Array, ""]:
    """The share of the real entries whose ratio lies outside [1 - low, 1 + high]."""
    rho = ratios(log_prob, old, mask)
    outside = mask & ((rho < 1 - low) | (rho > 1 + high))
    return outside.sum() / jnp.maximum(mask.sum(), 1)
