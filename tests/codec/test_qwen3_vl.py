"""What Qwen3-VL is told of pictures, and refuses to be told."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.codec import qwen3, qwen3_vision, qwen3_vl
from wamjax.pretrained import encoders

PICTURE, VIDEO = 8, 9
SIGHT = qwen3_vision.sizes(1, 8, 8, 2, out=16, grid=2, taps=(0,), patch=4)
WORDS = qwen3.sizes(10, 16, 8, 1, 2, 1, 6, across=(1, 1), pads=(PICTURE, VIDEO))
BOTH = qwen3_vl.Qwen3VlSizes(vision=SIGHT, language=WORDS)


def test_axes_take_turns():
    """As published: 24 pairs of time, 20 of rows and 20 of columns."""
    axes = qwen3.axes_of_pairs(128, (20, 20))
    assert axes[:60].tolist() == [0, 1, 2] * 20
    assert axes[60:].tolist() == [0] * 4


@pytest.mark.parametrize("row", [[1, PICTURE, 2], [PICTURE, 1, PICTURE], [PICTURE] * 3])
def test_parts_of_pictures_are_refused(row):
    with pytest.raises(ValueError, match="not whole pictures of 1 x 2 tokens"):
        qwen3_vl.positions(np.array([row]), np.ones((1, 3), bool), [(1, 2)], WORDS.pads)


def test_frames_that_fit_no_token_are_refused():
    with pytest.raises(ValueError, match="2 frames of 8 x 8"):
        qwen3_vision.Qwen3Vision(SIGHT).init(jax.random.key(0), jnp.zeros((1, 2, 8, 12, 3)))


def test_a_row_with_too_few_pictures_is_no_number():
    encoder = qwen3_vl.Qwen3VlEncoder(BOTH)
    params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), encoders.target(encoder))
    words = jnp.array([[1, PICTURE, 2, 3], [1, PICTURE, PICTURE, 3]])
    position = jnp.zeros((2, 4, 3), int)
    given = (words, words > 0, position, (jnp.zeros((2, 2, 8, 8, 3)),))
    got = encoder.apply({"params": params}, *given)
    assert np.isnan(got).all((1, 2)).tolist() == [False, True]
    assert np.isfinite(got[0]).all()
