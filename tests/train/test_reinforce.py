"""The laws of leave-one-out advantages and of PPO's clipped objective."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.flow import laplace_draw, laplace_log_prob
from wamjax.train.reinforce import (
    clipped_fraction,
    clipped_objective,
    informative,
    leave_one_out,
    ratios,
)

KEYS = jax.random.split(jax.random.key(0), 5)
REWARD = jax.random.bernoulli(KEYS[0], 0.4, (6, 8)).astype(jnp.float32)
LOG_PROB = jax.random.normal(KEYS[1], (5, 7))
ADVANTAGE = jax.random.normal(KEYS[2], (5, 1))
EVERYTHING = jnp.ones((5, 7), bool)
MASK = jax.random.bernoulli(KEYS[3], 0.6, (5, 7))
objective = jax.jit(clipped_objective)
slope = jax.jit(jax.grad(clipped_objective))


def test_the_advantage_is_the_reward_less_the_mean_of_the_others():
    ours, reward = np.asarray(leave_one_out(REWARD)), np.asarray(REWARD)
    for group in range(6):
        for rollout in range(8):
            others = np.delete(reward[group], rollout).mean()
            np.testing.assert_allclose(
                ours[group, rollout], reward[group, rollout] - others, atol=1e-6
            )


def test_the_advantages_of_a_group_sum_to_zero():
    np.testing.assert_allclose(leave_one_out(REWARD).sum(1), 0.0, atol=1e-6)
    shifted = leave_one_out(REWARD + 3.0)
    np.testing.assert_allclose(shifted, leave_one_out(REWARD), atol=1e-5)


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        leave_one_out(REWARD[:, :1])


def test_groups_with_equal_rewards_are_dropped_and_lose_nothing():
    reward = jnp.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_array_equal(informative(reward), [False, False, True, True])
    assert not np.any(leave_one_out(reward)[~informative(reward)])


def test_at_ratio_one_its_gradient_is_the_policy_gradient():
    def policy(log_prob):
        return (jax.lax.stop_gradient(ADVANTAGE) * log_prob).mean()

    np.testing.assert_allclose(
        slope(LOG_PROB, LOG_PROB, ADVANTAGE, EVERYTHING), jax.grad(policy)(LOG_PROB), rtol=1e-5
    )
    np.testing.assert_allclose(
        objective(LOG_PROB, LOG_PROB, ADVANTAGE, EVERYTHING), ADVANTAGE.mean(), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("ratio", "advantage", "moves"),
    [
        (1.2, 1.0, False),
        (0.8, 1.0, True),
        (1.2, -1.0, True),
        (0.8, -1.0, False),
        (1.05, 1.0, True),
        (0.95, -1.0, True),
    ],
)
def test_the_clip_stops_the_gradient_where_the_gain_has_been_had(ratio, advantage, moves):
    old = jnp.zeros((1, 1))
    new, at = jnp.log(jnp.full((1, 1), ratio)), jnp.full((1, 1), advantage)
    gradient = float(slope(new, old, at, jnp.ones((1, 1), bool))[0, 0])
    np.testing.assert_allclose(gradient, ratio * advantage if moves else 0.0, rtol=1e-5)
    value = min(ratio * advantage, np.clip(ratio, 0.9, 1.1) * advantage)
    np.testing.assert_allclose(objective(new, old, at, jnp.ones((1, 1), bool)), value, rtol=1e-5)


def test_it_is_the_formula_over_the_real_entries():
    new, old, real = np.asarray(LOG_PROB), np.asarray(LOG_PROB[::-1]), np.asarray(MASK)
    rho, gain = np.exp(new - old), np.broadcast_to(ADVANTAGE, new.shape)
    best = np.minimum(rho * gain, np.clip(rho, 0.8, 1.3) * gain)[real].mean()
    ours = clipped_objective(LOG_PROB, LOG_PROB[::-1], ADVANTAGE, MASK, 0.2, 0.3)
    np.testing.assert_allclose(ours, best, rtol=1e-5)
    outside = ((rho < 0.8) | (rho > 1.3))[real].mean()
    share = clipped_fraction(LOG_PROB, LOG_PROB[::-1], MASK, 0.2, 0.3)
    np.testing.assert_allclose(share, outside, rtol=1e-6)


def test_what_is_masked_changes_neither_objective_nor_gradient():
    both = jax.jit(jax.value_and_grad(clipped_objective))
    wild = jnp.where(MASK, LOG_PROB, jnp.nan)
    value, gradient = both(LOG_PROB, LOG_PROB[::-1], ADVANTAGE, MASK)
    old = jnp.where(MASK, LOG_PROB[::-1], -jnp.inf)
    other, wild_gradient = both(wild, old, ADVANTAGE, MASK)
    assert value == other
    np.testing.assert_array_equal(gradient, wild_gradient)
    assert np.all(np.isfinite(ratios(wild, old, MASK)))
    assert objective(wild, old, ADVANTAGE, jnp.zeros_like(MASK)) == 0


def test_climbing_it_finds_the_rewarded_action():
    """A Laplace policy of one number, rewarded within 0.3 of 0.8; K rollouts from each state."""
    groups, rollouts, log_scale = 64, 8, jnp.log(0.4)

    @jax.jit
    def iteration(mean, key):
        shape = (groups, rollouts, 1)
        spread = jnp.full(shape, log_scale)
        drawn = laplace_draw(key, jnp.full(shape, mean), spread)
        reward = (jnp.abs(drawn[..., 0] - 0.8) < 0.3).astype(jnp.float32)
        mask = jnp.broadcast_to(informative(reward)[:, None], reward.shape)

        def log_prob(mean):
            return laplace_log_prob(drawn, jnp.full(shape, mean), spread)

        def total(new):
            return clipped_objective(log_prob(new), log_prob(mean), leave_one_out(reward), mask)

        return mean + 0.05 * jax.grad(total)(mean)

    mean = jnp.array(0.0)
    for key in jax.random.split(KEYS[4], 150):
        mean = iteration(mean, key)
    np.testing.assert_allclose(mean, 0.8, atol=0.1)
