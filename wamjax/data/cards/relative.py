"""Absolute actions told relative to the state at one step, and back.

    numbers     r = a - s                           joints, fingers, positions in fixed axes
    angles      r = a - s, brought into [-pi, pi)   a yaw alone
    rotations   R_r = R_s^-1 R_a                    told in the axes of the body at that step

Those numbers of an action are told so that are absolute and that the state has too, in the words of
the card's layout; a rotation may stand in another form in the state, and is told in the action's.
Changes, velocities and grippers stay as they are. In the layout such a number has the mode
"relative", which no card can name. The inverse gives the action back, a rotation as a rotation: the
unit quaternion with the positive scalar, and an angle up to whole turns.
"""

import dataclasses
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from wamjax.core.config import from_json
from wamjax.data.cards import rotations
from wamjax.data.cards.card import Card
from wamjax.data.cards.layout import Dim, Layout
from wamjax.data.cards.rotations import Form

TURN = 2 * np.pi


@dataclasses.dataclass(frozen=True)
class Pair:
    """One number: where it stands in the action and in the state."""

    action: int
    state: int


@dataclasses.dataclass(frozen=True)
class Turn:
    """One rotation: its first number in the action and in the state, and the two forms."""

    action: int
    state: int
    form: Form
    state_form: Form

    @property
    def places(self) -> tuple[slice, slice]:
        """Its numbers in the action and in the state."""
        ends = rotations.width(self.form), rotations.width(self.state_form)
        return slice(self.action, self.action + ends[0]), slice(self.state, self.state + ends[1])


@dataclasses.dataclass(frozen=True)
class Relative:
    """Which numbers of an action are told relative to which of the state."""

    numbers: tuple[Pair, ...] = ()
    angles: tuple[Pair, ...] = ()
    turns: tuple[Turn, ...] = ()

    @property
    def empty(self) -> bool:
        """Nothing is told relative to anything."""
        return not (self.numbers or self.angles or self.turns)

    def to_json(self) -> dict[str, Any]:
        """Plain lists, to be stored with the statistics."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> "Relative":
        """The inverse of `to_json`."""
        return from_json(cls, value)

    def layout(self, action: Layout) -> Layout:
        """What the action's numbers mean once they are told so."""
        out = list(action)
        for pair in (*self.numbers, *self.angles):
            out[pair.action] = dataclasses.replace(out[pair.action], mode="relative")
        for turn in self.turns:
            for place in range(*turn.places[0].indices(len(action))):
                out[place] = dataclasses.replace(out[place], mode="relative", frame="tool")
        return tuple(out)

    def tell(self, actions: np.ndarray, states: np.ndarray) -> np.ndarray:
        """Absolute actions float [N, A] and the state of each [N, P] -> relative ones.

        Raises:
            ValueError: numbers that should be a rotation are none.
        """
        out = actions.copy()
        for pair in self.numbers:
            out[:, pair.action] -= states[:, pair.state]
        for pair in self.angles:
            away = actions[:, pair.action].astype(np.float64) - states[:, pair.state]
            out[:, pair.action] = _half_turn(away)
        for turn in self.turns:
            of, _ = turn.places
            told = self._state(turn, states).inv() * rotations.read(actions[:, of], turn.form)
            out[:, of] = rotations.write(told, turn.form, (len(actions),), actions.dtype)
        return out

    def restore(self, told: np.ndarray, states: np.ndarray) -> np.ndarray:
        """The inverse of `tell`."""
        out = told.copy()
        for pair in self.numbers:
            out[:, pair.action] += states[:, pair.state]
        for pair in self.angles:
            away = told[:, pair.action].astype(np.float64) + states[:, pair.state]
            out[:, pair.action] = _half_turn(away)
        for turn in self.turns:
            of, _ = turn.places
            whole = self._state(turn, states) * rotations.read(told[:, of], turn.form)
            out[:, of] = rotations.write(whole, turn.form, (len(told),), told.dtype)
        return out

    def check(self, actions: np.ndarray, states: np.ndarray) -> None:
        """Refuse numbers that should be rotations and are none.

        Raises:
            ValueError: there are such.
        """
        for turn in self.turns:
            rotations.read(actions[:, turn.places[0]], turn.form)
            self._state(turn, states)

    def _state(self, turn: Turn, states: np.ndarray) -> Rotation:
        return rotations.read(states[:, turn.places[1]], turn.state_form)


def _half_turn(angle: np.ndarray) -> np.ndarray:
    return (angle + np.pi) % TURN - np.pi


def relative_of(card: Card) -> Relative:
    """What of the card's action can be told relative to its state; see the file.

    Raises:
        ValueError: a rotation that both have is of a form that is not known.
    """
    action, state = card.action.layout, card.state.layout
    numbers, angles, turns = [], [], []
    for place, dim in enumerate(action):
        if dim.mode != "absolute" or dim.kind == "gripper":
            continue
        if dim.kind != "rotation":
            if dim in state:
                numbers.append(Pair(place, state.index(dim)))
        elif dim.index == 0:
            for other in _rotations_like(dim, state):
                match dim.form, other.form:
                    case ("yaw", "yaw"):
                        angles.append(Pair(place, state.index(other)))
                    case ("yaw", _) | (_, "yaw"):
                        continue  # an angle is no rotation
                    case ("" | "difference", _) | (_, "" | "difference"):
                        raise ValueError(
                            f"the action's {dim} cannot be told relative to the state's {other}: "
                            "the form of the rotation is not known"
                        )
                    case (form, state_form):
                        turns.append(Turn(place, state.index(other), form, state_form))
    return Relative(tuple(numbers), tuple(angles), tuple(turns))


def _rotations_like(dim: Dim, state: Layout) -> Layout:
    """The first numbers of the state's rotation of the same body in the same axes: one or none."""
    same = (dim.body, dim.kind, dim.frame, dim.mode)
    return tuple(
        other
        for other in state
        if (other.body, other.kind, other.frame, other.mode) == same and other.index == 0
    )[:1]
