"""Shares of a mixture are exact, and an example's place depends on its number alone."""

import fractions
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wamjax.data.windows.shares import CYCLE, Turns, shares

PARTS = st.lists(
    st.tuples(st.decimals("0.01", "9", places=4), st.integers(1, 10**9)), min_size=1, max_size=40
)


@given(PARTS)
def test_counts_are_the_shares_to_less_than_one_example_of_a_cycle(parts):
    weights = [fractions.Fraction(str(weight)) for weight, _ in parts]
    windows = [count for _, count in parts]
    found = shares([f"set {k}" for k in range(len(parts))], weights, windows)
    assert sum(share.exact for share in found) == 1
    assert sum(share.count for share in found) == CYCLE
    small = sum(share.exact * CYCLE < 1 for share in found)
    for share, weight, count in zip(found, weights, windows, strict=True):
        assert share.exact / found[0].exact == weight * count / (weights[0] * windows[0])
        assert share.count >= 1
        # One example for each data set that is too small for one takes from the others.
        assert abs(share.count - share.exact * CYCLE) < 1 + small


def test_a_known_mixture():
    found = shares(["a", "b"], [fractions.Fraction("0.5"), fractions.Fraction(2)], [300, 25])
    assert [share.exact for share in found] == [fractions.Fraction(3, 4), fractions.Fraction(1, 4)]
    assert [share.count for share in found] == [3 * CYCLE // 4, CYCLE // 4]


@pytest.mark.parametrize(
    ("weights", "windows", "sentence"),
    [
        ([0, 1], [1, 1], "the weight of a must be above 0"),
        ([1, 1], [1, 0], "b has no window"),
    ],
)
def test_what_cannot_be_mixed_is_refused(weights, windows, sentence):
    with pytest.raises(ValueError, match=sentence):
        shares(["a", "b"], [fractions.Fraction(w) for w in weights], windows)


def test_every_turn_of_every_member_comes_once_and_in_order():
    counts = (5, 1, 10)
    turns = Turns(counts, seed=3)
    seen: list[list[int]] = [[], [], []]
    for index in range(16 * 50):
        member, turn = turns(index)
        seen[member].append(turn)
    for own, count in zip(seen, counts, strict=True):
        assert own == list(range(50 * count))
    for cycle in range(50):
        here = Counter(turns(index)[0] for index in range(16 * cycle, 16 * cycle + 16))
        assert here == {0: 5, 1: 1, 2: 10}


def test_a_place_depends_on_its_number_and_the_seed_alone():
    one, other = Turns((3, 4), seed=0), Turns((3, 4), seed=1)
    numbers = np.random.default_rng(0).integers(0, 10**6, 300).tolist()
    found = [Turns((3, 4), seed=0)(n) for n in numbers]
    assert [one(n) for n in numbers] == found
    assert [other(n) for n in numbers] != found
