"""The columns of one episode while its card is applied: feature name -> what stands at each step.

Numbers are float or integer [T, n]; texts and packed tensors are T byte strings. All columns have
the same T steps; the column KEPT says which recorded steps they are, since images are not among the
columns. `Widths` says the same without data, so that a card can be checked by itself.
"""

from typing import Literal

import numpy as np

Column = np.ndarray | list[bytes]
Columns = dict[str, Column]
Width = int | Literal["text", "packed"]
Widths = dict[str, Width]

KEPT = "(kept)"
"""int64 [T]: the recorded step of each row."""


def numbers(columns: Columns, key: str) -> np.ndarray:
    """Column `key` as floats [T, n].

    Raises:
        ValueError: there is none, or it holds bytes.
    """
    if key not in columns:
        raise ValueError(f"there is no {key!r}")
    value = columns[key]
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{key!r} holds bytes instead of numbers")
    return value if value.dtype.kind == "f" else value.astype(np.float32)


def count(widths: Widths, key: str) -> int:
    """Numbers a step of column `key`.

    Raises:
        ValueError: there is no such column of numbers.
    """
    width = width_of(widths, key)
    if not isinstance(width, int):
        raise ValueError(f"{key!r} is {width}, not numbers")
    return width


def width_of(widths: Widths, key: str) -> Width:
    if key not in widths:
        raise ValueError(f"there is no {key!r}; there are {', '.join(map(repr, widths))}")
    return widths[key]


def check_columns(widths: Widths, key: str, columns: tuple[int, ...]) -> None:
    width = count(widths, key)
    for column in columns:
        if not 0 <= column < width:
            raise ValueError(f"{key!r} has columns 0 to {width - 1}, got {column}")


def take(columns: Columns, rows: np.ndarray) -> Columns:
    """The steps `rows` of every column."""
    return {
        key: value[rows] if isinstance(value, np.ndarray) else [value[row] for row in rows]
        for key, value in columns.items()
    }
