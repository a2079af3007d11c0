"""Windows against the definition, step by step, on episodes of 1 to 20 steps."""

import itertools

import numpy as np
import pytest

from wamjax.data.windows.windows import (
    Plan,
    action_rows,
    frame_rows,
    make_index,
    next_rows,
    past_action_rows,
)

LENGTHS = list(range(1, 21))
STARTS = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)


def _brute(plan: Plan, ok: np.ndarray, chosen: np.ndarray) -> list[tuple]:
    """(t's row, frame rows, frame mask, action rows, action mask) of every window."""
    out = []
    for episode, length in enumerate(LENGTHS):
        if not chosen[episode]:
            continue
        start = int(STARTS[episode])
        recorded = [t for t in range(length) if ok[start + t]]
        for t in range(length):
            frames, seen = [], []
            for j in range(-(plan.history - 1), plan.future + 1):
                sparse = plan.history_stride is not None and j < 0
                u = t + (plan.history_stride if sparse else plan.stride) * j
                frames.append(start + min(max(u, 0), length - 1))
                seen.append(0 <= u < length)
            actions, real = [], []
            for k in range(plan.chunk):
                u = min(t + k, recorded[-1]) if recorded else 0
                actions.append(start + u)
                real.append(u == t + k and bool(recorded) and bool(ok[start + u]))
            if any(real) or any(seen[plan.history :]):
                out.append((start + t, frames, seen, actions, real))
    return out


@pytest.mark.parametrize(
    ("history", "future", "stride", "chunk", "ended", "back"),
    [
        *itertools.product((1, 3), (0, 2), (1, 4), (1, 8), (False, True), (None,)),
        (2, 5, 3, 16, True, None),
        *itertools.product((1, 4), (0, 2), (2,), (4,), (False, True), (1, 5)),
    ],
)
def test_windows_are_the_definition(
    history: int, future: int, stride: int, chunk: int, ended: bool, back: int | None
) -> None:
    plan = Plan(history, future, stride, chunk, history_stride=back)
    ok = np.ones(STARTS[-1], bool)
    if ended:
        ok[STARTS[1:] - 1] = False
    chosen = np.arange(len(LENGTHS)) % 3 != 1
    index = make_index(STARTS, ok, chosen, plan)
    everything = np.arange(len(index))
    frames, seen = frame_rows(index, everything, plan)
    actions, real = action_rows(index, everything, plan, ok)
    expected = _brute(plan, ok, chosen)
    assert len(expected) == len(index) > 0
    for place, (row, *rest) in enumerate(expected):
        found = [frames[place], seen[place], actions[place], real[place]]
        assert row == index.row[place]
        for ours, theirs in zip(found, rest, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("past", "ended"), [*itertools.product((0, 1, 5, 30), (False, True))])
def test_past_actions_are_those_executed_before_now(past: int, ended: bool) -> None:
    plan = Plan(1, 2, 1, 4, past_actions=past)
    ok = np.ones(STARTS[-1], bool)
    ok[::7] = False
    if ended:
        ok[STARTS[1:] - 1] = False
    index = make_index(STARTS, ok, np.ones(len(LENGTHS), bool), plan)
    rows, there = past_action_rows(index, np.arange(len(index)), plan, ok)
    assert rows.shape == there.shape == (len(index), past)
    for place, row in enumerate(index.row):
        start = int(index.first[place])
        for column, back in enumerate(range(past, 0, -1)):
            exists = row - back >= start
            assert there[place, column] == (exists and ok[row - back])
            assert rows[place, column] == (row - back if exists else start)


@pytest.mark.parametrize(("future", "stride"), [(1, 1), (1, 8), (3, 2)])
def test_what_comes_next_is_the_last_frame(future: int, stride: int) -> None:
    plan = Plan(2, future, stride, 8)
    index = make_index(STARTS, np.ones(STARTS[-1], bool), np.ones(len(LENGTHS), bool), plan)
    everything = np.arange(len(index))
    rows, inside = next_rows(index, everything, plan)
    frames, seen = frame_rows(index, everything, plan)
    np.testing.assert_array_equal(rows, frames[:, -1])
    np.testing.assert_array_equal(inside, seen[:, -1])


def test_video_without_actions_has_windows_for_its_future_frames() -> None:
    plan = Plan(history=1, future=1, stride=2, chunk=4)
    ok = np.zeros(STARTS[-1], bool)
    index = make_index(STARTS, ok, np.ones(len(LENGTHS), bool), plan)
    assert len(index) == sum(max(length - 2, 0) for length in LENGTHS)
    _, real = action_rows(index, np.arange(len(index)), plan, ok)
    assert not real.any()


def test_the_last_step_of_an_ended_episode_starts_no_window() -> None:
    ok = np.ones(STARTS[-1], bool)
    ok[STARTS[1:] - 1] = False
    chosen = np.ones(len(LENGTHS), bool)
    index = make_index(STARTS, ok, chosen, Plan(1, 3, 1, 8))
    assert not np.isin(index.row, STARTS[1:] - 1).any()
    assert len(index) == sum(length - 1 for length in LENGTHS)
