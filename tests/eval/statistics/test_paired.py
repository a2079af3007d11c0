"""Paired comparisons against SciPy, statsmodels and exact enumeration."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from wamjax.eval.statistics import discordant, mcnemar, paired_difference


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_equals_the_binomial_test(pairs):
    first, second = np.array(pairs).T
    wins, losses = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    expected = scipy.stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, abs=1e-12)
    table = [[int(np.sum(first & second)), wins], [losses, int(np.sum(~first & ~second))]]
    peer = statsmodels_mcnemar(table, exact=True).pvalue
    assert mcnemar(first, second) == pytest.approx(min(1.0, peer), abs=1e-12)
    assert mcnemar(first, second) == mcnemar(second, first)
    assert discordant(first, second) == (wins, losses) == discordant(second, first)[::-1]


def test_mcnemar_of_thousands_of_worlds_does_not_overflow():
    first = np.arange(5000) < 2600
    expected = scipy.stats.binomtest(2600, 5000).pvalue
    assert mcnemar(first, ~first) == pytest.approx(expected, rel=1e-9)


def outcomes(wins: int, losses: int, worlds: int) -> tuple[np.ndarray, np.ndarray]:
    place = np.arange(worlds)
    return place < wins, (place >= wins) & (place < wins + losses)


@pytest.mark.parametrize(("win", "loss"), [(0.02, 0.01), (0.1, 0.05), (0.3, 0.25), (0.05, 0.5)])
@pytest.mark.parametrize("worlds", [20, 60])
def test_the_paired_interval_covers(win, loss, worlds):
    covered = 0.0
    for wins in range(worlds + 1):
        for losses in range(worlds - wins + 1):
            counts = [wins, losses, worlds - wins - losses]
            mass = scipy.stats.multinomial.pmf(counts, worlds, [win, loss, 1 - win - loss])
            if mass < 1e-9:
                continue
            found = paired_difference(*outcomes(wins, losses, worlds))
            covered += mass * (found.low <= win - loss <= found.high)
    assert 0.93 < covered <= 1.0


def test_the_paired_interval_keeps_its_width_where_policies_never_differ():
    same = np.ones(50, bool)
    found = paired_difference(same, same)
    assert found.value == 0.0
    assert found.low == -found.high < -0.01
    assert paired_difference(same, ~same).high == 1.0
    with pytest.raises(ValueError, match="no worlds"):
        paired_difference(same[:0], same[:0])
    with pytest.raises(ValueError, match="confidence"):
        paired_difference(same, same, confidence=95.0)
