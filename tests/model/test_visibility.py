"""The mask equals a truth table written token by token."""

import itertools

import numpy as np
import pytest

from tests.model.sequences import SEGMENTS, TABLE
from wamjax.model.segments import Segment, token_table
from wamjax.model.visibility import is_prefix, related, visibility_mask


def test_the_mask_equals_brute_force():
    kinds, blocks = [], []
    for segment in SEGMENTS:
        for _ in range(segment.count):
            kinds.append(segment.kind)
            blocks.append(segment.block)
    mask = visibility_mask(SEGMENTS, TABLE)
    context = {"text/clean", "feature/clean", "proprio/clean", "video/clean"}
    for q, k in itertools.product(range(len(kinds)), repeat=2):
        if kinds[k] in context:
            expected = True
        elif kinds[q] in context:
            expected = False
        elif kinds[q] == "video/noisy":
            expected = kinds[k] == "video/noisy"
        else:
            expected = kinds[k] == "action/noisy" or blocks[k] == blocks[q]
        assert mask[q, k] == expected, (q, k, kinds[q], kinds[k])


def test_relations_between_blocks():
    query, key = np.array([0, 1, 2]), np.array([0, 1, 2])
    assert related("all", query, key).all()
    np.testing.assert_array_equal(related("same", query, key), np.eye(3, dtype=bool))
    np.testing.assert_array_equal(related("past", query, key), np.tril(np.ones((3, 3), bool)))
    np.testing.assert_array_equal(related("before", query, key), np.tril(np.ones((3, 3), bool), -1))


def test_a_token_that_sees_nothing_is_refused():
    lonely = (*SEGMENTS, Segment(stream="value", copy="noisy"))
    with pytest.raises(ValueError, match="value/noisy"):
        visibility_mask(lonely, TABLE)


def test_the_context_is_a_prefix_and_the_targets_are_not():
    assert is_prefix(SEGMENTS, TABLE, 4)
    assert not is_prefix(SEGMENTS, (*TABLE, ("video/clean", "action/noisy", "all")), 4)


def test_positions_follow_time_row_column():
    table = token_table((Segment(stream="video", frames=2, rows=1, columns=2, start=4, stride=4),))
    expected = [[4, 0, 0], [4, 0, 1], [8, 0, 0], [8, 0, 1]]
    np.testing.assert_array_equal(table.position, expected)
