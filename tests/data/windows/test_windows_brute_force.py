"""Windows against the definition, every step written out: no clip, no arrays, no index arithmetic.

Exhaustive over lengths of 1 to 20 steps; 500 drawn settings of the window, each with and without a
marked end. A row of a window is what a robot would have seen: we walk there one step at a time and
stand still where the episode ends.

Octo's loader is one late (octo-models/octo at cdee00c: octo/data/traj_transforms.py,
`chunk_act_obs`). Action h of the chunk of observation w of W belongs to time
a = t - (W - 1) + w + h, and the last one recorded is T - 1; its mask is True where

    (T - 1) - (t - (W + 1) + w + h)  >  0,        which is a < T + 1,

so that the first action past the end, a copy of the last one, counts as recorded.
`test_no_action_past_the_end_counts` shows that here none does.
"""

import itertools
import random

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

LENGTHS = range(1, 21)
DRAWS = 500


def walk(start: int, moves: int, length: int) -> tuple[int, bool]:
    """Where one is after so many single steps, and whether no step led out of the episode."""
    here, inside = start, True
    for _ in range(abs(moves)):
        ahead = here + (1 if moves > 0 else -1)
        if ahead < 0 or ahead >= length:
            inside = False
        else:
            here = ahead
    return here, inside


def window(plan: Plan, ok: list[bool], t: int) -> dict[str, list] | None:
    """The window at step t of an episode whose recorded actions are `ok`; None if there is none."""
    length, recorded = len(ok), [step for step in range(len(ok)) if ok[step]]
    frames = []
    for back in range(plan.history - 1, 0, -1):
        stride = plan.stride if plan.history_stride is None else plan.history_stride
        frames.append(walk(t, -back * stride, length))
    frames.append((t, True))
    for ahead in range(1, plan.future + 1):
        frames.append(walk(t, ahead * plan.stride, length))
    actions = []
    for ahead in range(plan.chunk):
        step, inside = walk(t, ahead, length)
        if inside and ok[step]:
            actions.append((step, True))
        elif not recorded:
            actions.append((0, False))
        else:
            # The newest recorded action stands in; one missing in the middle keeps its own row.
            actions.append((min(step, recorded[-1]), False))
    past = []
    for back in range(plan.past_actions, 0, -1):
        step, inside = walk(t, -back, length)
        past.append((step, inside and ok[step]))
    some_action = any(step >= t for step in recorded)
    some_frame = any(inside for _, inside in frames[plan.history :])
    if not (some_action or some_frame):
        return None
    return {"frames": frames, "actions": actions, "past": past, "next": [frames[-1]]}


def drawn(seed: int) -> tuple[Plan, int]:
    """A window, and how the actions are marked."""
    draw = random.Random(seed)
    plan = Plan(
        history=draw.randint(1, 3),
        future=draw.randint(0, 3),
        stride=draw.randint(1, 4),
        chunk=draw.randint(1, 9),
        past_actions=draw.randint(0, 5),
        history_stride=draw.choice((None, 1, 2, 3, 4, 5)),
    )
    return plan, draw.randint(0, 3)


def marks(how: int, length: int) -> list[bool]:
    """Which actions are recorded: all, all but the last, gaps, none."""
    match how:
        case 0:
            return [True] * length
        case 1:
            return [step < length - 1 for step in range(length)]
        case 2:
            return [(step * 7 + length) % 3 != 0 for step in range(length)]
        case _:
            return [False] * length


def test_every_row_and_mask_is_the_definition() -> None:
    windows = 0
    for seed in range(DRAWS):
        plan, how = drawn(seed)
        for ended in (False, True):
            oks = [marks(how, length) for length in LENGTHS]
            if ended:
                oks = [[*ok[:-1], False] for ok in oks]
            windows += _compare(plan, oks)
    assert windows > 100_000


def _compare(plan: Plan, oks: list[list[bool]]) -> int:
    starts = np.concatenate([[0], np.cumsum([len(ok) for ok in oks])]).astype(np.int64)
    flat = np.array(list(itertools.chain(*oks)), bool)
    expected: dict[str, list] = {"frames": [], "actions": [], "past": [], "next": []}
    rows = []
    for start, ok in zip(starts.tolist(), oks):
        for t in range(len(ok)):
            one = window(plan, ok, t)
            if one is None:
                continue
            rows.append(start + t)
            for name, places in one.items():
                expected[name].append([(start + step, real) for step, real in places])
    index = make_index(starts, flat, np.ones(len(oks), bool), plan)
    assert index.row.tolist() == rows
    everything = np.arange(len(index))
    next_row, next_inside = next_rows(index, everything, plan)
    found = {
        "frames": frame_rows(index, everything, plan),
        "actions": action_rows(index, everything, plan, flat),
        "past": past_action_rows(index, everything, plan, flat),
        "next": (next_row[:, None], next_inside[:, None]),
    }
    for name, (steps, mask) in found.items():
        wanted = np.array(expected[name], np.int64).reshape(*steps.shape, 2)
        np.testing.assert_array_equal(steps, wanted[..., 0], err_msg=f"{name} of {plan}")
        np.testing.assert_array_equal(mask, wanted[..., 1] == 1, err_msg=f"{name} of {plan}")
    return len(rows)


@pytest.mark.parametrize("chunk", range(1, 10))
def test_no_action_past_the_end_counts(chunk: int) -> None:
    """A window at t of T steps has min(K, T - t) recorded actions, in front; not one more."""
    for length in LENGTHS:
        ok = np.ones(length, bool)
        index = make_index(np.array([0, length]), ok, np.ones(1, bool), Plan(1, 0, 1, chunk))
        _, mask = action_rows(index, np.arange(length), Plan(1, 0, 1, chunk), ok)
        left = length - np.arange(length)
        np.testing.assert_array_equal(mask.sum(axis=1), np.minimum(chunk, left))
        np.testing.assert_array_equal(mask, np.arange(chunk) < left[:, None])
        # By octo's arithmetic (W = 1, w = 0) windows at the end have one more.
        late = length - 1 - (np.arange(length)[:, None] - 2 + np.arange(chunk)) > 0
        np.testing.assert_array_equal(late.sum(axis=1), np.minimum(chunk, left + 1))
