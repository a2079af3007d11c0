import colorsys
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.train.augment import OCTO, YIQ, AugmentConfig, augment

RNG = np.random.default_rng(0)
FRAMES = jnp.asarray(RNG.integers(40, 215, (3, 2, 4, 16, 12, 3)), jnp.uint8)
KEY = jax.random.key(0)


def changed(key=KEY, frames=FRAMES, **settings):
    return np.asarray(jax.jit(augment, static_argnums=0)(AugmentConfig(**settings), frames, key))


def unit(frames):
    return np.asarray(frames, np.float64) / 255


def test_nothing_is_changed_by_default():
    np.testing.assert_array_equal(augment(AugmentConfig(), FRAMES, KEY), FRAMES)


def test_a_still_video_stays_still_and_windows_and_cameras_draw_apart():
    still = jnp.broadcast_to(FRAMES[:1, :1, :1], FRAMES.shape)
    out = np.asarray(augment(OCTO, still, KEY))
    np.testing.assert_array_equal(out, np.broadcast_to(out[:, :, :1], out.shape))
    flat = out[:, :, 0].reshape(6, -1)
    assert len(np.unique(flat, axis=0)) == 6


def test_the_whole_frame_as_the_box_is_the_frame():
    """A box of the whole frame in one camera, while the other one is cropped."""
    out = changed(crop_area=(0.5, 0.6), crop_views=(1,))
    np.testing.assert_array_equal(out[:, 0], FRAMES[:, 0])
    assert (out[:, 1] != np.asarray(FRAMES[:, 1])).any()


@pytest.mark.parametrize("area", [0.36, 0.64, 0.81])
def test_a_crop_is_a_stretched_box_of_its_area(area):
    """On a ramp the slopes are the box's sides, and the values lie within the frame's."""
    size = 64
    ramp = jnp.broadcast_to(jnp.arange(size, dtype=jnp.float32) * 3 + 20, (size, size))
    frames = jnp.stack([ramp, ramp.T, ramp * 0], axis=-1)[None, None, None].astype(jnp.uint8)
    frames = jnp.broadcast_to(frames, (16, 1, 1, size, size, 3))
    out = changed(frames=frames, crop_area=(area, area), crop_aspect=(0.8, 1.25)).astype(float)
    middle = slice(8, -8)
    across = np.diff(out[..., 0], axis=-1)[..., middle].mean((1, 2, 3, 4)) / 3
    along = np.diff(out[..., 1], axis=-2)[..., middle, :].mean((1, 2, 3, 4)) / 3
    np.testing.assert_allclose(across * along, area, rtol=0.03)
    shape = across / along
    assert shape.min() > 0.77
    assert shape.max() < 1.3
    assert np.std(shape) > 0.05
    assert out[..., 0].min() >= 20
    assert out[..., 0].max() <= 20 + 3 * (size - 1)
    # The box lies elsewhere in each window.
    assert np.std(out[:, 0, 0, 32, 32, 0]) > 1


def test_brightness_adds_one_number():
    move = unit(changed(brightness=0.1)) - unit(FRAMES)
    one = move[:, :, :1, :1, :1, :1]
    np.testing.assert_allclose(move, np.broadcast_to(one, move.shape), atol=1 / 255)
    assert np.abs(one).max() <= 0.1 + 1 / 255
    assert np.std(one) > 0.02


def test_contrast_keeps_the_mean_and_scales_what_departs_from_it():
    out, before = unit(changed(contrast=0.3)), unit(FRAMES)
    middle = before.mean((2, 3, 4), keepdims=True)
    np.testing.assert_allclose(out.mean((2, 3, 4), keepdims=True), middle, atol=1 / 255)
    gain = (out - middle).std((2, 3, 4)) / before.std((2, 3, 4))
    np.testing.assert_allclose(gain, gain[..., :1].repeat(3, -1), atol=0.02)
    assert gain.min() > 0.69
    assert gain.max() < 1.31
    assert np.std(gain) > 0.05


@pytest.mark.parametrize("name", ["saturation", "hue"])
def test_colours_turn_around_grey(name):
    # Pale enough for no colour to leave 0 ... 1.
    frames = FRAMES // 4 + 96
    out = unit(changed(frames=frames, **{name: 0.2}))
    luma = np.asarray(YIQ[0])
    np.testing.assert_allclose(out @ luma, unit(frames) @ luma, atol=1.5 / 255)
    assert np.abs(out - unit(frames)).max() > 0.02
    grey = jnp.broadcast_to(FRAMES[..., :1], FRAMES.shape)
    np.testing.assert_allclose(unit(changed(frames=grey, **{name: 0.2})), unit(grey), atol=1 / 255)


def test_the_colour_axes_are_those_of_yiq():
    """Against the standard library's, which rounds its numbers to two digits."""
    for colour in RNG.uniform(size=(20, 3)):
        np.testing.assert_allclose(
            np.asarray(YIQ) @ colour, colorsys.rgb_to_yiq(*colour), atol=0.02
        )


def test_the_same_key_draws_the_same():
    np.testing.assert_array_equal(augment(OCTO, FRAMES, KEY), augment(OCTO, FRAMES, KEY))
    other = augment(OCTO, FRAMES, jax.random.key(1))
    assert (np.asarray(other) != np.asarray(augment(OCTO, FRAMES, KEY))).any()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("crop_area", (0.0, 1.0)),
        ("crop_area", (0.9, 0.8)),
        ("crop_area", (0.9, 1.1)),
        ("crop_aspect", (0.0, 1.0)),
        ("brightness", -0.1),
        ("contrast", 1.0),
        ("hue", 0.6),
    ],
)
def test_an_impossible_setting_is_refused(field, value):
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(OCTO, **{field: value})
