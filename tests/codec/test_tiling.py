"""Tiles: what is cut and blended again is what it was, in any size."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wamjax.codec.patch import PatchCodec
from wamjax.codec.tiling import Tiled, blended, cut, side


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 20), st.integers(1, 8), st.integers(0, 7), st.integers(1, 3))
def test_tiles_cover_each_cell_with_weights_of_one(length, tile, overlap, scale):
    overlap = min(overlap, tile - 1)
    found = side(length, tile, overlap)
    total = np.zeros(length * scale)
    for start, weight in zip(found.starts, found.weights(scale), strict=True):
        assert weight.min() >= 0
        total[start * scale : (start + found.tile) * scale] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert found.starts[-1] + found.tile == length
    steps = np.diff(found.starts)
    assert (steps > 0).all()
    assert (steps <= found.tile - overlap).all()


def test_cut_and_blended_is_the_same():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 3, 14, 22, 4)), jnp.float32)
    rows, columns = side(7, 3, 1), side(11, 4, 2)
    tiles = cut(x, rows, columns)
    assert tiles.shape == (15, 2, 3, 6, 8, 4)
    np.testing.assert_allclose(blended(tiles, rows, columns), x, atol=1e-6)


def test_a_codec_of_single_cells_does_not_notice():
    codec = PatchCodec(patch=4, temporal=2)
    frames = jax.random.uniform(jax.random.key(0), (1, 5, 20, 28, 3), minval=-1.0)
    tiled = Tiled(codec, tile=3, overlap=1)
    assert tiled.latent_shape(5, 20, 28) == codec.latent_shape(5, 20, 28)
    run = functools.partial(jax.jit(tiled.apply, static_argnames="method"), {})
    latents = run(frames, method="encode")
    np.testing.assert_allclose(latents, codec.apply({}, frames, method="encode"), atol=1e-6)
    np.testing.assert_allclose(run(latents, method="decode"), frames, atol=1e-6)


def test_tiles_that_overlap_wholly_are_refused():
    frames = jnp.zeros((1, 1, 16, 16, 3))
    with pytest.raises(ValueError, match="overlap of 2"):
        Tiled(PatchCodec(patch=4), tile=2, overlap=2).apply({}, frames, method="encode")
