"""A data set's numbers in the layout of a mixture: there and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.data.normalising.normalise import Normaliser
from wamjax.data.normalising.placed import Placed, Places

WIDTH = 9


def placed(at: tuple[int, ...], seed: int = 0) -> Placed:
    draw = np.random.default_rng(seed)
    spread = draw.uniform(0.01, 5.0, len(at)).astype(np.float32)
    own = Normaliser(
        shift=draw.normal(size=len(at)).astype(np.float32),
        scale=1 / spread,
        inverse=spread,
        mask=np.ones(len(at), bool),
    )
    return Placed(own, Places(at, WIDTH))


@pytest.mark.parametrize("at", [(0, 1, 2), (5, 2, 8), (4,), (), tuple(range(WIDTH))[::-1]])
@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_there_and_back(at, shape):
    both, draw = placed(at), np.random.default_rng(1)
    raw = draw.normal(size=(*shape, len(at))).astype(np.float32)
    wide = both.apply(raw)
    assert wide.shape == (*shape, WIDTH)
    assert wide.dtype == np.float32
    assert both.raw_width == len(at)
    # Written out number by number.
    expected = np.zeros((*shape, WIDTH), np.float32)
    for number, place in enumerate(at):
        expected[..., place] = (raw[..., number] - both.own.shift[number]) * both.own.scale[number]
    np.testing.assert_array_equal(wide, expected)
    np.testing.assert_allclose(both.invert(wide), raw, atol=1e-5)
    # What a model says about numbers that the robot lacks changes nothing.
    noise = draw.normal(size=wide.shape).astype(np.float32)
    np.testing.assert_array_equal(
        both.invert(np.where(both.mask, wide, noise)), both.invert(np.where(both.mask, wide, 0))
    )
    assert both.mask.tolist() == [place in at for place in range(WIDTH)]
    np.testing.assert_array_equal(both.narrow(wide), both.own.apply(raw))


@pytest.mark.parametrize("at", [(5, 2, 8), ()])
def test_jitted_it_is_the_same(at):
    both = placed(at)
    raw = np.random.default_rng(2).normal(size=(4, len(at))).astype(np.float32)
    there = jax.jit(lambda p, x: p.apply(x))(both, raw)
    np.testing.assert_allclose(there, both.apply(raw), atol=1e-6)
    back = jax.jit(lambda p, y: p.invert(y))(both, there)
    np.testing.assert_allclose(back, raw, atol=1e-5)
    # Its weights are leaves, its places are not.
    assert len(jax.tree.leaves(both)) == len(jax.tree.leaves(both.own))
    assert isinstance(both.apply(jnp.asarray(raw)), jax.Array)
    assert isinstance(both.apply(raw), np.ndarray)


def test_masks_are_spread_as_masks():
    places = Places((3, 0), 5)
    found = places.spread(np.array([[True, False], [True, True]]))
    assert found.dtype == bool
    assert found.tolist() == [[False, False, False, True, False], [True, False, False, True, False]]
