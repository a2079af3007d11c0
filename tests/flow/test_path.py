"""The path, its velocity, and what a network may predict: derivative and inverses."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies

from wamjax.flow import path

KEYS = jax.random.split(jax.random.key(0), 3)
CLEAN = jax.random.normal(KEYS[0], (5, 3, 2))
NOISE = jax.random.normal(KEYS[1], (5, 3, 2))
SIGMA = jax.random.uniform(KEYS[2], (5,))


def close(a: jax.Array, b: jax.Array) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_velocity_is_the_derivative_of_the_path():
    _, slope = jax.jvp(lambda s: path.corrupt(CLEAN, NOISE, s), (SIGMA,), (jnp.ones_like(SIGMA),))
    close(slope, path.velocity(CLEAN, NOISE))


def test_the_path_leads_from_data_to_noise():
    np.testing.assert_array_equal(path.corrupt(CLEAN, NOISE, jnp.zeros(5)), CLEAN)
    np.testing.assert_array_equal(path.corrupt(CLEAN, NOISE, jnp.ones(5)), NOISE)


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(sigma=strategies.floats(0.0, 1.0))
def test_point_and_velocity_give_back_both_ends(sigma):
    level = jnp.full(5, sigma, jnp.float32)
    x, v = path.corrupt(CLEAN, NOISE, level), path.velocity(CLEAN, NOISE)
    close(path.clean_from_velocity(x, v, level), CLEAN)
    close(path.noise_from_velocity(x, v, level), NOISE)


@pytest.mark.parametrize(
    "prediction",
    [pytest.param(p, marks=pytest.mark.law("d", p)) for p in ("velocity", "clean", "noise")],
)
def test_any_prediction_of_the_truth_is_the_true_velocity(prediction):
    level = jnp.clip(SIGMA, path.SIGMA_FLOOR, 1 - path.SIGMA_FLOOR)
    x, v = path.corrupt(CLEAN, NOISE, level), path.velocity(CLEAN, NOISE)
    output = {"velocity": v, "clean": CLEAN, "noise": NOISE}[prediction]
    close(path.velocity_from_prediction(prediction, output, x, level), v)


def test_a_clean_prediction_stays_finite_at_sigma_zero():
    v = path.velocity_from_clean(CLEAN + 0.1, CLEAN, jnp.zeros(5))
    close(v, jnp.full_like(CLEAN, 0.1 / path.SIGMA_FLOOR))


def test_a_noise_prediction_reaches_as_near_to_noise_as_its_floor():
    """The first level of a cosine schedule lies at 0.998."""
    level = jnp.full(5, 0.998)
    x, v = path.corrupt(CLEAN, NOISE, level), path.velocity(CLEAN, NOISE)
    near = path.velocity_from_prediction("noise", NOISE, x, level, floor=1e-3)
    np.testing.assert_allclose(near, v, atol=2e-3)
    far = path.velocity_from_prediction("noise", NOISE, x, level)
    np.testing.assert_allclose(far, v * 0.002 / path.SIGMA_FLOOR, atol=1e-4)


def test_a_noise_level_of_another_batch_is_refused():
    with pytest.raises(Exception, match="sigma"):
        path.corrupt(CLEAN, NOISE, jnp.zeros(4))


def test_levels_of_tokens_corrupt_each_token_alone():
    levels = jax.random.uniform(KEYS[0], (5, 3))
    whole = path.corrupt(CLEAN, NOISE, levels)
    for token in range(3):
        close(whole[:, token], path.corrupt(CLEAN[:, token], NOISE[:, token], levels[:, token]))
    close(path.clean_from_velocity(whole, path.velocity(CLEAN, NOISE), levels), CLEAN)


def test_segments_share_their_tokens_equally_and_in_order():
    levels = jnp.array([[0.1, 0.2], [0.3, 0.4]])
    expected = [[0.1, 0.1, 0.1, 0.2, 0.2, 0.2], [0.3, 0.3, 0.3, 0.4, 0.4, 0.4]]
    close(path.per_token(levels, 6), jnp.array(expected))
    close(path.per_token(levels[:, 0], 2), jnp.array([[0.1, 0.1], [0.3, 0.3]]))
    with pytest.raises(ValueError, match="equal segments"):
        path.per_token(levels, 5)
