"""Resampled intervals: what is resampled, how often they cover, and that they repeat."""

import numpy as np
import pytest
import scipy.stats

from wamjax.eval.statistics import (
    Estimate,
    bootstrap_difference,
    bootstrap_mean,
    cluster_difference,
    cluster_rate,
    paired_difference,
)


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


def pair(rng, worlds, win=0.2, loss=0.1, rate=0.5):
    draw, both = rng.random(worlds), rng.random(worlds) < rate
    first = np.where(draw < win + loss, draw < win, both)
    return first, np.where(draw < win + loss, draw >= win, both)


def test_the_difference_equals_scipys_paired_bootstrap():
    first, second = pair(np.random.default_rng(0), 200)
    found = bootstrap_difference(first, second, draws=20_000)
    peer = scipy.stats.bootstrap(
        (first.astype(float), second.astype(float)),
        lambda one, other, axis: one.mean(axis) - other.mean(axis),
        paired=True,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found.value == pytest.approx(first.mean() - second.mean())
    np.testing.assert_allclose([found.low, found.high], peer, atol=0.0051)  # one world
    close = paired_difference(first, second)
    np.testing.assert_allclose([found.low, found.high], [close.low, close.high], atol=0.011)


def test_the_difference_covers():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(500):
        found = bootstrap_difference(*pair(rng, 100), draws=300)
        hits += found.low <= 0.1 <= found.high
    assert 0.925 < hits / 500 < 0.975


@pytest.mark.parametrize("resample_tasks", [True, False])
def test_the_mean_over_tasks_covers_what_it_resamples(resample_tasks):
    rng = np.random.default_rng(3)
    T, n, runs = 25, 40, 250
    tasks = np.repeat(np.arange(T), n)
    hits = rate_hits = 0
    for _ in range(runs):
        rates, gains = rng.uniform(0.3, 0.9, T), rng.uniform(-0.1, 0.3, T)
        second = rng.random((T, n)) < rates[:, None]
        first = np.where(rng.random((T, n)) < np.abs(gains)[:, None], gains[:, None] > 0, second)
        effects = np.where(gains > 0, gains * (1 - rates), gains * rates)
        # Of all tasks like these, or of these tasks.
        truth, rate = (0.0375, 0.6) if resample_tasks else (effects.mean(), rates.mean())
        found = cluster_difference(
            first.ravel(), second.ravel(), tasks, resample_tasks=resample_tasks, draws=200
        )
        hits += found.low <= truth <= found.high
        found = cluster_rate(second.ravel(), tasks, resample_tasks=resample_tasks, draws=200)
        rate_hits += found.low <= rate <= found.high
    assert 0.92 < hits / runs < 0.99
    assert 0.92 < rate_hits / runs < 0.99


def test_tasks_weigh_the_same_whatever_their_episodes():
    outcomes = np.array([True] * 90 + [False] * 10)
    tasks = np.array([4] * 90 + [9] * 10)
    found = cluster_rate(outcomes, tasks)
    assert found.value == 0.5
    assert (found.low, found.high) == (0.0, 1.0)  # one task twice, or the other
    kept = cluster_rate(outcomes, tasks, resample_tasks=False)
    assert kept == Estimate(0.5, 0.5, 0.5)  # within each task nothing varies


def test_one_task_is_the_plain_bootstrap():
    first, second = pair(np.random.default_rng(4), 60)
    tasks = np.full(60, 7)
    expected = bootstrap_difference(first, second)
    assert cluster_difference(first, second, tasks, resample_tasks=False) == expected


def test_equal_seeds_give_equal_intervals_and_the_order_is_nothing():
    rng = np.random.default_rng(5)
    first, second = pair(rng, 90)
    tasks = rng.integers(6, size=90)
    turn = rng.permutation(90)
    found = cluster_difference(first, second, tasks, seed=1)
    assert found == cluster_difference(first, second, tasks, seed=1)
    assert found == cluster_difference(first[turn], second[turn], tasks[turn], seed=1)
    assert found != cluster_difference(first, second, tasks, seed=2)
    back = cluster_difference(second, first, tasks, draws=20_000)
    np.testing.assert_allclose([-back.high, -back.low], [found.low, found.high], atol=0.03)


def test_nothing_to_resample_is_refused():
    none = np.zeros(0, bool)
    with pytest.raises(ValueError, match="no episodes"):
        cluster_rate(none, np.zeros(0, int))
    with pytest.raises(ValueError, match="no episodes"):
        bootstrap_difference(none, none)
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_difference(np.ones(3, bool), np.ones(3, bool), confidence=0.0)
