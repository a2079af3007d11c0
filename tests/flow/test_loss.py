"""The loss is a mean over the real entries and knows nothing of the others."""

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.flow.loss import masked_mean, velocity_loss

KEYS = jax.random.split(jax.random.key(0), 3)
PREDICTED = jax.random.normal(KEYS[0], (4, 3, 2))
TARGET = jax.random.normal(KEYS[1], (4, 3, 2))
MASK = jax.random.bernoulli(KEYS[2], 0.5, (4, 3, 1))
both = jax.jit(jax.value_and_grad(velocity_loss))


def test_it_is_the_mean_squared_error_over_the_real_entries():
    real = np.broadcast_to(MASK, PREDICTED.shape)
    expected = np.square(np.asarray(PREDICTED - TARGET))[real].mean()
    np.testing.assert_allclose(velocity_loss(PREDICTED, TARGET, MASK), expected, rtol=1e-6)


def test_masked_entries_change_neither_loss_nor_gradient():
    wild = jnp.where(MASK, TARGET, jnp.nan)
    loss, slope = both(PREDICTED, TARGET, MASK)
    other_loss, other_slope = both(jnp.where(MASK, PREDICTED, jnp.inf), wild, MASK)
    assert loss == other_loss
    np.testing.assert_array_equal(slope, other_slope)
    assert not np.any(np.asarray(slope)[~np.broadcast_to(MASK, slope.shape)])


def test_nothing_real_gives_zero_loss_and_gradient():
    loss, slope = both(PREDICTED, TARGET, jnp.zeros_like(MASK))
    assert loss == 0
    assert not np.any(slope)


def test_the_batch_has_one_divisor():
    """A sample with one real entry weighs as much as any other entry, not as a whole sample."""
    mask = jnp.zeros((2, 3, 1), bool).at[0].set(True).at[1, 0].set(True)
    values = jnp.stack([jnp.ones((3, 1)), 5 * jnp.ones((3, 1))])
    assert masked_mean(values, mask) == (3 * 1 + 5) / 4


def test_weights_multiply_and_do_not_divide():
    weight = jnp.array([2.0, 0.0, 0.0, 0.0])[:, None, None]
    everything = jnp.ones((4, 1, 1), bool)
    expected = 2 * jnp.square(PREDICTED[0] - TARGET[0]).sum() / PREDICTED.size
    np.testing.assert_allclose(
        velocity_loss(PREDICTED, TARGET, everything, weight), expected, rtol=1e-6
    )
