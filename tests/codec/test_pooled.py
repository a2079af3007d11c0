"""Features that nobody trains: averages of the right pixels, of one frame alone."""

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.codec.patch import depth_to_space
from wamjax.codec.pooled import pooled_patches

FRAMES = jax.random.uniform(jax.random.key(0), (2, 3, 24, 24, 3))


def test_a_token_holds_the_averages_of_its_own_place():
    """Where nothing is averaged away they are the pixels; a constant stays what it is."""
    whole = pooled_patches(FRAMES, 6, 6, 4)
    assert whole.shape == (2, 3, 36, 48)
    np.testing.assert_allclose(depth_to_space(whole.reshape(2, 3, 6, 6, 48), 4), FRAMES, atol=1e-6)
    even = pooled_patches(jnp.full_like(FRAMES, 0.3), 2, 2, 3)
    np.testing.assert_allclose(even, 0.3, atol=1e-6)
    left = FRAMES.at[:, :, :, :8].set(0.0)
    features = pooled_patches(left, 1, 3, 4)
    assert jnp.abs(features[:, :, 2] - pooled_patches(FRAMES, 1, 3, 4)[:, :, 2]).max() < 1e-6
    assert jnp.abs(features[:, :, 0]).max() < jnp.abs(features[:, :, 2]).max()


def test_frames_do_not_reach_each_other():
    before = pooled_patches(FRAMES, 3, 3, 2)
    after = pooled_patches(FRAMES.at[:, 2].add(1.0), 3, 3, 2)
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    np.testing.assert_allclose(after[:, 2], before[:, 2] + 1.0, atol=1e-5)
