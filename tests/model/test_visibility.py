"""The mask equals a truth table written token by token."""

import dataclasses
import itertools

import numpy as np
import pytest

from tests.model.sequences import SEGMENTS, TABLE
from wamjax.model.config import Expert, Port, Stack, Take, WamConfig
from wamjax.model.layout import Layout, mask_of
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
    tokens, whole = token_table(tuple(segments)), slice(None)
    found = np.broadcast_to(related(relation, tokens, whole, whole), np.shape(expected))
    np.testing.assert_array_equal(found, expected)
    part = related(relation, tokens, slice(1, 3), slice(2, None))
    np.testing.assert_array_equal(np.broadcast_to(part, found[1:3, 2:].shape), found[1:3, 2:])


def test_a_window_hides_what_is_far():
    segments = tuple(Segment(stream="video", block=i) for i in range(4))
    mask = visibility_mask(segments, (("video/clean", "video/clean", "past"),), window=1)
    np.testing.assert_array_equal(
        mask, np.tril(np.ones((4, 4), bool)) & ~np.tril(np.ones((4, 4), bool), -2)
    )


def test_a_window_does_not_hide_an_instruction():
    segments = (Segment(stream="text"), Segment(stream="video", block=9))
    table = (("video/clean", "text/clean", "all"), ("video/clean", "video/clean", "past"))
    mask = visibility_mask(segments, table, window=1, silent=frozenset({"text/clean"}))
    np.testing.assert_array_equal(mask[1], [True, True])


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


def own_tables(segments: tuple[Segment, ...], own: tuple) -> tuple[WamConfig, Layout]:
    """Words in a first stack, videos in a second one that takes the words over."""

    def stack(name: str, takes: tuple[Take, ...] = ()) -> Stack:
        expert = Expert(name=f"{name}_expert", width=8, mlp=16)
        return Stack(name=name, depth=1, heads=1, head_dim=6, experts=(expert,), takes=takes)

    config = WamConfig(
        stacks=(
            stack("first"),
            stack("second", (Take(stack="first", kinds=("word/clean",), expert="second_expert"),)),
        ),
        ports=(
            Port(stream="word", into="first_expert"),
            Port(stream="video", into="second_expert"),
        ),
    )
    table = (("word/clean", "word/clean", "causal"), ("video/clean", "video/clean", "all"))
    return config, Layout(segments, table, own=own)


WORDS_AND_VIDEO = (Segment(stream="word", frames=2), Segment(stream="video", frames=2))


def test_a_stack_with_a_table_of_its_own_uses_that_one():
    table = tuple(
        (query, key, "all")
        for query in ("word/clean", "video/clean")
        for key in ("word/clean", "video/clean")
    )
    config, layout = own_tables(WORDS_AND_VIDEO, (("second", table),))
    shared = np.kron(np.eye(2), np.ones((2, 2)))
    shared[0, 1] = 0
    for stack, expected in ((None, shared), ("first", shared), ("second", np.ones((4, 4)))):
        at = None if stack is None else config.stack(stack)
        np.testing.assert_array_equal(mask_of(config, layout, at), expected)


def test_an_own_table_tells_of_the_tokens_that_stand_there():
    """Words are not in the second stack when it does not take them; videos always are."""
    table = (("video/clean", "video/clean", "itself"),)
    config, layout = own_tables(WORDS_AND_VIDEO, (("second", table),))
    with pytest.raises(ValueError, match="hides everything from word/clean"):
        mask_of(config, layout, config.stack("second"))
    alone = dataclasses.replace(config.stacks[1], takes=())
    config = dataclasses.replace(config, stacks=(config.stacks[0], alone))
    expected = np.diag([0, 0, 1, 1])
    np.testing.assert_array_equal(mask_of(config, layout, alone), expected)


def test_own_tables_of_no_stack_are_refused():
    config, layout = own_tables(WORDS_AND_VIDEO, (("third", TABLE),))
    with pytest.raises(ValueError, match="third"):
        mask_of(config, layout)
