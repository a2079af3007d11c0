"""Which step of its episode a window is told as its goal.

    last      T - 1
    uniform   t + 1 + h mod (T - 1 - t), h of (seed, episode, t): any step after now   (hindsight)

At the last step, nothing comes after now and the goal is that step. A window always has the same
goal: it depends on no epoch, host or place in the stream, so that a run that goes on sees the
goals of the one that was never stopped. Hindsight goals: arXiv 2405.12213.
"""

from typing import Literal, assert_never

import numpy as np

from wamjax.core.typing import Int, typed
from wamjax.data.windows.instructions import split_mix
from wamjax.data.windows.windows import WindowIndex


@typed
def goal_rows(
    index: WindowIndex,
    windows: Int[np.ndarray, "B"],
    goal: Literal["last", "uniform"],
    seed: int,
) -> Int[np.ndarray, "B"]:
    """Row of each window's goal."""
    now, last = index.row[windows], index.last[windows]
    match goal:
        case "last":
            return last
        case "uniform":
            step = now - index.first[windows]
            drawn = mixed(np.uint64(seed), index.episode[windows], step)
            ahead = np.maximum(last - now, 1).astype(np.uint64)
            return np.minimum(now + 1 + (drawn % ahead).astype(np.int64), last)
        case _:
            assert_never(goal)


def mixed(seed: np.uint64, episode: np.ndarray, step: np.ndarray) -> np.ndarray:
    """64 bits of each (seed, episode, step), uint64 [B]."""
    state = np.full(len(step), seed, np.uint64)
    for part in (episode, step):
        state = split_mix(state, part)
    return state
