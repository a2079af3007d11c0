"""Intervals of a rate against the reference table, statsmodels and their own definition."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from wamjax.eval.statistics import clopper_pearson, separate, wilson

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


COUNTS = [(s, n) for n in (1, 2, 7, 50, 333, 1600) for s in sorted({0, 1, n // 3, n - 1, n})]


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("ours", "theirs"), [(wilson, "wilson"), (clopper_pearson, "beta")])
def test_intervals_equal_statsmodels(ours, theirs, confidence):
    found = np.array([ours(*count, confidence) for count in COUNTS])
    successes, episodes = np.array(COUNTS).T
    expected = proportion_confint(successes, episodes, 1 - confidence, theirs)
    np.testing.assert_allclose(found, np.clip(np.transpose(expected), 0, 1), atol=1e-10)


@pytest.mark.parametrize("episodes", [5, 20, 50])
def test_the_exact_interval_covers_every_rate_and_wilson_the_average(episodes):
    rates = np.linspace(0.001, 0.999, 999)
    mass = scipy.stats.binom.pmf(np.arange(episodes + 1)[:, None], episodes, rates)

    def coverage(interval):
        ends = np.array([interval(s, episodes) for s in range(episodes + 1)])
        low, high = ends.T[:, :, None]
        return (mass * ((low <= rates) & (rates <= high))).sum(0)

    exact, score = coverage(clopper_pearson), coverage(wilson)
    assert exact.min() >= 0.95
    assert score.min() < 0.95  # somewhere: the price of being narrower
    assert score.mean() == pytest.approx(0.95, abs=0.01)
    assert exact.mean() > score.mean()


@settings(deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_turn_round_when_success_and_failure_change_places(count):
    successes, episodes = count
    for interval in (wilson, clopper_pearson):
        low, high = interval(successes, episodes)
        other_low, other_high = interval(episodes - successes, episodes)
        assert 0.0 <= low <= successes / episodes <= high <= 1.0
        np.testing.assert_allclose([low, high], [1 - other_high, 1 - other_low], atol=1e-12)


@pytest.mark.parametrize("bad", [(1, 0, 0.95), (-1, 5, 0.95), (6, 5, 0.95), (1, 5, 1.0)])
def test_what_is_no_rate_is_refused(bad):
    for interval in (wilson, clopper_pearson):
        with pytest.raises(ValueError, match=r"rate|confidence"):
            interval(*bad)


def test_separate_means_no_common_point():
    assert separate((0.1, 0.2), (0.3, 0.4))
    assert separate((0.3, 0.4), (0.1, 0.2))
    assert not separate((0.1, 0.3), (0.3, 0.4))
    assert not separate((0.1, 0.9), (0.3, 0.4))
