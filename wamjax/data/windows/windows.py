"""Windows: the slice of an episode that becomes one example.

For a window at step t of an episode of T steps, with a stride of s control steps:

    frames   t + s j,   j = -(history - 1) .. future     clamped into 0 .. T - 1
             (s is `history_stride` for j < 0, where there is one: sparse memory)
    actions  t + k,     k = 0 .. K - 1                   clamped to the last recorded action
    past     t - k,     k = P .. 1                       clamped to the first step
    next     t + s future                                clamped to the last step
    masks    True where nothing was clamped

What comes next is worth gamma^(T - 1 - next): one reward, at the end of the episode. A solved
episode stays solved, so beyond its end the value is known too, and 1.

A window is kept if at least one action or one future frame of it is real. The last step of an
RLDS episode has neither, so it starts no window.
"""

import dataclasses

import numpy as np

from wamjax.core.typing import Bool, Int, typed
from wamjax.data.config import DataConfig


@dataclasses.dataclass(frozen=True)
class Plan:
    """The numbers that decide which rows a window reads; see DataConfig."""

    history: int
    future: int
    stride: int
    chunk: int
    past_actions: int = 0
    history_stride: int | None = None

    @classmethod
    def of(cls, config: DataConfig) -> "Plan":
        c = config
        return cls(
            c.history, c.future, c.frame_stride, c.chunk, c.past_actions or 0, c.history_stride
        )

    @property
    def offsets(self) -> np.ndarray:
        """Control steps from now to each frame, int [T]."""
        back = self.stride if self.history_stride is None else self.history_stride
        past = back * np.arange(-(self.history - 1), 1)
        return np.concatenate([past, self.stride * np.arange(1, self.future + 1)])


@dataclasses.dataclass(frozen=True)
class WindowIndex:
    """W windows over N steps.

    Attributes:
        row: int64 [W], the row of step t.
        episode: int64 [W].
        first, last: int64 [W], first and last row of the window's episode.
        last_action: int64 [W], row of the episode's last recorded action; `first` - 1 if none.
    """

    row: np.ndarray
    episode: np.ndarray
    first: np.ndarray
    last: np.ndarray
    last_action: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def only(self, kept: Bool[np.ndarray, "W"]) -> "WindowIndex":
        """The windows that are to be kept."""
        columns = (getattr(self, field.name) for field in dataclasses.fields(self))
        return WindowIndex(*(column[kept] for column in columns))


def make_index(
    starts: np.ndarray, action_ok: np.ndarray, chosen: np.ndarray, plan: Plan
) -> WindowIndex:
    """All windows of the chosen episodes.

    Args:
        starts: int64 [E + 1].
        action_ok: bool [N].
        chosen: bool [E].
        plan: the window.
    """
    steps = int(starts[-1])
    episode = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    row = np.arange(steps)
    first, last = starts[episode], starts[episode + 1] - 1
    # Row of the last recorded action: a running maximum over each episode, read at its end.
    marked = np.where(action_ok, row, -1)
    best = np.maximum.reduceat(marked, starts[:-1]) if steps else marked
    last_action = np.maximum(best[episode], first - 1)
    has_future = (row + plan.stride <= last) & (plan.future > 0)
    keep = chosen[episode] & ((row <= last_action) | has_future)
    return WindowIndex(row[keep], episode[keep], first[keep], last[keep], last_action[keep])


@typed
def frame_rows(
    index: WindowIndex, windows: Int[np.ndarray, "B"], plan: Plan
) -> tuple[Int[np.ndarray, "B T"], Bool[np.ndarray, "B T"]]:
    """Rows of the frames and whether they lie inside the episode."""
    wanted = index.row[windows, None] + plan.offsets
    first, last = index.first[windows, None], index.last[windows, None]
    return np.clip(wanted, first, last), (wanted >= first) & (wanted <= last)


@typed
def action_rows(
    index: WindowIndex, windows: Int[np.ndarray, "B"], plan: Plan, action_ok: np.ndarray
) -> tuple[Int[np.ndarray, "B K"], Bool[np.ndarray, "B K"]]:
    """Rows of the actions and whether they were recorded."""
    wanted = index.row[windows, None] + np.arange(plan.chunk)
    first, last = index.first[windows, None], index.last_action[windows, None]
    rows = np.clip(wanted, first, np.maximum(last, first))
    return rows, (wanted <= last) & action_ok[rows]


@typed
def past_action_rows(
    index: WindowIndex, windows: Int[np.ndarray, "B"], plan: Plan, action_ok: np.ndarray
) -> tuple[Int[np.ndarray, "B P"], Bool[np.ndarray, "B P"]]:
    """Rows of the actions that were executed before now, the newest last, and which there were."""
    wanted = index.row[windows, None] + np.arange(-plan.past_actions, 0)
    first = index.first[windows, None]
    rows = np.maximum(wanted, first)
    return rows, (wanted >= first) & action_ok[rows]


@typed
def next_rows(
    index: WindowIndex, windows: Int[np.ndarray, "B"], plan: Plan
) -> tuple[Int[np.ndarray, "B"], Bool[np.ndarray, "B"]]:
    """Row of the window's last frame and whether it lies inside the episode."""
    wanted = index.row[windows] + plan.stride * plan.future
    last = index.last[windows]
    return np.minimum(wanted, last), wanted <= last
