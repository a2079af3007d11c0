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


LOWER = np.tril(np.ones((3, 3), bool))
EYE = np.eye(3, dtype=bool)


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ("all", np.ones((3, 3), bool)),
        ("same", EYE),
        ("past", LOWER),
        ("before", LOWER & ~EYE),
        ("causal", LOWER),
        ("itself", EYE),
        ("view", np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], bool)),
    ],
)
def test_relations(relation, expected):
    segments = [Segment(stream="video", block=i, view=i % 2) for i in range(3)]
    np.testing.assert_array_equal(related(relation, token_table(tuple(segments))), expected)


def test_a_window_hides_what_is_far():
    segments = tuple(Segment(stream="video", block=i) for i in range(4))
    mask = visibility_mask(segments, (("video/clean", "video/clean", "past"),), window=1)
    np.testing.assert_array_equal(
        mask, np.tril(np.ones((4, 4), bool)) & ~np.tril(np.ones((4, 4), bool), -2)
    )


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
