"""Rotary products depend on differences of positions only."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.model.config import Rotary
from wamjax.model.rotary import axis_pairs, rotary_angles, rotate


def test_products_depend_on_differences_only():
    query, key = jax.random.normal(jax.random.key(0), (2, 1, 5, 2, 16))
    position = np.random.default_rng(0).uniform(0, 9, (5, 3)).astype(np.float32)

    def scores(offset):
        angles = rotary_angles(position + offset, 16, Rotary())
        return jnp.einsum("BNHd,BMHd->BHNM", rotate(query, angles), rotate(key, angles))

    shift = np.array([3.0, -2.0, 5.0], np.float32)
    np.testing.assert_allclose(scores(shift), scores(0 * shift), atol=2e-5)


def test_rotation_keeps_lengths_and_position_zero_is_the_identity():
    x = jax.random.normal(jax.random.key(0), (1, 4, 2, 16))
    turned = rotate(x, rotary_angles(np.arange(12, dtype=np.float32).reshape(4, 3), 16, Rotary()))
    np.testing.assert_allclose(jnp.linalg.norm(turned, axis=-1), jnp.linalg.norm(x, axis=-1), 1e-5)
    np.testing.assert_array_equal(rotate(x, rotary_angles(np.zeros((4, 3)), 16, Rotary())), x)


def test_on_a_canvas_products_depend_on_differences_only():
    query, key = jax.random.normal(jax.random.key(0), (2, 1, 5, 4, 10))
    position = np.random.default_rng(0).uniform(0, 9, (5, 3)).astype(np.float32)
    # The larger the base, the more float32 rounds the angles.
    rotary = Rotary(base=10.0, adjacent=True, canvas=(8.0, 16.0, 16.0))

    def scores(offset):
        angles = rotary_angles(position + offset, 10, rotary, heads=4)
        assert angles.shape == (5, 4, 5)
        turned = (rotate(x, angles, adjacent=True) for x in (query, key))
        return jnp.einsum("BNHd,BMHd->BHNM", *turned)

    # 40 / 6 leaves 4: the first two pairs of the first head stand still.
    still = rotary_angles(position, 10, rotary, heads=4)[:, 0, :2]
    np.testing.assert_array_equal(still, np.zeros((5, 2)))
    shift = np.array([3.0, -2.0, 5.0], np.float32)
    np.testing.assert_allclose(scores(shift), scores(0 * shift), atol=2e-5)
    middle = position * np.array([1, 0, 0]) + np.array([0, 8, 8])
    line = (
        rotary_angles(position, 10, rotary, "line", 4),
        rotary_angles(middle, 10, rotary, heads=4),
    )
    np.testing.assert_array_equal(*line)


@pytest.mark.parametrize("head_dim", [6, 16, 20, 64, 128])
def test_all_pairs_are_dealt(head_dim):
    pairs = axis_pairs(head_dim)
    assert sum(pairs) == head_dim // 2
    assert min(pairs) > 0


def test_an_odd_head_is_refused():
    with pytest.raises(ValueError, match="even"):
        axis_pairs(7)
