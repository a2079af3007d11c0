import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.data.normalising.normalise import Normaliser, fit
from wamjax.data.normalising.statistics import summarise

ROWS = np.random.default_rng(0).normal(size=(500, 7)) * [1, 0.01, 5, 1, 1, 1, 1] + 3
ROWS[:, 3] = 0.25
ROWS[:, 4] = 0.0
ROWS[::400, 4] = 2.0  # q01 = q99 but not constant
ROWS[:, 6] = np.arange(500) % 2
MOMENTS = summarise(lambda: [ROWS], 7)


@pytest.mark.parametrize("norm", ["quantile", "zscore", "identity"])
def test_the_inverse_gives_the_data_back(norm) -> None:
    normaliser = fit(MOMENTS, norm, grippers=(6,))
    rows = ROWS.astype(np.float32)
    back = normaliser.invert(normaliser.apply(rows))
    np.testing.assert_allclose(back, rows, rtol=2e-6, atol=2e-6)
    on_device = jax.jit(lambda n, x: n.invert(n.apply(x)))(normaliser, jnp.asarray(rows))
    np.testing.assert_allclose(on_device, back, rtol=2e-6, atol=2e-6)


def test_quantiles_go_to_plus_and_minus_one() -> None:
    normaliser = fit(MOMENTS, "quantile", grippers=(6,))
    for dim in (0, 1, 2, 5):
        ends = np.zeros((2, 7), np.float32)
        ends[:, dim] = MOMENTS.q01[dim], MOMENTS.q99[dim]
        np.testing.assert_allclose(normaliser.apply(ends)[:, dim], [-1, 1], atol=1e-5)
    share = (np.abs(normaliser.apply(ROWS)[:, 0]) <= 1).mean()
    assert share == pytest.approx(0.98, abs=0.005)


def test_zscore_has_mean_zero_and_deviation_one() -> None:
    rows = fit(MOMENTS, "zscore").apply(ROWS)
    np.testing.assert_allclose(rows[:, 0].mean(), 0, atol=1e-6)
    np.testing.assert_allclose(rows[:, 0].std(), 1, atol=1e-6)


@pytest.mark.parametrize("norm", ["quantile", "zscore"])
def test_a_constant_dimension_reads_zero_and_comes_back_constant(norm) -> None:
    normaliser = fit(MOMENTS, norm)
    assert (normaliser.apply(ROWS)[:, 3] == 0).all()
    assert (normaliser.invert(np.full((4, 7), 0.7))[:, 3] == np.float32(0.25)).all()


def test_a_rarely_moving_dimension_uses_its_range() -> None:
    rows = fit(MOMENTS, "quantile").apply(ROWS)[:, 4]
    np.testing.assert_allclose([rows.min(), rows.max()], [-1, 1], atol=1e-6)


@pytest.mark.parametrize("norm", ["quantile", "zscore"])
def test_the_gripper_is_never_normalised_by_its_statistics(norm) -> None:
    always_open = summarise(lambda: [np.ones((50, 7))], 7)
    normaliser = fit(always_open, norm, grippers=(6,))
    ends = np.zeros((2, 7))
    ends[1, 6] = 1
    np.testing.assert_array_equal(normaliser.apply(ends)[:, 6], [-1, 1])
    np.testing.assert_array_equal(normaliser.invert(np.zeros(7))[6], 0.5)


def test_padding_is_masked_and_comes_back_zero() -> None:
    normaliser = fit(MOMENTS, "quantile", width=9)
    assert normaliser.mask.tolist() == [True] * 7 + [False] * 2
    assert (normaliser.invert(np.ones(9))[7:] == 0).all()
    with pytest.raises(ValueError, match="cannot hold"):
        fit(MOMENTS, "quantile", width=6)


def test_stored_and_read_again_is_the_same() -> None:
    normaliser = fit(MOMENTS, "quantile", grippers=(6,))
    again = Normaliser.from_json(normaliser.to_json())
    jax.tree.map(np.testing.assert_array_equal, normaliser, again)
