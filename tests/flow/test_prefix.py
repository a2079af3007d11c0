"""Chunks that go on from actions under way: what is known is clean, at level 0, without loss."""

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.flow import prefix
from wamjax.flow.loss import velocity_loss
from wamjax.flow.path import corrupt, velocity
from wamjax.flow.prefix import continued, draw_delays, hold
from wamjax.flow.sampler import SamplerConfig, sample

KEYS = jax.random.split(jax.random.key(0), 4)
CLEAN, NOISE = jax.random.normal(KEYS[0], (5, 8, 3)), jax.random.normal(KEYS[1], (5, 8, 3))
SIGMA = jax.random.uniform(KEYS[2], (5,), minval=0.1)
DELAY = jnp.array([0, 1, 3, 7, 8])
delayed = jax.jit(prefix.delayed)


def test_known_actions_are_clean_and_the_others_are_the_path():
    chunk = delayed(CLEAN, NOISE, SIGMA, DELAY)
    chunk, whole, clean = jax.tree.map(np.asarray, (chunk, corrupt(CLEAN, NOISE, SIGMA), CLEAN))
    for row, d in enumerate(DELAY.tolist()):
        np.testing.assert_array_equal(chunk.noisy[row, :d], clean[row, :d])
        np.testing.assert_allclose(chunk.noisy[row, d:], whole[row, d:], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(chunk.sigma[row, :d], 0)
        np.testing.assert_array_equal(chunk.sigma[row, d:], SIGMA[row])
        np.testing.assert_array_equal(chunk.mask[row, :, 0], np.arange(8) >= d)


def test_no_delay_is_plain_flow_matching():
    chunk = delayed(CLEAN, NOISE, SIGMA, jnp.zeros(5, jnp.int32))
    np.testing.assert_allclose(chunk.noisy, corrupt(CLEAN, NOISE, SIGMA), rtol=1e-5, atol=1e-6)
    assert np.all(chunk.mask)


def test_the_loss_does_not_look_at_what_is_known():
    chunk = delayed(CLEAN, NOISE, SIGMA, DELAY)

    def loss(predicted):
        return velocity_loss(predicted, velocity(CLEAN, NOISE), chunk.mask)

    slope = np.asarray(jax.grad(loss)(jnp.zeros_like(CLEAN)))
    np.testing.assert_array_equal((slope != 0).all(-1), np.asarray(chunk.mask)[..., 0])


def test_levels_may_be_given_per_token():
    levels = jax.random.uniform(KEYS[3], (5, 8))
    chunk = delayed(CLEAN, NOISE, levels, DELAY)
    np.testing.assert_array_equal(chunk.sigma, jnp.where(chunk.mask[..., 0], levels, 0))


def test_delays_are_uniform_from_none_to_the_longest():
    drawn = draw_delays(jax.random.key(0), 8_000, 4)
    values, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_array_equal(values, np.arange(5))
    np.testing.assert_allclose(counts / 8_000, 0.2, atol=0.02)


def test_what_is_held_while_sampling_is_what_was_known_while_training():
    chunk = delayed(CLEAN, NOISE, SIGMA, DELAY)
    held = hold(corrupt(CLEAN, NOISE, SIGMA), CLEAN, DELAY)
    np.testing.assert_allclose(held, chunk.noisy, rtol=1e-5, atol=1e-6)


def test_a_sampler_goes_on_from_what_is_under_way():
    """Every evaluation sees it clean, at level 0; the rest walks to the point that it implies."""

    def towards_the_first(x, sigma):
        goal = x["action"][:, :1]
        return {"action": (x["action"] - goal) / jnp.maximum(sigma["action"][..., None], 0.1)}

    delay = jnp.array([1, 2, 3, 4, 5])
    config = SamplerConfig(program="action_only", steps=4)
    slopes = continued(towards_the_first, CLEAN, delay)
    out = hold(sample(config, slopes, {"action": NOISE})["action"], CLEAN, delay)
    for row, d in enumerate(delay.tolist()):
        np.testing.assert_array_equal(out[row, :d], CLEAN[row, :d])
        np.testing.assert_allclose(out[row, d:], np.tile(CLEAN[row, :1], (8 - d, 1)), atol=1e-5)
