"""Noise laws against SciPy's quantiles, their shift, and the coupling of the streams."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from wamjax.core.config import from_flags, from_json, to_flags, to_json
from wamjax.flow.laws import LevelLaw, quantile
from wamjax.flow.levels import LevelsConfig, draw_history_levels, draw_levels
from wamjax.flow.variance_preserving import cosine_levels

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
        (LevelLaw(law="beta", alpha=1.5, low=0.001), 0.999 * stats.beta.ppf(U, 1.5, 1) + 0.001),
        (LevelLaw(law="grid", entries=10, shift=5.0), shift(np.ceil(U * 10) / 10, 5.0)),
    ],
)
def test_quantiles_are_those_of_the_law(law, expected):
    ours = jax.jit(lambda u: quantile(law, u))(jnp.asarray(U, jnp.float32))
    np.testing.assert_allclose(ours, expected, atol=3e-5)


@pytest.mark.parametrize("law", [LevelLaw(law="grid", shift=5.0), LevelLaw(shift=3.0)])
def test_the_ends_of_a_law_stay_in_the_unit_range_under_compilation(law):
    """A fused shift rounds its end to above 1."""
    ends = jnp.array([1e-7, 1 - 1e-7, 0.5], jnp.float32)
    out = np.asarray(jax.jit(lambda u: quantile(law, jnp.tile(u, 100)))(ends))
    assert out.min() >= 0
    assert out.max() <= 1


def cosmos(sigma: np.ndarray, frames: int) -> np.ndarray:
    """The distribution function of Cosmos-Policy's law, from its words: EDM's noise level is
    log-normal for 70 % and uniform for 30 % of the draws, times the root of the frames."""
    e = sigma / (1 - sigma) / np.sqrt(frames)
    return 0.7 * stats.norm.cdf(np.log(e), np.log(4), 1.2) + 0.3 * np.clip((e - 1) / 84, 0, 1)


EDM = LevelLaw(law="edm", mean=float(np.log(4)), std=1.2, shift=3.0)
LAWS = {
    "uniform": (LevelLaw(shift=5.0), lambda s: s / (5 - 4 * s)),
    "grid": (LevelLaw(law="grid", shift=5.0), lambda s: s / (5 - 4 * s)),
    "logit_normal": (
        LevelLaw(law="logit_normal", mean=0.5, std=2.0),
        lambda s: stats.norm.cdf(special.logit(s), 0.5, 2.0),
    ),
    "beta": (LevelLaw(law="beta", alpha=7.0, beta=2.0), stats.beta(7, 2).cdf),
    "beta mirrored": (
        LevelLaw(law="beta", alpha=2.0, beta=7.0),
        lambda s: 1 - stats.beta(7, 2).cdf(1 - s),
    ),
    "pi0": (
        LevelLaw(law="beta", alpha=1.5, low=0.001),
        lambda s: stats.beta(1.5, 1).cdf((s - 0.001) / 0.999),
    ),
    # The integral of 3/2 sqrt(s).
    "root": (LevelLaw(law="beta", alpha=1.5), lambda s: s**1.5),
    "edm": (EDM, lambda s: cosmos(s, 9)),
}


@pytest.mark.parametrize(
    ("name", "stratified"),
    [
        pytest.param(name, stratified, marks=pytest.mark.law("f", LAWS[name][0].law))
        for name, stratified in [*((name, False) for name in LAWS), ("edm", True), ("grid", True)]
    ],
)
def test_draws_follow_the_law(name, stratified):
    """Kolmogorov-Smirnov: the distance is below 1.95 / sqrt(n) with probability 0.999, and below
    2 / n where the draws are stratified."""
    law, distribution = LAWS[name]
    count = 20_000
    config = LevelsConfig(video=law, stratified=stratified)
    drawn = np.sort(draw_levels(config, jax.random.key(1), count)["video"])
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    share = distribution(drawn.astype(np.float64))
    below, above = np.arange(count) / count, np.arange(1, count + 1) / count
    distance = max(np.abs(share - above).max(), np.abs(share - below).max())
    # A grid's distribution is a staircase under the curve, as high as its steps.
    grid = 1 / law.entries if law.law == "grid" else 0.0
    assert distance < (2 / count if stratified else 1.95 / count**0.5) + grid


@pytest.mark.law("f", "cosine")
def test_the_levels_of_the_cosine_schedule_are_equally_likely():
    law = LevelLaw(law="cosine", entries=20)
    drawn = np.asarray(draw_levels(LevelsConfig(action=law), jax.random.key(0), 8_000)["action"])
    levels, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_array_equal(levels, cosine_levels(20))
    assert stats.chisquare(counts).pvalue > 1e-3


def test_fixed_levels_are_fixed():
    law = LevelLaw(law="fixed", value=0.8, low=0.5)
    levels = draw_levels(LevelsConfig(video=law), jax.random.key(0), 8)
    np.testing.assert_array_equal(levels["video"], np.full(8, 0.8, np.float32))


def test_a_stratified_batch_has_one_draw_in_every_stratum():
    for segments in ({}, {"action": 3}):
        config = LevelsConfig(stratified=True)
        drawn = draw_levels(config, jax.random.key(3), 64, segments=segments)["action"]
        columns = np.asarray(drawn).reshape(64, -1)
        for column in columns.T:
            np.testing.assert_array_equal(np.sort(np.floor(column * 64)), np.arange(64))
        assert len({tuple(np.argsort(column)) for column in columns.T}) == columns.shape[1]


def test_segments_have_levels_of_their_own():
    config = LevelsConfig(others=(("value", LevelLaw(shift=3.0)),))
    levels = draw_levels(
        config,
        jax.random.key(0),
        4_000,
        streams=("video", "action", "value"),
        segments={"video": 3, "action": 2},
    )
    assert {name: level.shape for name, level in levels.items()} == {
        "video": (4_000, 3),
        "action": (4_000, 2),
        "value": (4_000,),
    }
    columns = np.concatenate([np.asarray(v).reshape(4_000, -1) for v in levels.values()], axis=1)
    assert np.abs(np.corrcoef(columns.T) - np.eye(6)).max() < 0.06


def test_shared_segments_are_shared_one_by_one():
    levels = draw_levels(
        LevelsConfig(coupling="shared"),
        jax.random.key(0),
        64,
        segments={"video": 4, "action": 4},
    )
    np.testing.assert_array_equal(levels["video"], levels["action"])
    assert len(np.unique(levels["video"][0])) == 4
    with pytest.raises(ValueError, match="one shape"):
        draw_levels(LevelsConfig(coupling="shared"), jax.random.key(0), 8, segments={"video": 4})


def test_a_draw_does_not_depend_on_who_else_is_asked():
    config = LevelsConfig(others=(("value", LevelLaw()),))
    alone = draw_levels(config, jax.random.key(0), 8, streams=("action",))
    among = draw_levels(config, jax.random.key(0), 8, streams=("value", "action", "video"))
    np.testing.assert_array_equal(alone["action"], among["action"])


def test_streams_without_a_law_or_with_two_are_refused():
    with pytest.raises(ValueError, match="tactile"):
        draw_levels(LevelsConfig(), jax.random.key(0), 8, streams=("tactile",))
    with pytest.raises(ValueError, match="one noise law"):
        LevelsConfig(others=(("video", LevelLaw()),))


def test_a_config_with_streams_of_its_own_passes_through_flags_and_json():
    config = LevelsConfig(others=(("value", EDM), ("feature", LevelLaw(shift=2.0))))
    assert from_flags(LevelsConfig, to_flags(config)) == config
    assert from_json(LevelsConfig, to_json(config)) == config
    assert hash(from_json(LevelsConfig, to_json(config))) == hash(config)


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
    with pytest.raises(ValueError, match="range"):
        LevelLaw(low=0.5, high=0.5)


def test_history_is_noised_in_its_share_of_the_examples_and_never_much():
    level = np.asarray(draw_history_levels(jax.random.key(0), 4096, 3, share=0.5, most=0.5))
    noised = level.any(axis=1)
    assert abs(noised.mean() - 0.5) < 4 * 0.5 / 64
    # A level of its own for each segment, uniform in the cleaner half.
    assert (level[noised] > 0).all()
    np.testing.assert_allclose(
        np.quantile(level[noised], [0.0, 0.25, 0.5, 0.75, 1.0]),
        [0.0, 0.125, 0.25, 0.375, 0.5],
        atol=0.015,
    )
    assert abs(np.corrcoef(level[noised].T)[0, 1]) < 0.1


def test_a_history_may_have_no_less_than_some_noise():
    law = {"share": 1.0, "least": 0.01, "most": 0.1}
    level = np.asarray(draw_history_levels(jax.random.key(0), 4096, 2, **law))
    quantiles = np.quantile(level, [0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(quantiles, [0.01, 0.0325, 0.055, 0.0775, 0.1], atol=0.003)
