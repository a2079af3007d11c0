"""Intervals and tests against the reference table and SciPy."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from wamjax.eval.statistics import bootstrap_mean, holm, mcnemar, separate, wilson

TABLE = [
    (8, 10, 49.0, 94.3),
    (25, 50, 36.6, 63.4),
    (40, 50, 67.0, 88.8),
    (50, 50, 92.9, 100.0),
    (80, 100, 71.1, 86.7),
    (400, 500, 76.3, 83.3),
    (800, 1000, 77.4, 82.4),
    (1280, 1600, 78.0, 81.9),
    (2000, 2500, 78.4, 81.5),
    (8024, 10030, 79.2, 80.8),
]


@pytest.mark.parametrize(("successes", "episodes", "low", "high"), TABLE)
def test_wilson_equals_the_table(successes, episodes, low, high):
    found = np.array(wilson(successes, episodes)) * 100
    np.testing.assert_allclose(found, [low, high], atol=0.0501)


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipy(pair):
    successes, episodes = pair
    test = scipy.stats.binomtest(successes, episodes)
    expected = test.proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(wilson(successes, episodes), expected, atol=1e-12)
    np.testing.assert_allclose(
        wilson(successes, episodes, 0.8), test.proportion_ci(0.8, method="wilson"), atol=1e-12
    )


@pytest.mark.parametrize("bad", [(1, 0, 0.95), (-1, 5, 0.95), (6, 5, 0.95), (1, 5, 1.0)])
def test_what_is_no_rate_is_refused(bad):
    with pytest.raises(ValueError, match=r"rate|confidence"):
        wilson(*bad)


def test_separate_means_no_common_point():
    assert separate((0.1, 0.2), (0.3, 0.4))
    assert separate((0.3, 0.4), (0.1, 0.2))
    assert not separate((0.1, 0.3), (0.3, 0.4))
    assert not separate((0.1, 0.9), (0.3, 0.4))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_equals_the_binomial_test(pairs):
    first, second = np.array(pairs).T
    wins, losses = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    expected = scipy.stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, abs=1e-12)
    assert mcnemar(first, second) == mcnemar(second, first)


def test_mcnemar_of_thousands_of_worlds_does_not_overflow():
    first = np.arange(5000) < 2600
    expected = scipy.stats.binomtest(2600, 5000).pvalue
    assert mcnemar(first, ~first) == pytest.approx(expected, rel=1e-9)


def test_holm_by_hand():
    raw = {"b": 0.04, "a": 0.01, "d": 0.5, "c": 0.03}
    found = holm(raw)
    assert list(found) == list(raw)
    np.testing.assert_allclose([found[n] for n in "abcd"], [0.04, 0.09, 0.09, 0.5])
    assert holm({"x": 0.9, "y": 0.8}) == {"x": 1.0, "y": 1.0}


def test_the_bootstrap_resamples_episodes_not_windows():
    rng = np.random.default_rng(1)
    level = rng.normal(1.0, 0.2, 40)
    groups = np.repeat(np.arange(40), 50)
    totals = np.repeat(level, 50) + rng.normal(0, 0.01, 2000)
    low, high = bootstrap_mean(totals, np.ones(2000), groups)
    expected = scipy.stats.norm.interval(0.95, level.mean(), level.std() / np.sqrt(40))
    np.testing.assert_allclose([low, high], expected, atol=0.012)
    pretending = bootstrap_mean(totals, np.ones(2000), np.arange(2000))
    assert high - low > 3 * (pretending[1] - pretending[0])
