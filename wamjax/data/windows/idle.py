"""Windows in which nothing moves, to be left out of the index.

    reach[d]       idle spread[d], and at least CONSTANT, below which a number is noise
    spread[d]      q99 - q01 of the recorded actions of the training episodes, idle ones too;
                   1 for a gripper between closed (0) and open (1): its way
    moves(t, d)    delta, velocity    |action[t, d] - rest[d]|   > reach[d]
                   absolute           |action[t, d] - held[d]|   > reach[d]
    rest[d]        what does nothing: 0; of a turn as quaternion, matrix or six_d, the identity
    held[d]        of a window, the action of the step before its first
    idle(window)   its chunk has recorded actions, and in none of them any number moves

Steps are those after the card's transforms and stride; numbers are those that were recorded, also
where data.relative tells them from a state. Absolute numbers are held against the step before the
window, not against the state, which trails behind commands, nor each against the one before it: at
30 steps a second an arm crosses the room in steps that are all small. At the first step of an
episode, and behind an action that was not recorded, nothing was held before; the chunk's own first
recorded action stands in. An angle that wraps around, and a quaternion that changes its sign, count
as moving. A window without recorded actions, for its frames alone, stays. Statistics are those of
all steps, so they do not depend on `idle`.

openpi (src/openpi/training/droid_rlds_dataset.py at 474367c) leaves out a chunk if in its first
half no number differs by more than 0.001 from 0 (velocities), or from the chunk's first (joint
positions), whatever the data; OpenVLA drops single DROID steps whose six velocities are all zero,
also while the gripper moves, which joins what lay apart (here `drop_idle` in the card).
"""

import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.typing import Bool, Int, typed
from wamjax.data.cards import rotations
from wamjax.data.cards.layout import Dim, Layout
from wamjax.data.episodes import Episodes
from wamjax.data.normalising.moments import Moments
from wamjax.data.normalising.statistics import CONSTANT, Statistics
from wamjax.data.windows.windows import Plan, WindowIndex


def rest_of(dim: Dim) -> float:
    """The delta or velocity that does nothing."""
    for form in rotations.FORMS:
        if dim.mode == "delta" and dim.form == form:
            return float(rotations.convert(np.zeros(3), "axis_angle", form)[dim.index])
    return 0.0


def reach_of(layout: Layout, moments: Moments, idle: float) -> np.ndarray:
    """How far each number goes without being said to move, [A]."""
    spread = np.array(moments.q99) - np.array(moments.q01)
    spread[[dim.fraction for dim in layout]] = 1.0
    return np.maximum(idle * spread, CONSTANT)


@typed
def held_rows(index: WindowIndex, ok: Bool[np.ndarray, " N"]) -> Int[np.ndarray, " W"]:
    """Row of the action that absolute numbers of each window are held against."""
    rows = np.arange(len(ok))
    # The nearest recorded row from each on; the last one where there is none.
    ahead = np.where(ok, rows, len(ok) - 1)
    ahead = np.minimum.accumulate(ahead[::-1])[::-1]
    before = np.maximum(index.row - 1, 0)
    return np.where((index.row > index.first) & ok[before], before, ahead[index.row])


def moving_windows(
    index: WindowIndex, plan: Plan, episodes: Episodes, statistics: Statistics, idle: float
) -> Bool[np.ndarray, " W"]:
    """Which windows are not idle.

    Args:
        index, plan: of the windows.
        episodes: their data, read by a card.
        statistics: of these data.
        idle: share of a number's spread.

    Raises:
        UserError: there is no card, so that nobody knows what the numbers mean.
    """
    if episodes.card is None:
        raise UserError("data.idle needs to know what the numbers mean: give data.card.")
    layout, ok = episodes.card.action.layout, episodes.action_ok
    reach = reach_of(layout, statistics.executed, idle)
    held = held_rows(index, ok)
    moves, recorded = np.zeros(len(index), bool), np.zeros(len(index), bool)
    # Behind the last recorded action it stands again, and says nothing new.
    last = np.maximum(index.last_action, index.row)
    for step in range(plan.chunk):
        recorded |= ok[np.minimum(index.row + step, last)]
    for number, dim in enumerate(layout):
        values = episodes.actions[:, number].astype(np.float64)
        origin = values[held] if dim.mode == "absolute" else rest_of(dim)
        for step in range(plan.chunk):
            rows = np.minimum(index.row + step, last)
            moves |= ok[rows] & (np.abs(values[rows] - origin) > reach[number])
    return moves | ~recorded
