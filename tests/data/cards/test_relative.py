"""What of an action is told relative to the state, how, and that it comes back."""

import itertools
import pathlib

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from wamjax.data.cards import rotations
from wamjax.data.cards.card import Card, card_from, read_card
from wamjax.data.cards.layout import parse
from wamjax.data.cards.relative import Pair, Relative, Turn, relative_of
from wamjax.data.cards.rotations import FORMS, width

DIRECTORY = pathlib.Path(__file__).resolve().parents[3] / "data" / "cards"
PAIRS = list(itertools.product(FORMS, FORMS))


def card(action: list[str], state: list[str]) -> Card:
    """A card of these layouts."""
    return card_from(
        {
            "name": "x", "names": ["x"], "robot": "x", "embodiment": "x", "gripper": "none",
            "citation": "x", "sources": ["x"], "cameras": {},
            "raw": {"a": len(parse(action)), "s": len(parse(state))},
            "action": {"keys": ["a"], "layout": action}, "state": {"keys": ["s"], "layout": state},
        }
    )  # fmt: skip


def numbers(*places: tuple[int, int]) -> tuple[Pair, ...]:
    return tuple(itertools.starmap(Pair, places))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tabletop", Relative()),
        ("bridge_dataset", Relative()),
        (
            "tabletop_ee_absolute",
            Relative(numbers((0, 0), (1, 1), (2, 2)), (), (Turn(3, 3, "euler", "euler"),)),
        ),
        # Fingers of a hand are joints, a gripper is none; 7 + 7 joints and 6 + 6 fingers.
        ("g1_inspire", Relative(numbers(*((n, n) for n in range(26))))),
        ("aloha_static", Relative(numbers(*((n, n) for n in (*range(6), *range(7, 13)))))),
    ],
)
def test_what_is_told_relative_is_absolute_in_both(name: str, expected: Relative) -> None:
    assert relative_of(read_card(DIRECTORY / f"{name}.toml")) == expected


def test_every_card_says_which_or_why_not() -> None:
    found = {p.stem: relative_of(read_card(p)) for p in sorted(DIRECTORY.glob("*.toml"))}
    for name, relative in found.items():
        own = read_card(DIRECTORY / f"{name}.toml")
        told = relative.layout(own.action.layout)
        changed = [
            n for n, (a, b) in enumerate(zip(own.action.layout, told, strict=True)) if a != b
        ]
        assert all(own.action.layout[n].mode == "absolute" for n in changed)
        assert not any(own.action.layout[n].kind == "gripper" for n in changed)
        assert bool(changed) != relative.empty
        assert Relative.from_json(relative.to_json()) == relative


def test_places_are_found_by_meaning_not_by_number() -> None:
    relative = relative_of(
        card(
            ["left joint rad delta 2", "left joint rad absolute 2", "base rotation rad world "
             "absolute yaw", "right gripper 1 absolute", "waist position m absolute"],
            ["right gripper 1 absolute", "base rotation rad world absolute yaw",
             "left joint rad absolute 3", "waist position mm absolute"],
        )
    )  # fmt: skip
    assert relative == Relative(numbers((2, 2), (3, 3)), numbers((4, 1)))


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("right rotation rad base absolute 3", "right rotation rad base absolute euler 3"),
        ("right rotation rad base absolute euler 3", "right rotation rad base absolute 3"),
        ("right rotation rad base absolute difference 3", "right rotation rad base absolute 3"),
    ],
)
def test_a_rotation_of_unknown_form_is_refused(action: str, state: str) -> None:
    with pytest.raises(ValueError, match="the form of the rotation is not known"):
        relative_of(card([action], [state]))


def test_a_rotation_in_other_axes_is_another_number() -> None:
    one, other = "right rotation rad world absolute 3", "right rotation rad base absolute euler 3"
    assert relative_of(card([one], [other])).empty


@pytest.mark.parametrize(("form", "state_form"), PAIRS)
def test_rotations_are_those_of_the_definition_and_come_back(form, state_form) -> None:
    relative = relative_of(
        card(
            ["right joint rad delta", f"right rotation rad base absolute {form} {width(form)}",
             "right position m base absolute"],
            [f"right rotation 1 base absolute {state_form} {width(state_form)}",
             "right position m base absolute"],
        )
    )  # fmt: skip
    draw = np.random.default_rng(7)
    a, s = (Rotation.from_quat(draw.normal(size=(64, 4))) for _ in range(2))
    free = draw.normal(size=(64, 3))

    def wide(turn: Rotation, own, *sides: np.ndarray) -> np.ndarray:
        return np.hstack([sides[0], rotations.write(turn, own, (64,), np.dtype(float)), sides[1]])

    actions = wide(a, form, free[:, :1], free[:, 1:2])
    states = wide(s, state_form, free[:, :0], free[:, 2:])
    told = relative.tell(actions, states)
    turn = rotations.read(told[:, 1:-1], form).as_matrix()
    expected = np.swapaxes(s.as_matrix(), 1, 2) @ a.as_matrix()
    np.testing.assert_allclose(turn, expected, atol=1e-6)
    np.testing.assert_array_equal(told[:, 0], actions[:, 0])
    np.testing.assert_array_equal(told[:, -1], actions[:, -1] - states[:, -1])
    back = relative.restore(told, states)
    np.testing.assert_allclose(back, actions, atol=1e-5)


def test_an_angle_takes_the_short_way() -> None:
    yaw = "base rotation rad world absolute yaw"
    relative = relative_of(card([yaw], [yaw]))
    actions, states = np.array([[3.0], [-3.0], [0.5]]), np.array([[-3.0], [3.0], [0.25]])
    told = relative.tell(actions, states)
    np.testing.assert_allclose(told[:, 0], [6 - 2 * np.pi, 2 * np.pi - 6, 0.25])
    np.testing.assert_allclose(relative.restore(told, states), actions)


def test_a_number_that_is_no_rotation_is_refused_and_no_card_says_relative() -> None:
    turn = "right rotation 1 base absolute quaternion_xyzw 4"
    relative = relative_of(card([turn], [turn]))
    good, bad = np.array([[0.0, 0, 0, 1]]), np.zeros((1, 4))
    relative.check(good, good)
    for pair in ((good, bad), (bad, good)):
        with pytest.raises(ValueError, match="norm 0 is no rotation"):
            relative.check(*pair)
    with pytest.raises(ValueError, match="mode must be one of absolute, delta, velocity"):
        parse(["right joint rad relative 7"])
