"""DDPM's coordinates are ours up to a scale; its samplers on Gaussians, in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.flow import variance_preserving as vp
from wamjax.flow.path import corrupt, velocity, velocity_from_noise
from wamjax.flow.solvers import integrate

KEYS = jax.random.split(jax.random.key(0), 3)
CLEAN, NOISE = jax.random.normal(KEYS[0], (6, 4)), jax.random.normal(KEYS[1], (6, 4))


def noise_predictor(mean: float, deviation: float):
    """E[noise | z] for data N(mean, deviation^2), as the velocity function of a network on z."""

    def slope(x: jax.Array, sigma: jax.Array) -> jax.Array:
        level = sigma[:, None]
        a = vp.signal(level)
        z = x / vp.spread(level)
        noise = jnp.sqrt(1 - a) * (z - jnp.sqrt(a) * mean) / (a * deviation**2 + 1 - a)
        return velocity_from_noise(x, noise, sigma, floor=1e-4)

    return slope


@pytest.mark.parametrize("steps", [5, 20, 100])
def test_our_path_at_a_level_is_the_scaled_path_at_its_signal(steps):
    a = vp.cosine_signals(steps)
    for k in {0, steps // 2, steps - 1}:
        z = np.sqrt(a[k]) * CLEAN + np.sqrt(1 - a[k]) * NOISE
        sigma = vp.cosine_levels(steps)[k]
        x = corrupt(CLEAN, NOISE, jnp.full(6, sigma))
        np.testing.assert_allclose(x, z * vp.spread(sigma), atol=1e-6)


def test_signal_and_level_are_inverse():
    a = jnp.linspace(0.01, 1.0, 20)
    np.testing.assert_allclose(vp.signal(vp.sigma_from_signal(a)), a, rtol=1e-5)
    np.testing.assert_allclose(vp.sigma_from_signal(jnp.array([0.0, 1.0])), [1, 0])


def test_the_schedule_is_the_squared_cosine():
    """Up to its last entry, where the ratio is held at its least value."""
    t = (np.arange(1, 20) / 20 + 0.008) / 1.008
    first = np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    a = vp.cosine_signals(20)
    np.testing.assert_allclose(a[:-1], np.cos(t * np.pi / 2) ** 2 / first, rtol=1e-9)
    np.testing.assert_allclose(a[-1] / a[-2], 0.001)
    grid = np.asarray(vp.cosine_grid(20))
    assert grid.shape == (21,)
    assert grid[-1] == 0
    assert np.all(np.diff(grid) < 0)


@pytest.mark.law("d", "noise")
def test_the_true_noise_is_the_true_velocity():
    sigma = jnp.linspace(0.0, 0.95, 6)
    x = corrupt(CLEAN, NOISE, sigma)
    np.testing.assert_allclose(
        velocity_from_noise(x, NOISE, sigma), velocity(CLEAN, NOISE), atol=1e-4
    )


def ancestral(mean: float, deviation: float, steps: int) -> np.ndarray:
    grid = vp.cosine_grid(steps)
    start = jax.random.normal(KEYS[2], (4096, 16)) * vp.spread(grid[0])
    slope = noise_predictor(mean, deviation)
    return np.asarray(jax.jit(lambda x: integrate(slope, x, grid, "ddpm", key=KEYS[0]))(start))


@pytest.mark.law("e", "ddpm")
@pytest.mark.parametrize("steps", [5, 20])
def test_ancestral_sampling_of_unit_variance_is_exact_at_any_number_of_steps(steps):
    """The mean is the data's (but for the signal left at the start) and the variance is A_0: every
    step keeps variance 1, and the last one draws no noise."""
    out = ancestral(0.6, 1.0, steps)
    a = vp.cosine_signals(steps)
    np.testing.assert_allclose(out.mean(), 0.6 * (1 - np.sqrt(a[-1]) * np.sqrt(a[-1])), atol=0.015)
    np.testing.assert_allclose(out.var(), a[0], rtol=0.02)


@pytest.mark.law("e", "ddpm")
def test_ancestral_sampling_of_another_variance_tends_to_it():
    """Mean and variance of each step are linear in those of the last: the recursion is exact."""
    out = ancestral(0.6, 0.3, 20)
    a = np.append(1.0, vp.cosine_signals(20))
    mean, variance = 0.0, 1.0
    for k in range(20, 0, -1):
        gain = np.sqrt(a[k]) * 0.09 / (a[k] * 0.09 + 1 - a[k])
        ratio = a[k] / a[k - 1]
        to_clean = np.sqrt(a[k - 1]) * (1 - ratio) / (1 - a[k])
        to_state = np.sqrt(ratio) * (1 - a[k - 1]) / (1 - a[k])
        slope = to_clean * gain + to_state
        mean = slope * mean + to_clean * (0.6 - gain * np.sqrt(a[k]) * 0.6)
        variance = slope**2 * variance + (1 - ratio) * (k > 1)
    np.testing.assert_allclose(out.mean(), mean, atol=0.005)
    np.testing.assert_allclose(out.std(), np.sqrt(variance), rtol=0.02)
    errors = [abs(ancestral(0.6, 0.3, steps).std() - 0.3) for steps in (10, 40, 160)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_the_map_of_ddim_tends_to_the_closed_form():
    """z(0) = mean + deviation z: the probability flow of a Gaussian keeps its quantiles."""
    errors = []
    for steps in (20, 40, 80):
        grid = vp.cosine_grid(steps)
        out = integrate(noise_predictor(0.6, 0.3), NOISE * vp.spread(grid[0]), grid, "ddim")
        errors.append(float(jnp.abs(out - (0.6 + 0.3 * NOISE)).max()))
    rates = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(rates, 1, atol=0.3)


def test_a_key_decides_and_streams_draw_their_own_noise():
    grid = vp.cosine_grid(5)
    state = {"action": NOISE, "value": NOISE}
    grids = {"action": grid, "value": grid}

    def slopes(x, sigma):
        return {name: noise_predictor(0.0, 1.0)(x[name], sigma[name]) for name in x}

    first = integrate(slopes, state, grids, "ddpm", key=KEYS[0])
    again = integrate(slopes, state, grids, "ddpm", key=KEYS[0])
    other = integrate(slopes, state, grids, "ddpm", key=KEYS[1])
    np.testing.assert_array_equal(first["action"], again["action"])
    assert np.abs(np.asarray(first["action"] - other["action"])).min() > 0
    assert np.abs(np.asarray(first["action"] - first["value"])).min() > 0
    with pytest.raises(ValueError, match="key"):
        integrate(slopes, state, grids, "ddpm")


def test_a_clipped_walk_stays_within_the_bound_of_its_spread():
    """A wild predictor cannot leave +-5, as in Octo; a tame one is not touched."""
    grid = vp.cosine_grid(20)
    wild = integrate(lambda x, sigma: -50 * x, NOISE, grid, "ddpm", key=KEYS[0], clip=5.0)
    assert np.abs(np.asarray(wild)).max() == 5
    tame = noise_predictor(0.0, 1.0)
    np.testing.assert_array_equal(
        integrate(tame, NOISE, grid, "ddpm", key=KEYS[0], clip=50.0),
        integrate(tame, NOISE, grid, "ddpm", key=KEYS[0]),
    )
