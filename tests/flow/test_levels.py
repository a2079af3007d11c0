"""Noise laws against SciPy's quantiles, their shift, and the coupling of the streams."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from wamjax.flow.levels import LevelLaw, LevelsConfig, draw_levels, quantile

U = np.linspace(0.01, 0.99, 33)


def shift(sigma: np.ndarray, s: float) -> np.ndarray:
    return s * sigma / (1 + (s - 1) * sigma)


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        (LevelLaw(law="uniform", shift=5.0), shift(U, 5.0)),
        (
            LevelLaw(law="logit_normal", mean=-0.4, std=1.3, shift=3.0),
            shift(special.expit(stats.norm.ppf(U, -0.4, 1.3)), 3.0),
        ),
        (LevelLaw(law="beta", alpha=7.0), stats.beta.ppf(U, 7, 1)),
        (LevelLaw(law="beta", beta=1.5, shift=0.5), shift(stats.beta.ppf(U, 1, 1.5), 0.5)),
        (LevelLaw(law="beta", alpha=1.5, beta=2.5), stats.beta.ppf(U, 1.5, 2.5)),
        (LevelLaw(law="fixed", value=0.8, shift=5.0), np.full_like(U, 0.8)),
    ],
)
def test_quantiles_are_those_of_the_law(law, expected):
    np.testing.assert_allclose(quantile(law, jnp.asarray(U, jnp.float32)), expected, atol=3e-5)


def test_draws_follow_the_law_and_stay_inside():
    law = LevelLaw(law="logit_normal", mean=0.5, std=2.0)
    config = LevelsConfig(video=law)
    drawn = np.asarray(draw_levels(config, jax.random.key(1), 20_000)["video"])
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert stats.kstest(special.logit(drawn), stats.norm(0.5, 2.0).cdf).pvalue > 1e-3


def test_shared_streams_with_one_law_have_one_level():
    levels = draw_levels(LevelsConfig(coupling="shared"), jax.random.key(0), 64)
    np.testing.assert_array_equal(levels["video"], levels["action"])


def test_shared_streams_walk_their_own_laws_side_by_side():
    config = LevelsConfig(coupling="shared", video=LevelLaw(shift=5.0), action=LevelLaw())
    levels = draw_levels(config, jax.random.key(0), 64)
    np.testing.assert_allclose(levels["video"], shift(np.asarray(levels["action"]), 5.0), rtol=1e-5)


def test_independent_streams_do_not_follow_one_another():
    levels = draw_levels(LevelsConfig(), jax.random.key(0), 4_000)
    assert abs(np.corrcoef(levels["video"], levels["action"])[0, 1]) < 0.05


def test_a_parameter_out_of_range_is_refused():
    with pytest.raises(ValueError, match="positive"):
        LevelLaw(shift=0.0)
    with pytest.raises(ValueError, match="fixed"):
        LevelLaw(law="fixed", value=1.2)
