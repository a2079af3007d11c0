"""A stochastic walk on the flow of a Gaussian: Euler without noise, the flow's marginals with it.

The velocity and the solution of tests/flow/test_solvers.py, data N(0.7, 0.6^2).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from tests.flow.test_solvers import MEAN, NOISE, SPREAD, gaussian_velocity
from wamjax.flow.grid import sigma_grid
from wamjax.flow.solvers import integrate
from wamjax.flow.stochastic import draw_walk, step_log_probs, transition, walk_log_prob

GRID = sigma_grid(8, 2.0)
KEY = jax.random.key(3)
LAWS = ["sde", "injected"]


@pytest.mark.parametrize("law", LAWS)
def test_without_noise_it_is_euler_bit_for_bit(law):
    states = draw_walk(gaussian_velocity, NOISE, GRID, 0.0, KEY, law)
    assert states.shape == (9, *NOISE.shape)
    np.testing.assert_array_equal(states[0], NOISE)
    for steps in range(1, 9):
        euler = integrate(gaussian_velocity, NOISE, GRID[: steps + 1], "euler")
        np.testing.assert_array_equal(states[steps], euler)


@pytest.mark.parametrize("strength", [0.3, 0.7])
def test_the_marginals_are_the_flows(strength):
    """Mean and variance half-way and at the end, within four standard errors."""
    count, steps = 20_000, 200
    noise = jax.random.normal(jax.random.key(5), (count, 1))
    grid = sigma_grid(steps)
    states = jax.jit(lambda: draw_walk(gaussian_velocity, noise, grid, strength, KEY))()
    for place in (steps // 2, steps):
        sigma = float(grid[place])
        drawn = np.asarray(states[place], np.float64)
        variance = (1 - sigma) ** 2 * SPREAD**2 + sigma**2
        assert abs(drawn.mean() - (1 - sigma) * MEAN) < 4 * (variance / count) ** 0.5
        assert abs(drawn.var() - variance) < 4 * variance * (2 / count) ** 0.5


def test_the_walk_forgets_its_noise_where_the_flow_does_not():
    """With more noise the sample has less to do with what it began from."""
    noise = jax.random.normal(jax.random.key(5), (4000, 1))
    kept = []
    for strength in (0.0, 0.4, 1.0):
        states = draw_walk(gaussian_velocity, noise, sigma_grid(50), strength, KEY)
        kept.append(np.corrcoef(states[0, :, 0], states[-1, :, 0])[0, 1])
    assert kept[0] > 0.999
    assert kept[0] > kept[1] > kept[2]


def written(x, v, sigma, after, strength, law):
    """Mean and standard deviation, on the host in double precision."""
    if law == "injected":
        return x + (after - sigma) * v, strength
    g = strength * np.sqrt(sigma / (1 - (sigma if sigma < 1 else after)))
    drift = v + g**2 / (2 * sigma) * (x + (1 - sigma) * v)
    return x + (after - sigma) * drift, g * np.sqrt(sigma - after)


@pytest.mark.parametrize("law", LAWS)
def test_every_steps_log_probability_is_scipys(law):
    states = draw_walk(gaussian_velocity, NOISE, GRID, 0.5, KEY, law)
    ours = step_log_probs(gaussian_velocity, states, GRID, 0.5, law)
    assert ours.shape == (8, 16)
    path, grid = np.asarray(states, np.float64), np.asarray(GRID, np.float64)
    for step in range(8):
        v = np.asarray(gaussian_velocity(states[step], jnp.full(16, GRID[step])), np.float64)
        mean, std = written(path[step], v, grid[step], grid[step + 1], 0.5, law)
        expected = scipy.stats.norm.logpdf(path[step + 1], mean, std).sum(-1)
        np.testing.assert_allclose(ours[step], expected, rtol=1e-4, atol=1e-4)
    whole = walk_log_prob(gaussian_velocity, states, GRID, 0.5, law)
    np.testing.assert_allclose(whole, ours.sum(0), rtol=1e-6)


@pytest.mark.parametrize("law", LAWS)
def test_a_draw_has_the_said_mean_and_standard_deviation(law):
    x, v = jnp.full((20_000, 1), 0.4), jnp.full((20_000, 1), -0.9)
    grid = jnp.array([0.6, 0.5])
    there = draw_walk(lambda x, sigma: v, x, grid, 0.8, KEY, law)[1]
    mean, std = transition(x, v, grid[0], grid[1], 0.8, law)
    z = (np.asarray(there) - np.asarray(mean)) / np.asarray(std)
    assert scipy.stats.kstest(z.ravel(), "norm").pvalue > 0.01


def test_the_score_has_mean_zero():
    """E grad log p = 0 over walks of the policy itself, the law behind a policy gradient."""
    noise = jax.random.normal(jax.random.key(5), (20_000, 1))
    grid = sigma_grid(6)

    def velocity(parameter):
        return lambda x, sigma: gaussian_velocity(x, sigma) + parameter * (1 + sigma[:, None])

    states = draw_walk(velocity(0.1), noise, grid, 0.7, KEY)
    score = jax.jacfwd(lambda p: walk_log_prob(velocity(p), states, grid, 0.7))(0.1)
    assert abs(score.mean()) < 4 * score.std() / len(score) ** 0.5
    assert score.std() > 0.1


def test_a_learned_strength_has_a_gradient_and_the_states_have_none():
    states = draw_walk(gaussian_velocity, NOISE, GRID, 0.5, KEY, "injected")

    def total(states, strength):
        return walk_log_prob(gaussian_velocity, states, GRID, strength, "injected").sum()

    by_state, by_strength = jax.grad(total, argnums=(0, 1))(states, jnp.full(3, 0.4))
    assert not np.any(by_state)
    assert np.all(np.abs(by_strength) > 0)
