"""Weights by noise level: their published forms, and which losses they make equal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.flow.edm import edm_from_sigma, precondition, sigma_from_edm
from wamjax.flow.grid import shifted
from wamjax.flow.loss import velocity_loss
from wamjax.flow.path import clean_from_velocity, corrupt, noise_from_velocity, velocity
from wamjax.flow.weights import bell_weight, equalizing_weight, loss_weight

KEYS = jax.random.split(jax.random.key(0), 4)
CLEAN, NOISE, OUTPUT = (jax.random.normal(key, (64, 3)) for key in KEYS[:3])
SIGMA = jax.random.uniform(KEYS[3], (64,), minval=0.06, maxval=0.94)
X, SLOPE = corrupt(CLEAN, NOISE, SIGMA), velocity(CLEAN, NOISE)
EVERYWHERE = jnp.ones((64, 1), bool)


def loss(predicted, target, weight):
    return velocity_loss(predicted, target, EVERYWHERE, weight[:, None])


PLAIN = loss(OUTPUT, SLOPE, jnp.ones(64))


@pytest.mark.parametrize("shift", [1.0, 5.0, 0.05])
def test_the_bell_is_the_published_weight(shift):
    """By the words of its source: a bump over the timesteps 1000 sigma of the shifted grid, its
    minimum subtracted, rescaled to the mean 1."""
    timesteps = 1000 * np.asarray(shifted(jnp.arange(1, 1001) / 1000, shift), np.float64)
    bump = np.exp(-2 * ((timesteps - 500) / 1000) ** 2)
    bump -= bump.min()
    expected = bump * 1000 / bump.sum()
    ours = np.asarray(bell_weight(jnp.asarray(timesteps / 1000, jnp.float32), shift))
    np.testing.assert_allclose(ours, expected, atol=2e-4)
    np.testing.assert_allclose(ours.mean(), 1, rtol=1e-4)


def test_a_bell_is_never_negative_and_highest_in_the_middle():
    ours = np.asarray(loss_weight("bell", jnp.linspace(0, 1, 2001)))
    assert ours.min() >= 0
    assert ours.argmax() == 1000


@pytest.mark.law("d", "velocity")
def test_edm_preconditioning_makes_the_network_a_velocity():
    e = edm_from_sigma(SIGMA)[:, None]
    np.testing.assert_allclose(sigma_from_edm(e[:, 0]), SIGMA, rtol=1e-5)
    y = CLEAN + e * NOISE
    np.testing.assert_allclose((1 - sigma_from_edm(e)) * y, X, atol=1e-4)
    np.testing.assert_allclose(
        precondition(y, OUTPUT, e), clean_from_velocity(X, OUTPUT, SIGMA), atol=1e-4
    )


def test_the_clean_loss_of_edm_is_the_velocity_loss():
    """With D of the preconditioning above and the weight ((1 + e) / e)^2."""
    e = edm_from_sigma(SIGMA)
    denoised = precondition(CLEAN + e[:, None] * NOISE, OUTPUT, e[:, None])
    published = loss(denoised, CLEAN, jnp.square((1 + e) / e))
    np.testing.assert_allclose(published, PLAIN, rtol=1e-4)
    np.testing.assert_allclose(loss_weight("edm", SIGMA), jnp.square((1 + e) / e), rtol=1e-4)


@pytest.mark.parametrize(
    ("prediction", "predicted", "target"),
    [
        ("velocity", OUTPUT, SLOPE),
        ("clean", clean_from_velocity(X, OUTPUT, SIGMA), CLEAN),
        ("noise", noise_from_velocity(X, OUTPUT, SIGMA), NOISE),
    ],
)
def test_every_prediction_has_a_weight_that_makes_it_the_velocity_loss(
    prediction, predicted, target
):
    weight = equalizing_weight(prediction, SIGMA)
    np.testing.assert_allclose(loss(predicted, target, weight), PLAIN, rtol=1e-4)


def test_no_weight_is_one():
    np.testing.assert_array_equal(loss_weight("none", SIGMA), jnp.ones(64))
