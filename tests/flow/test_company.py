"""A drawn walk in company: alone it is flow.stochastic's, and its log p can be computed again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.flow.company import draw_in_company, log_probs_in_company
from wamjax.flow.grid import sigma_grid
from wamjax.flow.stochastic import draw_walk, step_log_probs

KEY = jax.random.key(2)
GRIDS = {"action": sigma_grid(4), "video": sigma_grid(4, 3.0)}
NOISE = {
    "action": jax.random.normal(jax.random.key(0), (3, 5, 2)),
    "video": jax.random.normal(jax.random.key(1), (3, 6, 4)),
}
ALONE = {"action": NOISE["action"]}


def pull(gain, x, sigma):
    """Each stream sees itself, its level and the other one."""
    other = x["video"].mean((1, 2))[:, None, None] if "video" in x else 0.0
    out = {"action": gain * x["action"] + sigma["action"][:, None, None] * other}
    if "video" in x:
        mean = x["action"].mean((1, 2))[:, None, None]
        out["video"] = gain * x["video"] * sigma["video"][:, None, None] + mean
    return out


def velocity(gain):
    return lambda x, sigma: pull(gain, x, sigma)


def test_alone_it_is_the_walk_of_one_stream():
    states, log_probs = draw_in_company(velocity(0.7), ALONE, {"action": GRIDS["action"]}, 0.4, KEY)

    def slope(x, sigma):
        return pull(0.7, {"action": x}, {"action": sigma})["action"]

    theirs = draw_walk(slope, NOISE["action"], GRIDS["action"], 0.4, KEY)
    np.testing.assert_allclose(states, theirs, rtol=1e-6)
    sums = step_log_probs(slope, theirs, GRIDS["action"], 0.4)
    np.testing.assert_allclose(log_probs.sum(-1), sums, rtol=1e-4)


@pytest.fixture(scope="module")
def drawn():
    return draw_in_company(velocity(0.7), NOISE, GRIDS, 0.4, KEY)


def again(gain, states, noise=NOISE):
    return log_probs_in_company(velocity(gain), states, noise, GRIDS, 0.4)


def test_what_was_drawn_has_the_same_log_probability_again(drawn):
    states, log_probs = drawn
    assert states.shape == (5, 3, 5, 2)
    assert log_probs.shape == (4, 3, 5)
    np.testing.assert_allclose(again(0.7, states), log_probs, atol=1e-4)
    assert np.abs(again(0.9, states) - log_probs).max() > 0.1


def test_the_company_follows_from_its_noise_and_moves_the_law(drawn):
    states, log_probs = drawn
    other = {**NOISE, "video": -NOISE["video"]}
    assert np.abs(again(0.7, states, other) - log_probs).max() > 0.1
    # What the drawn stream began with is the first of its states, not noise that is given.
    same = {**NOISE, "action": -NOISE["action"]}
    np.testing.assert_array_equal(again(0.7, states, same), again(0.7, states))


def test_the_gradient_runs_through_the_velocity_and_not_through_the_states(drawn):
    states, _ = drawn
    by_gain, by_states = jax.grad(lambda *a: again(*a).sum(), argnums=(0, 1))(0.7, states)
    step = 1e-2
    rise = float(again(0.7 + step, states).sum() - again(0.7 - step, states).sum())
    np.testing.assert_allclose(by_gain, rise / (2 * step), rtol=2e-2)
    assert not np.any(by_states)


def test_the_mean_draw_is_the_likeliest(drawn):
    """With the noise taken out, a step's log p is that of a Gaussian at its mean."""
    quiet, _ = draw_in_company(velocity(0.7), NOISE, GRIDS, 1e-6, KEY)
    assert again(0.7, quiet).min() > again(0.7, drawn[0]).max() - 4
    assert np.isfinite(jnp.asarray(quiet)).all()
