"""The Laplace head against scipy: density, loss, masks, draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from wamjax.flow.losses import (
    absolute_loss,
    bounded_log_scale,
    laplace_draw,
    laplace_log_prob,
    laplace_loss,
)

KEYS = jax.random.split(jax.random.key(0), 4)
MEAN, TARGET = (jax.random.normal(key, (3, 4, 5)) for key in KEYS[:2])
LOG_SCALE = jax.random.uniform(KEYS[2], (3, 4, 5), minval=-2.0, maxval=0.5)
MASK = jax.random.bernoulli(KEYS[3], 0.6, (3, 4, 5))
CLOSED = scipy.stats.laplace.logpdf(TARGET, loc=MEAN, scale=np.exp(LOG_SCALE))


def test_the_log_probability_is_scipys():
    np.testing.assert_allclose(laplace_log_prob(TARGET, MEAN, LOG_SCALE), CLOSED.sum(-1), rtol=1e-5)


def test_the_loss_is_the_mean_of_the_closed_form_over_the_real_entries():
    expected = -CLOSED[np.asarray(MASK)].mean()
    np.testing.assert_allclose(laplace_loss(MEAN, LOG_SCALE, TARGET, MASK), expected, rtol=1e-5)


def test_with_a_fixed_scale_its_gradient_is_that_of_l1_over_the_scale():
    mine = jax.grad(laplace_loss)(MEAN, jnp.full_like(MEAN, -1.0), TARGET, MASK)
    l1 = jax.grad(absolute_loss)(MEAN, TARGET, MASK)
    np.testing.assert_allclose(mine, np.e * l1, rtol=1e-5)


def test_the_best_scale_is_the_mean_absolute_error():
    target = jnp.array([[0.5, -1.5, 4.0]])
    scale = jnp.log(jnp.abs(target).mean())
    everything = jnp.ones_like(target, bool)
    slope = jax.grad(lambda s: laplace_loss(0 * target, s + 0 * target, target, everything))
    np.testing.assert_allclose(slope(scale), 0.0, atol=1e-6)


def test_what_is_masked_changes_neither_loss_nor_gradient():
    both = jax.jit(jax.value_and_grad(laplace_loss, argnums=(0, 1)))
    wild = [jnp.where(MASK, entry, jnp.nan) for entry in (MEAN, LOG_SCALE, TARGET)]
    value, slopes = both(MEAN, LOG_SCALE, TARGET, MASK)
    other, wild_slopes = both(*wild, MASK)
    assert value == other
    for slope, wild_slope in zip(slopes, wild_slopes, strict=True):
        np.testing.assert_array_equal(slope, wild_slope)
    assert laplace_loss(*wild, jnp.zeros_like(MASK)) == 0


@pytest.mark.parametrize(("raw", "slope"), [(-3.0, 0.0), (0.2, 1.0), (1.0, 0.0)])
def test_the_log_scale_is_bounded(raw, slope):
    value, gradient = jax.value_and_grad(bounded_log_scale)(jnp.array(raw))
    assert value == np.clip(np.float32(raw), -2.0, 0.5)
    assert gradient == slope


def test_draws_have_the_law():
    mean, log_scale = jnp.full(20_000, 0.3), jnp.full(20_000, -0.7)
    drawn = np.asarray(laplace_draw(jax.random.key(1), mean, log_scale))
    law = scipy.stats.laplace(0.3, np.exp(-0.7))
    assert scipy.stats.kstest(drawn, law.cdf).pvalue > 0.01
