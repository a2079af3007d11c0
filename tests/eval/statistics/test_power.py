"""Planning against the reference table, statsmodels, exact enumeration and simulation."""

import math

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

from wamjax.core.errors import UserError
from wamjax.eval.statistics import (
    detectable,
    detectable_paired,
    episodes_per_arm,
    exact_power,
    exact_power_paired,
    mcnemar,
    pairs_needed,
    planned,
)

ARMS = [
    (0.8, 0.02, 6039),
    (0.8, 0.05, 906),
    (0.8, 0.1, 199),
    (0.5, 0.02, 9806),
    (0.5, 0.05, 1565),
    (0.5, 0.1, 388),
    (0.9, 0.05, 435),
]
PAIRS = [
    (0.02, 0.1, 1960),
    (0.05, 0.1, 312),
    (0.02, 0.2, 3923),
    (0.05, 0.2, 626),
    (0.02, 0.3, 5885),
    (0.05, 0.3, 940),
]


@pytest.mark.parametrize(("rate", "difference", "episodes"), ARMS)
def test_episodes_per_arm_equal_the_table(rate, difference, episodes):
    assert episodes_per_arm(rate, difference) == episodes
    assert episodes_per_arm(rate + difference, -difference) == episodes
    assert episodes_per_arm(1 - rate, -difference) == episodes
    found = detectable(rate, episodes)
    assert 0.99 * difference < found <= difference
    assert exact_power(rate, difference, episodes) == pytest.approx(0.8, abs=0.012)


@pytest.mark.parametrize(("difference", "discordance", "pairs"), PAIRS)
def test_pairs_equal_the_table(difference, discordance, pairs):
    assert pairs_needed(difference, discordance) == pairs
    assert pairs_needed(-difference, discordance) == pairs
    found = detectable_paired(discordance, pairs)
    assert 0.99 * difference < found <= difference
    # The exact test keeps its level at every count of discordant worlds, which costs a little.
    assert 0.76 < exact_power_paired(difference, discordance, pairs) < 0.8


@pytest.mark.parametrize(("power", "alpha"), [(0.8, 0.05), (0.9, 0.01), (0.5, 0.1)])
@pytest.mark.parametrize(("rate", "difference"), [(0.8, 0.05), (0.5, -0.1), (0.02, 0.01)])
def test_episodes_per_arm_equal_statsmodels(power, alpha, rate, difference):
    expected = samplesize_proportions_2indep_onetail(difference, rate, power, alpha=alpha)
    assert episodes_per_arm(rate, difference, power=power, alpha=alpha) == math.ceil(expected)


def test_exact_power_is_that_of_simulated_experiments():
    rng = np.random.default_rng(0)
    n, runs = 60, 40_000
    one, two = rng.binomial(n, 0.6, runs) / n, rng.binomial(n, 0.85, runs) / n
    pooled = (one + two) / 2
    z = (two - one) / np.sqrt(np.maximum(2 * pooled * (1 - pooled) / n, 1e-12))
    simulated = (np.abs(z) > scipy.stats.norm.ppf(0.975)).mean()
    assert exact_power(0.6, 0.25, n) == pytest.approx(simulated, abs=0.01)
    runs = 1000
    draw = rng.random((runs, n))
    called = [mcnemar(row < 0.25, (row >= 0.25) & (row < 0.32)) <= 0.05 for row in draw]
    assert exact_power_paired(0.18, 0.32, n) == pytest.approx(np.mean(called), abs=0.05)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_the_level_is_the_power_against_hardly_any_difference(alpha):
    assert exact_power(0.4, 1e-9, 300, alpha=alpha) == pytest.approx(alpha, abs=0.01)
    assert alpha / 2 < exact_power_paired(1e-9, 0.3, 300, alpha=alpha) <= alpha


def test_certain_differences_need_few():
    assert episodes_per_arm(0.0, 1.0) == 2
    assert exact_power(0.0, 1.0, 2) == pytest.approx(1.0)
    assert exact_power_paired(1.0, 1.0, 6) == pytest.approx(1.0)
    assert exact_power_paired(1.0, 1.0, 5) == 0.0  # 2 / 2^5 is above 5 %
    with pytest.raises(ValueError, match="too few"):
        detectable(0.9, 5)


def test_a_plan_is_one_sentence():
    sentence = planned(power=0.8, detect=5, rate=0.8)
    assert "906 episodes" in sentence
    assert "312 / 626 / 940 shared worlds" in sentence
    assert "10 / 20 / 30 %" in sentence
    assert sentence.count(".") == 1
    known = planned(power=0.8, detect=5, rate=0.8, discordance=0.2)
    assert "626 shared worlds if they differ in 20 % of them" in known
    assert "-40 points" in planned(power=0.8, detect=-40, rate=0.8)


BAD = [
    {"detect": 0},
    {"detect": 30},
    {"detect": -90},
    {"power": 1.0},
    {"power": 0.01},
    {"alpha": 0.0},
    {"rate": 80.0},
    {"discordance": 0.01},
    {"discordance": 1.5},
]


@pytest.mark.parametrize("bad", BAD)
def test_plans_that_make_no_sense_are_refused_in_a_sentence(bad):
    with pytest.raises(UserError, match="no plan for these numbers"):
        planned(**({"power": 0.8, "detect": 5, "rate": 0.8} | bad))
