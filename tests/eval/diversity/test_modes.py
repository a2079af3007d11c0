"""Entropy of modes: what it is at its ends, what it does not see, its bias and its interval."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from wamjax.eval.diversity import mode_entropy, mode_entropy_given_state

MEASURES = [mode_entropy, mode_entropy_given_state]


def every(states: int, rollouts: int) -> np.ndarray:
    return np.repeat(np.arange(states), rollouts)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("count", [2, 3, 6])
def test_one_way_is_zero_and_all_ways_alike_are_one(measure, count):
    states, success = every(10, 2 * count), np.ones(20 * count, bool)
    modes = np.tile(np.arange(count), 20)
    uniform = measure(modes, success, states, count=count)
    assert uniform.entropy.value == pytest.approx(1.0)
    assert uniform.corrected == 1.0
    assert (uniform.successes, uniform.states) == (20 * count, 10)
    same = measure(np.full_like(modes, count - 1), success, states, count=count)
    assert same.entropy.value == same.entropy.low == same.entropy.high == same.corrected == 0.0


def test_a_way_for_each_state_is_diverse_over_all_and_not_given_the_state():
    states, success = every(20, 8), np.ones(160, bool)
    modes = states % 2
    assert mode_entropy(modes, success, states, count=2).entropy.value == pytest.approx(1.0)
    assert mode_entropy_given_state(modes, success, states, count=2).entropy.value == 0.0


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.booleans(), st.integers(0, 4)), min_size=1, max_size=40
    ),
    st.randoms(use_true_random=False),
)
def test_neither_order_nor_names_nor_failures_count(rows, random):
    modes, success, states = (np.array(column) for column in zip(*rows))
    order = list(range(len(rows)))
    random.shuffle(order)
    renamed = np.where(success, np.array([2, 0, 1])[modes], 99)
    for measure in MEASURES:
        found = measure(modes, success, states, count=3, draws=20)
        other = measure(renamed[order], success[order], 7 - states[order], count=3, draws=20)
        again = measure(modes[success], success[success], states[success], count=3, draws=20)
        assert again == found or found.successes == 0
        for one in ("corrected", "successes", "states"):
            np.testing.assert_allclose(getattr(other, one), getattr(found, one), atol=1e-12)
        np.testing.assert_allclose(other.entropy.value, found.entropy.value, atol=1e-12)


def test_the_entropy_is_scipys():
    modes = np.array([0, 0, 1, 3, 3, 3, 3])
    found = mode_entropy(modes, np.ones(7, bool), np.arange(7), count=4)
    assert found.entropy.value == pytest.approx(scipy.stats.entropy([2, 1, 0, 4], base=4))
    miller = (3 - 1) / (2 * 7 * math.log(4))
    assert found.corrected == pytest.approx(found.entropy.value + miller)


def test_few_rollouts_look_less_diverse_than_they_are():
    rng = np.random.default_rng(0)
    for rollouts, expected in ((4, 0.78), (8, 0.90)):
        states = every(4000, rollouts)
        modes = rng.integers(2, size=len(states))
        found = mode_entropy_given_state(
            modes, np.ones(len(states), bool), states, count=2, draws=9
        )
        assert found.entropy.value == pytest.approx(expected, abs=0.01)
        # The correction is cut at 1 in states where it would go beyond.
        assert found.entropy.value < found.corrected < 1.0


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.0), (0.4, 0.35, 0.25), (0.8, 0.1, 0.1)])
def test_the_interval_covers(shares):
    rng = np.random.default_rng(1)
    truth = scipy.stats.entropy(shares, base=3)
    hits, runs = 0, 200
    for _ in range(runs):
        modes = rng.choice(3, size=100, p=shares)
        found = mode_entropy(modes, np.ones(100, bool), np.arange(100), count=3, draws=150)
        hits += found.entropy.low - 1e-9 <= truth <= found.entropy.high
    assert 0.9 < hits / runs <= 1.0


def test_without_successes_there_is_no_diversity_to_tell():
    modes, states = np.zeros(4, int), np.arange(4)
    for measure in MEASURES:
        found = measure(modes, np.zeros(4, bool), states, count=2)
        assert math.isnan(found.entropy.value)
        assert found.successes == found.states == 0
    alone = mode_entropy_given_state(modes, np.ones(4, bool), states, count=2)
    assert alone.states == 0  # a success by itself says nothing


def test_modes_that_a_task_does_not_have_are_refused():
    one = np.ones(2, bool)
    with pytest.raises(ValueError, match="no choice"):
        mode_entropy(np.zeros(2, int), one, np.arange(2), count=1)
    with pytest.raises(ValueError, match=r"0 \.\.\. 1, got 0 \.\.\. 2"):
        mode_entropy(np.array([0, 2]), one, np.arange(2), count=2)
