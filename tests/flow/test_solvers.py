"""Solvers on the flow of a Gaussian, whose velocity and solution are closed.

data N(mu, s^2), noise N(0, 1):   a = 1 - sigma,  var = a^2 s^2 + sigma^2
v(x, sigma) = (sigma - a s^2) (x - a mu) / var - mu,   x(0) = mu + s x(1)
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.flow.grid import sigma_grid
from wamjax.flow.solvers import integrate

MEAN, SPREAD = 0.7, 0.3
NOISE = jax.random.normal(jax.random.key(0), (16, 3))


def gaussian_velocity(x: jax.Array, sigma: jax.Array) -> jax.Array:
    level = sigma.reshape(-1, *[1] * (x.ndim - 1))
    rest = 1 - level
    variance = rest**2 * SPREAD**2 + level**2
    return (level - rest * SPREAD**2) * (x - rest * MEAN) / variance - MEAN


def error(solver: str, steps: int) -> float:
    x = integrate(gaussian_velocity, NOISE, sigma_grid(steps), solver)
    return float(jnp.abs(x - (MEAN + SPREAD * NOISE)).max())


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_halving_the_step_divides_the_error_by_two_to_the_order(solver, order):
    errors = [error(solver, steps) for steps in (16, 32, 64)]
    rates = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(rates, order, atol=0.3)


def test_streams_with_their_own_grids_are_solved_as_if_alone():
    grids = {"video": sigma_grid(8, 3.0), "action": sigma_grid(8, 1.0)}
    state = {"video": NOISE, "action": NOISE[:, :1]}
    together = integrate(
        lambda x, sigma: {name: gaussian_velocity(x[name], sigma[name]) for name in x},
        state,
        grids,
        "heun",
    )
    for name, grid in grids.items():
        alone = integrate(gaussian_velocity, state[name], grid, "heun")
        np.testing.assert_allclose(together[name], alone, rtol=1e-6)


@pytest.mark.parametrize("shift", [0.2, 1.0, 5.0])
def test_a_grid_falls_from_start_to_end(shift):
    grid = np.asarray(sigma_grid(7, shift, start=0.9, end=0.1))
    assert grid.shape == (8,)
    assert (grid[0], grid[-1]) == (np.float32(0.9), np.float32(0.1))
    assert np.all(np.diff(grid) < 0)


def test_a_shifted_grid_is_the_formula():
    u = 1 - np.arange(5) / 4
    np.testing.assert_allclose(sigma_grid(4, 3.0), 3 * u / (1 + 2 * u), rtol=1e-6)


def test_part_of_a_grid_is_the_same_curve():
    """Stopping early spends the steps on the same shifted curve."""
    whole = sigma_grid(8, 5.0)
    part = functools.partial(sigma_grid, 4, 5.0)
    np.testing.assert_allclose(part(end=float(whole[4])), whole[:5], rtol=1e-5)
    np.testing.assert_allclose(part(start=float(whole[4])), whole[4:], rtol=1e-5, atol=1e-7)


def test_a_grid_without_steps_is_refused():
    with pytest.raises(ValueError, match="steps"):
        sigma_grid(0)
