"""The autoencoder is causal, fits its interface, and learns to reconstruct."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wamjax.codec.autoencoder import Autoencoder, reconstruction_loss
from wamjax.core.runtime import once_jit
from wamjax.core.tree import count_parameters

FRAMES = jax.random.uniform(jax.random.key(0), (2, 9, 16, 24, 3), minval=-1.0)
REAL = jnp.ones((2, 9), bool)


def codec_and_weights(temporal: int):
    codec = Autoencoder(temporal=temporal, channels=8, width=16)
    weights = once_jit(codec.init)(jax.random.key(1), FRAMES)
    return codec, nn.unbox(weights)


@pytest.mark.parametrize("temporal", [1, 4])
def test_later_frames_leave_earlier_latents_and_pictures_bit_equal(temporal):
    codec, weights = codec_and_weights(temporal)
    run = jax.jit(codec.apply, static_argnames="method")
    encode = functools.partial(run, weights, method="encode")
    decode = functools.partial(run, weights, method="decode")
    latents = encode(FRAMES)
    assert latents.shape[1:] == codec.latent_shape(9, 16, 24)
    pictures = np.asarray(decode(latents))
    for group in (1, latents.shape[1] - 1):
        first_frame = 1 + (group - 1) * temporal
        frames, changed = np.array(FRAMES), np.array(latents)
        frames[:, first_frame:] += 0.5
        changed[:, group:] += 0.5
        other = np.asarray(encode(frames))
        np.testing.assert_array_equal(other[:, :group], latents[:, :group])
        assert not np.array_equal(other[:, group], latents[:, group])
        np.testing.assert_array_equal(decode(changed)[:, :first_frame], pictures[:, :first_frame])


def test_an_image_is_a_video_of_one_frame():
    codec, weights = codec_and_weights(4)
    alone = codec.apply(weights, FRAMES[:, :1], method="encode")
    whole = codec.apply(weights, FRAMES, method="encode")
    assert alone.shape[1:] == codec.latent_shape(1, 16, 24)
    np.testing.assert_allclose(alone[:, 0], whole[:, 0], atol=1e-5)


def test_the_loss_falls_below_that_of_the_mean_picture():
    codec, weights = codec_and_weights(4)
    optimizer = optax.adam(optax.cosine_decay_schedule(5e-3, 200))
    y, x = jnp.meshgrid(jnp.linspace(-1, 1, 16), jnp.linspace(-1, 1, 24), indexing="ij")
    waves = jnp.stack([x, y, jnp.ones_like(x), x * y])

    @jax.jit
    def train(weights):
        def step(carry, key):
            weights, state = carry
            colour = jax.random.uniform(key, (4, 1, 4, 3), minval=-0.5, maxval=0.5)
            still = jnp.einsum("btkc,khw->bthwc", colour, waves)
            frames = jnp.broadcast_to(still, (4, 9, 16, 24, 3))

            def loss(weights):
                latents = codec.apply(weights, frames, method="encode")
                again = codec.apply(weights, latents, method="decode")
                real = jnp.ones((4, 9), bool)
                return reconstruction_loss(frames, latents, again, real), jnp.square(
                    frames - again
                ).mean() / jnp.var(frames)

            (_, share), slope = jax.value_and_grad(loss, has_aux=True)(weights)
            updates, state = optimizer.update(slope, state)
            return (optax.apply_updates(weights, updates), state), share

        keys = jax.random.split(jax.random.key(2), 200)
        return jax.lax.scan(step, (weights, optimizer.init(weights)), keys)[1]

    assert np.asarray(train(weights))[-10:].mean() < 0.3


def test_frames_that_are_not_real_do_not_count():
    latents = jnp.ones((2, 3, 2, 3, 8))
    mask = REAL.at[1, 4:].set(False)
    wild = FRAMES.at[1, 4:].set(jnp.nan)
    loss = reconstruction_loss(FRAMES, latents, FRAMES + 0.1, mask)
    assert loss == reconstruction_loss(wild, latents, FRAMES + 0.1, mask)
    np.testing.assert_allclose(loss, 0.01, rtol=1e-3)


def test_the_true_size_is_small_and_every_weight_has_its_axes():
    codec = Autoencoder(temporal=4)
    video = jax.ShapeDtypeStruct((1, 9, 48, 48, 3), jnp.float32)
    boxed = jax.eval_shape(codec.init, jax.random.key(0), video)
    assert 1e5 < count_parameters(boxed) < 6e5
    for leaf in jax.tree.leaves(boxed, is_leaf=lambda x: isinstance(x, nn.LogicallyPartitioned)):
        assert len(leaf.names) == leaf.value.ndim
