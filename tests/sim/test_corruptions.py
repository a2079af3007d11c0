"""The noise axis: identity, strength, determinism, and what each kind of corruption is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.sim.corruptions import CORRUPTIONS, STRENGTHS, corrupt

PIXELS = 48
LEVELS = np.array([1.5, 3.5, 5.5, 7.5, 9.5], np.float32)
"""The middles of the five severities' bands."""
KEY = jax.random.key(0)
one = jax.jit(corrupt)
apply = jax.jit(jax.vmap(corrupt, in_axes=(None, 0, 0, 0)))


def picture() -> np.ndarray:
    """Smooth colours with sharp squares, in 0.1..0.9."""
    y, x = np.mgrid[:PIXELS, :PIXELS] / PIXELS
    rgb = np.stack([x, y, 1 - x], -1)
    rgb[10:20, 12:22] = [0.9, 0.1, 0.1]
    rgb[28:40, 26:34] = [0.1, 0.1, 0.9]
    return (0.1 + 0.8 * rgb).astype(np.float32)


def corrupted(rgb: np.ndarray, key: jax.Array = KEY) -> dict[str, np.ndarray]:
    """Name -> [level, H, W, 3], all from one program."""
    count = len(CORRUPTIONS) * len(LEVELS)
    kind = jnp.arange(count) // len(LEVELS)
    strength = jnp.tile(LEVELS, len(CORRUPTIONS))
    keys = jax.random.wrap_key_data(jnp.tile(jax.random.key_data(key), (count, 1)))
    out = np.asarray(apply(jnp.asarray(rgb), kind, strength, keys))
    out = out.reshape(len(CORRUPTIONS), len(LEVELS), PIXELS, PIXELS, 3)
    return dict(zip(CORRUPTIONS, out, strict=True))


@pytest.fixture(scope="module")
def pictures() -> dict[str, np.ndarray]:
    return corrupted(picture())


def test_none_is_the_identity_bit_for_bit(pictures):
    for shown in pictures["none"]:
        np.testing.assert_array_equal(shown, picture())


def test_every_kind_changes_the_picture_more_with_strength(pictures):
    for name in CORRUPTIONS[1:]:
        change = np.abs(pictures[name] - picture()).mean((1, 2, 3))
        assert change[0] > 1e-3, name
        assert (np.diff(change) > 0).all(), (name, change)
        assert change[-1] > 3 * change[0] or name == "fog", (name, change)
        assert pictures[name].min() >= 0
        assert pictures[name].max() <= 1


def test_a_picture_of_one_colour_stays_so_under_everything_but_fog():
    grey = np.full((PIXELS, PIXELS, 3), 0.4, np.float32)
    for name, shown in corrupted(grey).items():
        if name != "fog":
            np.testing.assert_allclose(shown, 0.4, atol=1e-5, err_msg=name)


def test_whole_strengths_are_the_published_rows_and_others_lie_between():
    """The variance that a point gets from Gaussian blur, at row 4 and halfway between 4 and 5."""
    point = np.zeros((PIXELS, PIXELS, 3), np.float32)
    point[24, 24] = 1.0
    offset = np.arange(PIXELS) - 24
    for strength, sigma in ((4.0, 4.0), (4.5, 4.5), (STRENGTHS, 10.0), (STRENGTHS + 3, 10.0)):
        shown = one(jnp.asarray(point), jnp.int32(1), jnp.float32(strength), KEY)
        spread = (np.asarray(shown)[..., 0].sum(0) * offset**2).sum()
        assert spread == pytest.approx((sigma * PIXELS / 256) ** 2 + 1 / 12, rel=0.03)


def test_gaussian_blur_has_the_stated_width():
    """A point spreads to the variance (sigma H / 256)^2, plus that of a pixel, on both axes."""
    point = np.zeros((PIXELS, PIXELS, 3), np.float32)
    point[24, 24] = 1.0
    offset = np.arange(PIXELS) - 24
    for sigma, shown in zip((5.5, 7.5, 9.5), corrupted(point)["gaussian_blur"][2:], strict=True):
        for axis in (0, 1):
            profile = shown[..., 0].sum(axis)
            assert profile.sum() == pytest.approx(1.0, abs=1e-4)
            spread = (profile * offset**2).sum()
            assert spread == pytest.approx((sigma * PIXELS / 256) ** 2 + 1 / 12, rel=0.02)


def test_motion_blur_draws_a_line_of_the_stated_length():
    point = np.zeros((PIXELS, PIXELS, 3), np.float32)
    point[24, 24] = 1.0
    angles = []
    for seed in range(4):
        shown = corrupted(point, jax.random.key(seed))["motion_blur"][-1, ..., 0]
        y, x = np.mgrid[:PIXELS, :PIXELS]
        weight = shown / shown.sum()
        cov = np.cov(np.stack([x.ravel(), y.ravel()]), aweights=weight.ravel(), ddof=0)
        values, vectors = np.linalg.eigh(cov)
        along, across = values[1], values[0]
        expected = (0.603 * 17.5 * PIXELS / 256) ** 2
        assert along == pytest.approx(expected, rel=0.35)
        assert across < 0.2 * along
        angles.append(np.arctan2(*vectors[::-1, 1]))
    angles = np.abs(np.arctan(np.tan(angles)))
    assert angles.max() <= np.pi / 4 + 0.05
    assert np.ptp(angles) > 0.05


def test_zoom_blur_keeps_the_centre_and_smears_the_border(pictures):
    change = np.abs(pictures["zoom_blur"][-1] - picture()).mean(-1)
    stripes = np.zeros((PIXELS, PIXELS, 3), np.float32)
    stripes[:, ::2] = 1.0
    smeared = corrupted(stripes)["zoom_blur"][0].std(axis=(0, 2))
    assert smeared[20:28].mean() > 2 * smeared[:8].mean()
    assert change[23:25, 23:25].mean() < change.mean()


def test_fog_brightens_the_dark_and_lowers_contrast(pictures):
    for shown in pictures["fog"]:
        spread = shown.reshape(-1, 3).std(0) / picture().reshape(-1, 3).std(0)
        assert (spread < 1).all()
    saturation = np.ptp(pictures["fog"], axis=-1).mean((1, 2))
    assert (np.diff(saturation) < 0).all()


def test_glass_moves_pixels_only_nearby():
    """A point spreads no further than two displacements and the blur."""
    point = np.zeros((PIXELS, PIXELS, 3), np.float32)
    point[24, 24] = 1.0
    rows, columns = np.nonzero(corrupted(point)["glass"][-1, ..., 0] > 1e-3)
    assert len(rows) > 1
    assert max(abs(rows - 24).max(), abs(columns - 24).max()) <= 4


def test_the_key_decides(pictures):
    again, other = corrupted(picture()), corrupted(picture(), jax.random.key(1))
    for name in CORRUPTIONS:
        np.testing.assert_array_equal(again[name], pictures[name])
        if name in ("motion_blur", "fog", "glass"):
            assert np.abs(other[name] - pictures[name]).max() > 1e-3, name
        else:
            np.testing.assert_array_equal(other[name], pictures[name])


def test_alone_equals_in_a_batch(pictures):
    for number, name in enumerate(CORRUPTIONS):
        shown = one(jnp.asarray(picture()), jnp.int32(number), jnp.float32(LEVELS[3]), KEY)
        np.testing.assert_allclose(shown, pictures[name][3], atol=2e-6, err_msg=name)
