"""Gripper readings and commands to one convention: absolute, 1 is open, 0 is closed."""

import abc
import dataclasses
from typing import ClassVar

import numpy as np

from wamjax.data.cards.columns import Columns, Widths, check_columns, numbers

OPEN, CLOSED = 0.95, 0.05
"""Beyond these a gripper reading is an extreme."""
COMMANDED = 0.1
"""A relative gripper command below this does nothing."""


@dataclasses.dataclass(frozen=True)
class InPlace(abc.ABC):
    """Columns `columns` of `key` changed one by one; none named means all."""

    key: str
    columns: tuple[int, ...] = ()

    def widths(self, widths: Widths) -> Widths:
        check_columns(widths, self.key, self.columns)
        return widths

    def __call__(self, columns: Columns) -> Columns:
        values = numbers(columns, self.key).copy()
        places = list(self.columns) or list(range(values.shape[1]))
        for place in places:
            values[:, place] = self.change(values[:, place])
        return {**columns, self.key: values}

    @abc.abstractmethod
    def change(self, values: np.ndarray) -> np.ndarray:
        """[T] -> [T]."""


@dataclasses.dataclass(frozen=True)
class InvertGripper(InPlace):
    """1 - x: "1 is closed" becomes "1 is open"."""

    name: ClassVar = "invert_gripper"

    def change(self, values: np.ndarray) -> np.ndarray:
        return 1 - values


@dataclasses.dataclass(frozen=True)
class BinariseGripper(InPlace):
    """To 0 or 1; what lies between belongs to the next extreme that is reached.

    After the last extreme it belongs to that one; with no extreme at all the nearer one is taken.
    """

    name: ClassVar = "binarise_gripper"

    def change(self, values: np.ndarray) -> np.ndarray:
        extreme = (values > OPEN) | (values < CLOSED)
        if not extreme.any():
            return (values >= 0.5).astype(values.dtype)
        reached = np.flatnonzero(extreme)
        following = np.searchsorted(reached, np.arange(len(values)))
        nearest = reached[np.minimum(following, len(reached) - 1)]
        return (values[nearest] > OPEN).astype(values.dtype)


@dataclasses.dataclass(frozen=True)
class RelativeToAbsoluteGripper(InPlace):
    """Commands (+1 close, -1 open, 0 nothing) to the state they lead to, 1 open and 0 closed.

    Before the first command the gripper is in the other state than the one it is brought to; it is
    open if there is never a command.
    """

    name: ClassVar = "relative_to_absolute_gripper"

    def change(self, values: np.ndarray) -> np.ndarray:
        told = np.flatnonzero(np.abs(values) > COMMANDED)
        if not len(told):
            return np.ones_like(values)
        latest = np.searchsorted(told, np.arange(len(values)), side="right") - 1
        opens = (values[told] < 0).astype(values.dtype)
        return np.where(latest < 0, 1 - opens[0], opens[np.maximum(latest, 0)])
