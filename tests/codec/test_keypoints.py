"""Keypoints stand where the named thing is; text, frames and cameras reach the tokens."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wamjax.codec.convolution import convolve
from wamjax.codec.keypoints import KeypointEncoder, Localiser, grid_points, spatial_softmax

KEYS = jax.random.split(jax.random.key(0), 4)
FRAMES = jax.random.uniform(KEYS[0], (2, 2, 32, 32, 3), minval=-1.0)
TEXT = jax.random.normal(KEYS[1], (2, 8))
CAMERAS = jnp.ones((2, 2), bool)
ENCODER = KeypointEncoder(width=16, tokens=3, channels=(8, 8, 6))
WEIGHTS = nn.unbox(ENCODER.init(KEYS[2], FRAMES, TEXT, CAMERAS))
encode = jax.jit(ENCODER.apply)


@pytest.mark.parametrize(
    ("size", "stride", "height"), [(8, 4, 24), (4, 2, 24), (5, 2, 24), (3, 1, 9)]
)
def test_the_convolution_is_the_sum_over_its_taps(size, stride, height):
    x = np.random.default_rng(0).normal(size=(2, height, height, 3)).astype(np.float32)
    w = np.random.default_rng(1).normal(size=(size, size, 3, 4)).astype(np.float32)
    out = -(-height // stride)
    total = max((out - 1) * stride + size - height, 0)
    low = total // 2
    padded = np.pad(x, ((0, 0), (low, total - low), (low, total - low), (0, 0)))
    expected = np.zeros((2, out, out, 4), np.float32)
    for i in range(out):
        for j in range(out):
            window = padded[:, i * stride : i * stride + size, j * stride : j * stride + size]
            expected[:, i, j] = np.einsum("bpqc,pqcd->bd", window, w)
    got = convolve(jnp.asarray(x), jnp.asarray(w), stride)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_a_peak_is_found_where_it_is():
    scores = jnp.zeros((1, 6, 8, 2)).at[0, 1, 7, 0].set(50.0).at[0, 4, 2, 1].set(50.0)
    points, _ = spatial_softmax(scores)
    x, y = (np.asarray(axis).reshape(6, 8) for axis in grid_points(6, 8))
    expected = [[x[1, 7], y[1, 7]], [x[4, 2], y[4, 2]]]
    np.testing.assert_allclose(points[0], expected, atol=1e-6)


def test_a_constant_added_to_the_scores_moves_the_strength_alone():
    scores = jax.random.normal(KEYS[3], (1, 5, 5, 3))
    points, strength = spatial_softmax(scores)
    shifted_points, shifted = spatial_softmax(scores + 200.0)
    np.testing.assert_allclose(points, shifted_points, atol=1e-4)
    np.testing.assert_allclose(shifted - strength, 200.0, rtol=1e-5)
    np.testing.assert_allclose(strength, jnp.log(jnp.exp(scores).mean((1, 2))), atol=1e-5)


def test_frames_and_text_have_a_gradient_and_so_has_every_weight():
    target = jax.random.normal(KEYS[3], (2, 3, 16))

    @jax.jit
    @functools.partial(jax.grad, argnums=(0, 1, 2))
    def slopes(weights, frames, text):
        return jnp.square(ENCODER.apply(weights, frames, text, CAMERAS) - target).mean()

    weights, frames, text = slopes(WEIGHTS, FRAMES, TEXT)
    for leaf in jax.tree.leaves(weights):
        assert np.abs(leaf).max() > 0
    assert np.all(np.abs(frames).max((2, 3, 4)) > 0)
    assert np.all(np.abs(text).max(-1) > 0)


def test_a_missing_camera_is_not_looked_at():
    mask = CAMERAS.at[:, 1].set(False)
    other = FRAMES.at[:, 1].set(0.3)
    np.testing.assert_array_equal(
        encode(WEIGHTS, FRAMES, TEXT, mask), encode(WEIGHTS, other, TEXT, mask)
    )
    assert not np.array_equal(
        encode(WEIGHTS, FRAMES, TEXT, CAMERAS), encode(WEIGHTS, other, TEXT, CAMERAS)
    )


def test_cameras_are_told_apart():
    swapped = encode(WEIGHTS, FRAMES[:, ::-1], TEXT, CAMERAS)
    assert not np.allclose(swapped, encode(WEIGHTS, FRAMES, TEXT, CAMERAS), atol=1e-3)


def test_the_named_spot_is_localised_after_a_few_steps():
    """Two spots, red and blue; the text vector names one: below 2 of 32 pixels in 150 steps."""
    localiser = Localiser((8, 8, 8), (4, 3, 3), (4, 1, 1))
    axis = jnp.arange(32) + 0.5

    def scene(key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        keys = jax.random.split(key, 3)
        spots = jax.random.uniform(keys[0], (32, 2, 2), minval=4.0, maxval=28.0)
        named = jax.random.bernoulli(keys[1], shape=(32,)).astype(int)
        x = jnp.abs(axis - spots[..., :1]) < 3
        y = jnp.abs(axis - spots[..., 1:]) < 3
        inside = y[..., :, None] & x[..., None, :]
        frames = jax.random.uniform(keys[2], (32, 32, 32, 3), minval=-0.3, maxval=0.3)
        for spot, colour in enumerate(([1.0, -1.0, -1.0], [-1.0, -1.0, 1.0])):
            frames = jnp.where(inside[:, spot, ..., None], jnp.array(colour), frames)
        # The named spot lies in front.
        front = inside[jnp.arange(32), named][..., None]
        colour = jnp.where(named[:, None] == 0, jnp.array([1.0, -1, -1]), jnp.array([-1.0, -1, 1]))
        frames = jnp.where(front, colour[:, None, None], frames)
        goal = spots[jnp.arange(32), named] / 16 - 1
        return frames[:, None], jax.nn.one_hot(named, 2) * 2, goal

    frames, text, _ = scene(KEYS[0])
    weights = {
        "localiser": nn.unbox(localiser.init(KEYS[1], frames, text)),
        "head": jax.random.normal(KEYS[2], (16, 2)) / 4,
    }
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, 150))

    @jax.jit
    def train(weights):
        def loss(weights, key):
            frames, text, goal = scene(key)
            points, _ = localiser.apply(weights["localiser"], frames, text)
            return jnp.square(points.reshape(32, 16) @ weights["head"] - goal).sum(-1).mean()

        def step(carry, key):
            weights, state = carry
            value, slope = jax.value_and_grad(loss)(weights, key)
            updates, state = optimizer.update(slope, state)
            return (optax.apply_updates(weights, updates), state), value

        keys = jax.random.split(KEYS[3], 150)
        return jax.lax.scan(step, (weights, optimizer.init(weights)), keys)[1]

    error = 16 * np.sqrt(np.asarray(train(weights))[-20:].mean())
    assert error < 2.0
