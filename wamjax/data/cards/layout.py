"""What each number of an action or a state means, and which numbers of two robots mean the same.

A run of numbers is written in words, in this order, those in brackets where they apply:

    body kind unit [frame] mode [form] [count]

    right position m base delta 3           right gripper 1 absolute
    right rotation rad base delta euler 3   left joint rad absolute 6

A single arm is a right one. A gripper in unit 1 is 1 when open, 0 when closed. Mode: an absolute
value is reached at the end of the control step, a delta is added during it, a velocity holds
during it. Form, of rotations: one of `rotations.FORMS`; `yaw`, an angle about the vertical;
`difference`, coordinates of two rotations subtracted (they add up, but are no rotation); none: not
known.

The common layout of several robots has each meaning once; a robot fills the places it has.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from wamjax.data.cards import rotations

Body = Literal["right", "left", "head", "waist", "base"]
Kind = Literal["position", "rotation", "joint", "gripper", "finger"]
Unit = Literal["m", "mm", "rad", "m/s", "rad/s", "1", "unknown"]
Frame = Literal["base", "tool", "camera", "world", "unknown", "none"]
Recorded = Literal["absolute", "delta", "velocity"]
Mode = Literal[Recorded, "relative"]  # see `relative`; no card says so
RotationForm = Literal[rotations.Form, "yaw", "difference", ""]

FORM_WIDTHS: dict[str, int] = {form: rotations.width(form) for form in rotations.FORMS}
FORM_WIDTHS |= {"yaw": 1, "difference": 3}
ORDER = "body kind unit [frame] mode [form] [count]"


@dataclasses.dataclass(frozen=True, order=True)
class Dim:
    """One number.

    Attributes:
        body: what moves; a single arm is "right".
        kind: "finger" is a joint of a hand with several.
        unit: "1" has none (a fraction, a command between -1 and 1).
        frame: which axes it is told in; "tool" are those of the gripper, which move with it;
            "none" where axes mean nothing.
        mode: see the file.
        form: of a rotation.
        index: which number of its run.
    """

    body: Body
    kind: Kind
    unit: Unit
    frame: Frame
    mode: Mode
    form: RotationForm
    index: int

    @property
    def run(self) -> "Dim":
        """The first number of the same run."""
        return dataclasses.replace(self, index=0)

    @property
    def fraction(self) -> bool:
        """A gripper between closed (0) and open (1), which no statistics may move."""
        return self.kind == "gripper" and self.unit == "1" and self.mode == "absolute"

    def __str__(self) -> str:
        frame = "" if self.frame == "none" else self.frame
        words = (self.body, self.kind, self.unit, frame, self.mode, self.form, f"[{self.index}]")
        return " ".join(word for word in words if word)


Layout = tuple[Dim, ...]


def parse(runs: Sequence[str]) -> Layout:
    """The layout that the lines describe.

    Raises:
        ValueError: a word that does not belong there, a count that does not fit the form of the
            rotation, or the same meaning twice; the sentence names the line.
    """
    dims = tuple(dim for run in runs for dim in _run(run))
    for place, dim in enumerate(dims):
        if dim in dims[:place]:
            raise ValueError(f"{str(dim)!r} stands in the layout twice")
    return dims


def _run(text: str) -> Layout:
    words = text.split()

    def take(what: str, choices: tuple, otherwise: str | None = None) -> str:
        if words and words[0] in choices:
            return words.pop(0)
        if otherwise is not None:
            return otherwise
        found = repr(words[0]) if words else "nothing"
        raise ValueError(
            f"layout {text!r}: {what} must be one of {', '.join(choices)}, got {found} "
            f"(the order is: {ORDER})"
        )

    body = take("body", get_args(Body))
    kind = take("kind", get_args(Kind))
    unit = take("unit", get_args(Unit))
    frame = take("frame", get_args(Frame), "none")
    mode = take("mode", get_args(Recorded))
    form = take("form", tuple(FORM_WIDTHS), "")
    count = int(words.pop(0)) if words and words[0].isdecimal() else 1
    if words:
        raise ValueError(f"layout {text!r}: {words[0]!r} is not expected (the order is: {ORDER})")
    if count < 1:
        raise ValueError(f"layout {text!r}: a run has at least one number")
    if form and kind != "rotation":
        raise ValueError(f"layout {text!r}: only a rotation has a form")
    if form and count != FORM_WIDTHS[form]:
        raise ValueError(f"layout {text!r}: {form} has {FORM_WIDTHS[form]} numbers")
    shared = (body, kind, unit, frame, mode, form)
    return tuple(Dim(*shared, index) for index in range(count))  # type: ignore[arg-type]


def union(layouts: Sequence[Layout]) -> tuple[Layout, tuple[np.ndarray, ...]]:
    """The common layout, and where the numbers of each layout stand in it, int64 [its width].

    Meanings stand in the order in which they appear first.
    """
    common = tuple(dict.fromkeys(dim for layout in layouts for dim in layout))
    place = {dim: number for number, dim in enumerate(common)}
    return common, tuple(
        np.array([place[dim] for dim in layout], np.int64).reshape(-1) for layout in layouts
    )


def spread(values: np.ndarray, places: np.ndarray, width: int) -> np.ndarray:
    """[..., A] in the common layout, [..., width]; zero where the robot has no such number."""
    out = np.zeros((*values.shape[:-1], width), values.dtype)
    out[..., places] = values
    return out


def gather(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The inverse of `spread`: [..., width] -> [..., A]."""
    return values[..., places]
