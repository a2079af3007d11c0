"""What is done to one episode's numbers before they are an action and a state, one step a record.

A card lists transforms by name (`do = "clip"`); they are applied to an episode's columns in that
order. Each returns new columns and leaves its argument alone. `widths` says what it does to the
widths alone. Source of the rules: Open X-Embodiment as octo-models/octo (octo/data/oxe) and
openvla/openvla (prismatic/vla/datasets/rlds) read it.
"""

import dataclasses
import zlib
from typing import ClassVar, get_args

import numpy as np

from wamjax.data.cards import rotations
from wamjax.data.cards.columns import KEPT, Columns, Widths, check_columns, count, numbers, width_of
from wamjax.data.cards.grippers import (
    BinariseGripper,
    InPlace,
    InvertGripper,
    RelativeToAbsoluteGripper,
)
from wamjax.data.cards.rotations import Form
from wamjax.data.cards.steps import BodyFrameWaypoint, DropFirst, DropIdle, RelabelFromState


@dataclasses.dataclass(frozen=True)
class Select:
    """The columns `columns` of `key`, as `to`."""

    name: ClassVar = "select"
    key: str
    columns: tuple[int, ...]
    to: str

    def widths(self, widths: Widths) -> Widths:
        check_columns(widths, self.key, self.columns)
        return {**widths, self.to: len(self.columns)}

    def __call__(self, columns: Columns) -> Columns:
        return {**columns, self.to: numbers(columns, self.key)[:, list(self.columns)]}


@dataclasses.dataclass(frozen=True)
class Concatenate:
    """The columns `keys` side by side, as `to`."""

    name: ClassVar = "concatenate"
    keys: tuple[str, ...]
    to: str

    def widths(self, widths: Widths) -> Widths:
        return {**widths, self.to: sum(count(widths, key) for key in self.keys)}

    def __call__(self, columns: Columns) -> Columns:
        parts = [numbers(columns, key) for key in self.keys]
        return {**columns, self.to: np.concatenate(parts, axis=1)}


@dataclasses.dataclass(frozen=True)
class Fill:
    """`width` numbers that the data do not have, all `value`, as `to`: a rotation that stays (0), a
    gripper that is always open (1)."""

    name: ClassVar = "fill"
    to: str
    width: int = 1
    value: float = 0.0

    def widths(self, widths: Widths) -> Widths:
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width}")
        return {**widths, self.to: self.width}

    def __call__(self, columns: Columns) -> Columns:
        shape = (len(columns[KEPT]), self.width)
        return {**columns, self.to: np.full(shape, self.value, np.float32)}


@dataclasses.dataclass(frozen=True)
class Clip(InPlace):
    """Cut at `low` and `high`."""

    name: ClassVar = "clip"
    low: float = 0.0
    high: float = 1.0

    def change(self, values: np.ndarray) -> np.ndarray:
        return np.clip(values, self.low, self.high)


@dataclasses.dataclass(frozen=True)
class TurnForm:
    """The rotation that starts at column `first` of `key` in another form."""

    name: ClassVar = "rotation"
    key: str
    first: int
    of: Form
    to: Form

    def widths(self, widths: Widths) -> Widths:
        check_columns(widths, self.key, (self.first, self.first + rotations.width(self.of) - 1))
        change = rotations.width(self.to) - rotations.width(self.of)
        return {**widths, self.key: count(widths, self.key) + change}

    def __call__(self, columns: Columns) -> Columns:
        values, last = numbers(columns, self.key), self.first + rotations.width(self.of)
        turned = rotations.convert(values[:, self.first : last], self.of, self.to)
        parts = [values[:, : self.first], turned, values[:, last:]]
        return {**columns, self.key: np.concatenate(parts, axis=1)}


@dataclasses.dataclass(frozen=True)
class DecodeZlib:
    """A float32 tensor that is packed with zlib at each step, as `width` numbers (RFC 1950)."""

    name: ClassVar = "decode_zlib"
    key: str
    width: int

    def widths(self, widths: Widths) -> Widths:
        if width_of(widths, self.key) != "packed":
            raise ValueError(f"{self.key!r} is not packed")
        return {**widths, self.key: self.width}

    def __call__(self, columns: Columns) -> Columns:
        packed = columns[self.key]
        if isinstance(packed, np.ndarray):
            raise ValueError(f"{self.key!r} holds numbers instead of bytes")
        rows = np.zeros((len(packed), self.width), np.float32)
        for step, data in enumerate(packed):
            try:
                plain = zlib.decompress(data)
            except zlib.error as error:
                raise ValueError(f"{self.key!r} at step {step} is not zlib data") from error
            if len(plain) != 4 * self.width:
                raise ValueError(
                    f"{self.key!r} at step {step} has {len(plain)} bytes for {self.width} numbers"
                )
            rows[step] = np.frombuffer(plain, "<f4")
        return {**columns, self.key: rows}


@dataclasses.dataclass(frozen=True)
class TextFromCodePoints:
    """Unicode code points, padded with zeros, as a text `to`."""

    name: ClassVar = "text_from_code_points"
    key: str
    to: str

    def widths(self, widths: Widths) -> Widths:
        count(widths, self.key)
        return {**widths, self.to: "text"}

    def __call__(self, columns: Columns) -> Columns:
        texts = []
        for step, row in enumerate(numbers(columns, self.key).astype(np.int64)):
            points = row[: np.argmax(row == 0)] if (row == 0).any() else row
            try:
                texts.append("".join(map(chr, points.tolist())).encode("utf-8"))
            except (ValueError, OverflowError) as error:
                raise ValueError(f"{self.key!r} at step {step} has no code points") from error
        return {**columns, self.to: texts}


Transform = (
    Select
    | Concatenate
    | Fill
    | Clip
    | InvertGripper
    | BinariseGripper
    | RelativeToAbsoluteGripper
    | TurnForm
    | DecodeZlib
    | TextFromCodePoints
    | DropFirst
    | DropIdle
    | RelabelFromState
    | BodyFrameWaypoint
)
TRANSFORMS: dict[str, type] = {kind.name: kind for kind in get_args(Transform)}
"""By the names that cards use."""
