"""Solvers on the flow of a Gaussian, whose velocity and solution are closed.

data N(mu, s^2), noise N(0, 1):   a = 1 - sigma,  var = a^2 s^2 + sigma^2
v(x, sigma) = (sigma - a s^2) (x - a mu) / var - mu,   x(0) = mu + s x(1)
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.flow.grid import edm_grid, sigma_grid
from wamjax.flow.solvers import integrate

MEAN, SPREAD = 0.7, 0.6
NOISE = jax.random.normal(jax.random.key(0), (16, 3))


def gaussian_velocity(x: jax.Array, sigma: jax.Array) -> jax.Array:
    level = sigma.reshape(-1, *[1] * (x.ndim - 1))
    rest = 1 - level
    variance = rest**2 * SPREAD**2 + level**2
    return (level - rest * SPREAD**2) * (x - rest * MEAN) / variance - MEAN


def flowed(x: jax.Array, start: float, end: float) -> jax.Array:
    """Where the flow carries x from one level to another: (x - a mu) / sqrt(var) stays."""

    def spread(sigma: float) -> float:
        return ((1 - sigma) ** 2 * SPREAD**2 + sigma**2) ** 0.5

    return (1 - end) * MEAN + spread(end) / spread(start) * (x - (1 - start) * MEAN)


def error(solver: str, steps: int) -> float:
    x = integrate(gaussian_velocity, NOISE, sigma_grid(steps), solver)
    return float(jnp.abs(x - (MEAN + SPREAD * NOISE)).max())


ORDERS = {"euler": 1, "heun": 2, "unipc": 2, "adams_bashforth": 2, "ddim": 1}


@pytest.mark.parametrize(
    ("solver", "order"),
    [pytest.param(s, o, marks=pytest.mark.law("e", s)) for s, o in ORDERS.items()],
)
def test_halving_the_step_divides_the_error_by_two_to_the_order(solver, order):
    """On a part of the path without its ends, where lambda is infinite."""
    errors = []
    for steps in (32, 128):
        x = integrate(gaussian_velocity, NOISE, sigma_grid(steps, start=0.9, end=0.2), solver)
        errors.append(float(jnp.abs(x - flowed(NOISE, 0.9, 0.2)).max()))
    np.testing.assert_allclose(np.log2(errors[0] / errors[1]) / 2, order, atol=0.15)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("unipc", 2), ("adams_bashforth", 2)])
def test_the_ends_of_the_path_cost_less_than_half_an_order(solver, order):
    """Multistep solvers lose the logarithm of the number of steps there."""
    rate = np.log2(error(solver, 40) / error(solver, 160)) / 2
    assert order - 0.4 < rate < order + 0.2


@pytest.mark.law("e", "unipc")
def test_unipc_is_the_published_recursion():
    """On the host, in double precision, with the linear systems of arXiv 2302.04867 solved as they
    stand: sum over the history of r^(k-1) rho = b_k, b_k = k! phi_(k+1)(-h) (-h)^k / B."""
    grid = np.asarray(sigma_grid(7, 2.0, start=0.95, end=0.05), np.float64)
    halves = np.log((1 - grid) / grid)

    def clean_at(x: np.ndarray, place: int) -> np.ndarray:
        level = jnp.full(16, grid[place], jnp.float32)
        return x - grid[place] * np.asarray(gaussian_velocity(jnp.asarray(x), level), np.float64)

    def bends(h: float, ratios: list[float]) -> np.ndarray:
        phi, factor, right = np.expm1(-h) / -h - 1, 1, []
        for k in range(1, len(ratios) + 1):
            right.append(phi * factor / np.expm1(-h))
            factor *= k + 1
            phi = phi / -h - 1 / factor
        rows = [np.power(ratios, k) for k in range(len(ratios))]
        return np.linalg.solve(np.array(rows), np.array(right))

    def base(x: np.ndarray, clean: np.ndarray, a: int) -> np.ndarray:
        growth = np.expm1(halves[a] - halves[a + 1])
        return grid[a + 1] / grid[a] * x - (1 - grid[a + 1]) * growth * clean

    corrected = x = np.asarray(NOISE, np.float64)
    cleans: list[np.ndarray] = []
    for i in range(7):
        cleans.append(clean_at(x, i))
        if i > 0:
            h = halves[i] - halves[i - 1]
            pairs = [(cleans[i], 1.0)]
            if i > 1:
                pairs.insert(0, (cleans[i - 2], (halves[i - 2] - halves[i - 1]) / h))
            rho = bends(h, [r for _, r in pairs]) if i > 1 else [0.5]
            bend = sum(p * (m - cleans[i - 1]) / r for p, (m, r) in zip(rho, pairs, strict=True))
            corrected = base(corrected, cleans[i - 1], i - 1) - (1 - grid[i]) * np.expm1(-h) * bend
        else:
            corrected = x
        h = halves[i + 1] - halves[i]
        x = base(corrected, cleans[i], i)
        if 0 < i < 6:
            r = (halves[i - 1] - halves[i]) / h
            x = x - (1 - grid[i + 1]) * np.expm1(-h) * (cleans[i - 1] - cleans[i]) / r / 2
    ours = integrate(gaussian_velocity, NOISE, jnp.asarray(grid, jnp.float32), "unipc")
    np.testing.assert_allclose(ours, x, atol=2e-5)


@pytest.mark.law("e", "adams_bashforth")
def test_adams_bashforth_is_exact_for_a_clean_sample_that_is_a_line():
    """In lambda, after its first step, however uneven the steps are."""
    grid = np.array([0.9, 0.8, 0.5, 0.45, 0.2, 0.1])
    half = np.log((1 - grid) / grid)

    def line(x: jax.Array, sigma: jax.Array) -> jax.Array:
        level = sigma[:, None]
        return (x - (0.3 - 0.7 * (jnp.log1p(-level) - jnp.log(level)))) / level

    levels = jnp.asarray(grid, jnp.float32)
    first = np.asarray(integrate(line, NOISE, levels[:2], "euler"), np.float64)
    whole = np.exp(half) * (0.3 - 0.7 * (half - 1))
    expected = grid[-1] * (first / grid[1] + whole[-1] - whole[1])
    np.testing.assert_allclose(
        integrate(line, NOISE, levels, "adams_bashforth"), expected, atol=1e-5
    )


@pytest.mark.parametrize("solver", ["unipc", "adams_bashforth"])
def test_a_grid_of_uneven_steps_keeps_the_order(solver):
    """Steps of three lengths in turn, on a part of the path: the history's lengths must enter."""

    def walked(steps: int) -> float:
        lengths = np.tile([1.0, 3.0, 0.5], steps)
        grid = 0.9 - 0.7 * np.append(0, np.cumsum(lengths)) / lengths.sum()
        x = integrate(gaussian_velocity, NOISE, jnp.asarray(grid, jnp.float32), solver)
        return float(jnp.abs(x - flowed(NOISE, 0.9, float(grid[-1]))).max())

    assert np.log2(walked(16) / walked(64)) / 2 > 1.6


@pytest.mark.parametrize(("solver", "factor"), [("unipc", 4), ("adams_bashforth", 2)])
def test_a_second_order_multistep_solver_beats_euler_at_its_price(solver, factor):
    assert error("euler", 10) > factor * error(solver, 10)


@pytest.mark.parametrize(
    ("solver", "steps"),
    [("euler", 4), ("ddim", 4), ("remix", 4), ("unipc", 1), ("unipc", 4), ("adams_bashforth", 4)],
)
def test_data_of_one_point_are_hit_exactly(solver, steps):
    """The slope is then (x - point) / sigma all along, at both infinite ends of lambda, too."""

    def towards(x: jax.Array, sigma: jax.Array) -> jax.Array:
        return (x - 0.4) / sigma[:, None]

    x = integrate(towards, NOISE, sigma_grid(steps), solver)
    np.testing.assert_allclose(x, 0.4, atol=1e-5)


@pytest.mark.law("e", "ddim")
def test_ddim_is_euler_in_our_coordinates():
    grid = sigma_grid(7, 3.0)
    np.testing.assert_allclose(
        integrate(gaussian_velocity, NOISE, grid, "ddim"),
        integrate(gaussian_velocity, NOISE, grid, "euler"),
        atol=1e-6,
    )


@pytest.mark.law("e", "remix")
def test_remix_is_its_recursion_and_too_wide():
    """The deviation d from (1 - sigma) mean follows d' = (1 - sigma') k d + sigma' noise."""
    grid = np.asarray(sigma_grid(10), np.float64)
    deviation = 1.0
    for now, after in itertools.pairwise(grid):
        k = (1 - now) * SPREAD**2 / ((1 - now) ** 2 * SPREAD**2 + now**2)
        deviation = (1 - after) * k * deviation + after
    x = integrate(gaussian_velocity, NOISE, sigma_grid(10), "remix")
    np.testing.assert_allclose(x, MEAN + deviation * NOISE, atol=1e-5)
    assert deviation > 1.05 * SPREAD


def counting(velocity, calls: list):
    """A velocity that notes each of its evaluations while the program runs."""

    def counted(x, sigma):
        jax.debug.callback(lambda level: calls.append(float(level)), sigma[0])
        return velocity(x, sigma)

    return counted


@pytest.mark.parametrize(
    ("solver", "evaluated", "expected"),
    [
        ("euler", (), 8),
        ("heun", (), 16),
        ("unipc", (), 8),
        ("euler", (0, 1, 4), 3),
        ("unipc", (0, 1, 2, 5), 4),
        ("adams_bashforth", (0,), 1),
    ],
)
def test_the_network_is_evaluated_as_often_as_is_said(solver, evaluated, expected):
    calls: list[float] = []
    grid = sigma_grid(8, 3.0)
    x = integrate(counting(gaussian_velocity, calls), NOISE, grid, solver, evaluated=evaluated)
    x.block_until_ready()
    jax.effects_barrier()
    assert len(calls) == expected
    if evaluated:
        np.testing.assert_allclose(sorted(calls)[::-1], grid[jnp.array(evaluated)], rtol=1e-6)


def test_euler_with_reused_velocities_is_euler_on_the_coarser_grid():
    grid, evaluated = sigma_grid(9, 3.0), (0, 2, 3, 7)
    reused = integrate(gaussian_velocity, NOISE, grid, "euler", evaluated=evaluated)
    coarse = integrate(gaussian_velocity, NOISE, grid[jnp.array([*evaluated, 9])], "euler")
    np.testing.assert_allclose(reused, coarse, atol=1e-6)


@pytest.mark.parametrize("solver", ["unipc", "adams_bashforth"])
def test_reuse_is_the_solver_on_the_frozen_slope(solver):
    """For slopes that depend on the level alone: those of the last level that was asked."""
    grid, evaluated = sigma_grid(6), (0, 1, 4)
    last = jnp.array([0, 1, 1, 1, 4, 4])

    def slope(x: jax.Array, sigma: jax.Array) -> jax.Array:
        return jnp.broadcast_to(jnp.sin(5 * sigma[:, None]), x.shape)

    def frozen(x: jax.Array, sigma: jax.Array) -> jax.Array:
        place = jnp.argmin(jnp.abs(grid[:-1, None] - sigma), axis=0)
        return slope(x, grid[last[place]])

    asked = integrate(frozen, NOISE, grid, solver)
    reused = integrate(slope, NOISE, grid, solver, evaluated=evaluated)
    np.testing.assert_allclose(reused, asked, atol=1e-5)
    assert np.abs(np.asarray(integrate(slope, NOISE, grid, solver) - asked)).min() > 1e-3


@pytest.mark.parametrize(
    ("solver", "evaluated"),
    [("heun", ()), ("adams_bashforth", ()), ("unipc", ()), ("unipc", (0, 1, *range(3, 40)))],
)
def test_the_gradient_through_a_walk_is_that_of_the_flow(solver, evaluated):
    """dx(0) / dx(1) = s, although lambda is infinite at both ends of the grid."""
    grid = sigma_grid(40)
    slope = jax.grad(
        lambda x: integrate(gaussian_velocity, x, grid, solver, evaluated=evaluated).sum()
    )(NOISE)
    np.testing.assert_allclose(slope, SPREAD, atol=0.02)


def test_reuse_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="rise from 0"):
        integrate(gaussian_velocity, NOISE, sigma_grid(4), "euler", evaluated=(1, 2))
    with pytest.raises(ValueError, match="below 4"):
        integrate(gaussian_velocity, NOISE, sigma_grid(4), "euler", evaluated=(0, 4))
    with pytest.raises(ValueError, match="cannot reuse"):
        integrate(gaussian_velocity, NOISE, sigma_grid(4), "heun", evaluated=(0, 2))


@pytest.mark.parametrize("solver", ["heun", "unipc", "adams_bashforth"])
def test_streams_with_their_own_grids_are_solved_as_if_alone(solver):
    grids = {"video": sigma_grid(8, 3.0), "action": sigma_grid(8, 1.0)}
    state = {"video": NOISE, "action": NOISE[:, :1]}
    together = integrate(
        lambda x, sigma: {name: gaussian_velocity(x[name], sigma[name]) for name in x},
        state,
        grids,
        solver,
    )
    for name, grid in grids.items():
        alone = integrate(gaussian_velocity, state[name], grid, solver)
        np.testing.assert_allclose(together[name], alone, rtol=1e-5)


@pytest.mark.parametrize("shift", [0.2, 1.0, 5.0])
def test_a_grid_falls_from_start_to_end(shift):
    grid = np.asarray(sigma_grid(7, shift, start=0.9, end=0.1))
    assert grid.shape == (8,)
    assert (grid[0], grid[-1]) == (np.float32(0.9), np.float32(0.1))
    assert np.all(np.diff(grid) < 0)


def test_the_grid_of_edm_is_the_formula():
    roots = 80 ** (1 / 7) + np.arange(5) / 4 * (4 ** (1 / 7) - 80 ** (1 / 7))
    expected = np.append(roots**7 / (1 + roots**7), 0)
    np.testing.assert_allclose(edm_grid(5), expected, rtol=1e-6)
    np.testing.assert_allclose(edm_grid(1), [80 / 81, 0], rtol=1e-6)


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
