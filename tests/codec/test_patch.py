"""The patch codec loses nothing, in either temporal stride."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.codec.patch import PatchCodec

FRAMES = jax.random.uniform(jax.random.key(0), (2, 9, 16, 24, 3), minval=-1.0)


@pytest.mark.parametrize("temporal", [1, 2, 4, 8])
@pytest.mark.parametrize("frames", [1, 9])
def test_decoding_undoes_encoding_bit_for_bit(temporal, frames):
    codec = PatchCodec(patch=8, temporal=temporal)
    video = FRAMES[:, :frames]
    latents = codec.apply({}, video, method="encode")
    assert latents.shape[1:] == codec.latent_shape(frames, 16, 24)
    np.testing.assert_array_equal(codec.apply({}, latents, method="decode"), video)


@pytest.mark.parametrize("temporal", [1, 4])
def test_encoding_undoes_decoding_where_the_first_frame_has_one_value(temporal):
    """The map onto latents is one to one, apart from the copies of the first frame."""
    codec = PatchCodec(patch=4, temporal=temporal)
    latents = jax.random.normal(jax.random.key(1), (1, 3, 2, 2, 48 * temporal))
    again = codec.apply({}, codec.apply({}, latents, method="decode"), method="encode")
    np.testing.assert_array_equal(again[:, 1:], latents[:, 1:])
    copies = latents[:, 0].reshape(1, 2, 2, temporal, 48)
    mean = jnp.broadcast_to(copies.mean(3, keepdims=True), copies.shape)
    np.testing.assert_allclose(again[:, 0], mean.reshape(latents[:, 0].shape), atol=1e-6)


def test_a_cell_is_its_own_patch_of_pixels():
    latents = PatchCodec(patch=8).apply({}, FRAMES, method="encode")
    cell = np.asarray(latents[1, 3, 1, 2]).reshape(8, 8, 3)
    np.testing.assert_array_equal(cell, FRAMES[1, 3, 8:16, 16:24])


def test_a_latent_frame_is_its_own_group_of_frames():
    latents = PatchCodec(patch=8, temporal=4).apply({}, FRAMES, method="encode")
    changed = FRAMES.at[:, 5:].add(0.1)
    other = PatchCodec(patch=8, temporal=4).apply({}, changed, method="encode")
    np.testing.assert_array_equal(latents[:, :2], other[:, :2])
    assert not np.array_equal(latents[:, 2], other[:, 2])


@pytest.mark.parametrize(("size", "hint"), [((8, 16, 16), "use 5 or 9"), ((9, 12, 16), "12 x 16")])
def test_a_size_that_does_not_fit_is_refused(size, hint):
    with pytest.raises(ValueError, match=hint):
        PatchCodec(patch=8, temporal=4).latent_shape(*size)
