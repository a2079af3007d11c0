"""Entropy of trajectories at its ends, and what it does not depend on."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wamjax.eval.diversity import (
    gaussian_gram,
    gram_entropy,
    trajectory_entropy,
    trajectory_entropy_given_state,
)


def paths(rng, ways: int, each: int, spread: float = 0.0) -> np.ndarray:
    """`ways` paths a metre apart, `each` times with a little noise: [N 8 3]."""
    line = np.linspace(0, 0.3, 8)[:, None] * np.array([1.0, 0.0, 0.0])
    way = np.repeat(np.arange(ways), each)[:, None, None] * np.array([0.0, 1.0, 0.0])
    return line + way + spread * rng.normal(size=(ways * each, 8, 3))


@pytest.mark.parametrize("count", [1, 2, 17])
def test_equal_trajectories_have_no_entropy_and_strangers_log_n(count):
    assert gram_entropy(np.ones((count, count))) == pytest.approx(0.0, abs=1e-9)
    assert gram_entropy(np.eye(count)) == pytest.approx(math.log(count), abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_groups_of_equal_trajectories_have_the_entropy_of_their_shares(sizes):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    gram = (groups[:, None] == groups).astype(float)
    shares = np.array(sizes) / sum(sizes)
    assert gram_entropy(gram) == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-9)


def test_order_does_not_count_and_a_wider_kernel_sees_less():
    rng = np.random.default_rng(0)
    some = paths(rng, 4, 6, spread=0.005)
    found = [
        gram_entropy(gaussian_gram(some, width=width)) for width in (0.01, 0.05, 0.5, 5.0, 500.0)
    ]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 1e-4
    assert found[1] == pytest.approx(math.log(4), abs=0.2)
    turned = some[rng.permutation(24)]
    assert gram_entropy(gaussian_gram(turned, width=0.05)) == pytest.approx(found[1])


def test_one_way_from_each_state_is_nothing_given_the_state():
    some, states = paths(np.random.default_rng(1), 5, 4), np.repeat(np.arange(5), 4)
    gram = gaussian_gram(some, width=0.05)
    over_all = trajectory_entropy(gram, states, draws=50)
    assert over_all.value == pytest.approx(math.log(5))
    # Resampled states repeat, so they show less; the interval says that there may be more.
    assert over_all.high > over_all.value + 0.1
    given = trajectory_entropy_given_state(gram, states, draws=50)
    assert given.value == pytest.approx(0.0, abs=1e-6)


def test_two_ways_from_every_state_are_seen_given_the_state():
    some = np.tile(paths(np.random.default_rng(2), 2, 3), (6, 1, 1))
    states = np.repeat(np.arange(6), 6)
    gram = gaussian_gram(some, width=0.05)
    given = trajectory_entropy_given_state(gram, states)
    np.testing.assert_allclose([given.value, given.low, given.high], math.log(2), atol=1e-6)
    over_all = trajectory_entropy(gram, states, draws=50)
    np.testing.assert_allclose(
        [over_all.value, over_all.low, over_all.high], math.log(2), atol=1e-6
    )


def test_the_interval_holds_the_entropy_of_many_more():
    rng = np.random.default_rng(3)

    def gram(count):
        way = rng.choice(4, size=count, p=[0.4, 0.3, 0.2, 0.1])
        return gaussian_gram(paths(rng, 4, 1)[way], width=0.05)

    truth = gram_entropy(gram(1500))
    hits = 0
    for _ in range(40):
        found = trajectory_entropy(gram(40), np.arange(40), draws=60)
        hits += found.low <= truth <= found.high
    assert hits >= 34


def test_equal_seeds_give_equal_intervals():
    gram = gaussian_gram(paths(np.random.default_rng(4), 3, 4, 0.02), width=0.05)
    states = np.arange(12) // 2
    assert trajectory_entropy(gram, states, draws=30) == trajectory_entropy(gram, states, draws=30)


def test_what_is_no_set_of_trajectories_is_refused():
    with pytest.raises(ValueError, match="diagonal"):
        gram_entropy(2 * np.eye(3))
    with pytest.raises(ValueError, match="diagonal"):
        gram_entropy(np.zeros((0, 0)))
    with pytest.raises(ValueError, match="two trajectories"):
        trajectory_entropy_given_state(np.eye(3), np.arange(3))
