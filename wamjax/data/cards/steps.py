"""Transforms that drop steps, or make the action from the states on both sides of a step."""

import dataclasses
from typing import ClassVar

import numpy as np

from wamjax.data.cards.columns import KEPT, Columns, Widths, check_columns, count, numbers, take


@dataclasses.dataclass(frozen=True)
class DropFirst:
    """Without the first step."""

    name: ClassVar = "drop_first"

    def widths(self, widths: Widths) -> Widths:
        return widths

    def __call__(self, columns: Columns) -> Columns:
        return take(columns, np.arange(1, len(columns[KEPT])))


@dataclasses.dataclass(frozen=True)
class DropIdle:
    """Without the steps at which all of the columns are at most `below` in size."""

    name: ClassVar = "drop_idle"
    key: str
    columns: tuple[int, ...] = ()
    below: float = 0.0

    def widths(self, widths: Widths) -> Widths:
        check_columns(widths, self.key, self.columns)
        return widths

    def __call__(self, columns: Columns) -> Columns:
        values = numbers(columns, self.key)
        chosen = values[:, list(self.columns)] if self.columns else values
        return take(columns, np.flatnonzero((np.abs(chosen) > self.below).any(axis=1)))


@dataclasses.dataclass(frozen=True)
class RelabelFromState:
    """action[t, i] = state[t + 1, i] - state[t, i] for the columns i < `width`; the last step goes.

    What the arm did instead of what it was told.
    """

    name: ClassVar = "relabel_from_state"
    action: str
    state: str
    width: int = 6

    def widths(self, widths: Widths) -> Widths:
        check_columns(widths, self.action, (0, self.width - 1))
        check_columns(widths, self.state, (0, self.width - 1))
        return widths

    def __call__(self, columns: Columns) -> Columns:
        state = numbers(columns, self.state)[:, : self.width]
        rest = take(columns, np.arange(len(state) - 1))
        action = numbers(rest, self.action).copy()
        action[:, : self.width] = np.diff(state, axis=0)
        return {**rest, self.action: action}


@dataclasses.dataclass(frozen=True)
class BodyFrameWaypoint:
    """Every `every`-th step, with the way to the next one in the robot's own axes as `action`.

        action = R(yaw)^T (next position - position) * |recorded action| / |recorded move|

    The factor is taken where the robot first moves by itself: it undoes the scale of the data set.
    The last step goes (General Navigation Models, arXiv 2210.03370).
    """

    name: ClassVar = "body_frame_waypoint"
    action: str
    position: str
    yaw: str
    every: int = 1

    def widths(self, widths: Widths) -> Widths:
        for key, wanted in ((self.action, 2), (self.position, 2), (self.yaw, 1)):
            if count(widths, key) != wanted:
                raise ValueError(f"{key!r} must have {wanted} numbers, has {widths[key]}")
        if self.every < 1:
            raise ValueError(f"every must be at least 1, got {self.every}")
        return widths

    def __call__(self, columns: Columns) -> Columns:
        recorded, position = numbers(columns, self.action), numbers(columns, self.position)
        moves = np.linalg.norm(np.diff(position, axis=0), axis=1)
        moving = np.flatnonzero(moves > 0)
        scale = np.linalg.norm(recorded[moving[0]]) / moves[moving[0]] if len(moving) else 1.0
        rows = np.arange(0, len(position), self.every)
        way = np.diff(position[rows], axis=0) * scale
        rest = take(columns, rows[:-1])
        yaw = numbers(rest, self.yaw)[:, 0]
        ahead = np.cos(yaw) * way[:, 0] + np.sin(yaw) * way[:, 1]
        left = np.cos(yaw) * way[:, 1] - np.sin(yaw) * way[:, 0]
        return {**rest, self.action: np.stack([ahead, left], axis=1)}
