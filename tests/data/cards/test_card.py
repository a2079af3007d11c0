"""What a card may say, and what becomes of an episode that it describes."""

import pathlib
from typing import Any

import numpy as np
import pytest

from wamjax.core.errors import UserError
from wamjax.data.cards.card import Card, card_from, read_card
from wamjax.data.cards.prepared import prepare
from wamjax.data.sources.source import Place, RawEpisode

CARD = """
name = "mine"
names = ["mine", "mine_two"]
robot = "an arm"
embodiment = "arm"
control_hz = 10
gripper = "closed_is_1"
instruction = "language_instruction"
citation = "none"
sources = ["made up"]
transforms = [
    { do = "invert_gripper", key = "action", columns = [6] },
    { do = "drop_first" },
]

[cameras]
primary = "observation/image"

[raw]
"action" = 7
"observation/place" = 3
"observation/gripper" = 1
"language_instruction" = "text"

[action]
keys = ["action"]
layout = [
    "right position m base delta 3",
    "right rotation rad base delta euler 3",
    "right gripper 1 absolute",
]

[state]
keys = ["observation/place", "observation/gripper"]
layout = ["right position m base absolute 3", "right gripper 1 absolute"]
"""


def write(tmp_path: pathlib.Path, text: str) -> pathlib.Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def episode(length: int, **more: Any) -> RawEpisode:
    draw = np.random.default_rng(length)
    steps: dict[str, Any] = {
        "action": draw.normal(size=(length, 7)).astype(np.float32),
        "observation/place": draw.normal(size=(length, 3)),
        "observation/gripper": draw.random(length).astype(np.float32),
        "observation/image": [b""] * length,
        "language_instruction": [f"step {t}".encode() for t in range(length)],
        "is_last": np.arange(length) == length - 1,
    }
    return RawEpisode(Place(0, 0), length, steps | more, {})


@pytest.fixture
def mine(tmp_path: pathlib.Path) -> Card:
    return read_card(write(tmp_path, CARD))


def test_a_card_says_what_it_said(mine: Card) -> None:
    assert mine.names == ("mine", "mine_two")
    assert mine.hz == mine.control_hz == 10.0
    assert mine.cameras.roles == {"primary": "observation/image"}
    assert mine.action.normalise == (True,) * 6 + (False,)
    assert mine.state.normalise == (True,) * 3 + (False,)
    assert mine.describes("mine_two")
    assert mine.describes("mine_converted_externally_to_rlds")
    assert not mine.describes("mine_three")


@pytest.mark.parametrize("length", [2, 3, 9])
def test_an_episode_becomes_actions_and_states(mine: Card, length: int) -> None:
    recorded = episode(length)
    ready = prepare(mine, recorded)
    assert ready.kept.tolist() == list(range(1, length))
    assert ready.action_ok.tolist() == [True] * (length - 2) + [False]
    assert ready.texts == ([f"step {t}" for t in range(1, length)],)
    assert ready.actions.dtype == ready.proprio.dtype == np.float32
    action, place = recorded.steps["action"], recorded.steps["observation/place"]
    for row, t in enumerate(range(1, length)):
        np.testing.assert_array_equal(ready.actions[row], [*action[t][:6], 1 - action[t][6]])
        expected = [*place[t], recorded.steps["observation/gripper"][t]]  # type: ignore[index]
        np.testing.assert_allclose(ready.proprio[row], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"action": None}, "steps/action is missing"),
        ({"action": np.zeros((4, 6))}, "steps/action has 6 numbers a step instead of 7"),
        ({"action": [b""] * 4}, "steps/action holds bytes"),
        ({"language_instruction": np.zeros((4, 1))}, "holds numbers instead of text"),
        ({"action": np.full((4, 7), np.nan)}, "the action is not finite at step 1"),
        ({"observation/place": np.full((4, 3), np.inf)}, "the state is not finite at step 1"),
    ],
)
def test_an_episode_that_does_not_fit_says_why(mine: Card, change: dict, said: str) -> None:
    recorded = episode(4)
    for key, value in change.items():
        if value is None:
            del recorded.steps[key]
        else:
            recorded.steps[key] = value
    with pytest.raises(ValueError, match=said):
        prepare(mine, recorded)


def test_an_episode_of_which_nothing_is_left_is_refused(mine: Card) -> None:
    with pytest.raises(ValueError, match="no step of 1 is left"):
        prepare(mine, episode(1))


def test_an_episode_without_an_end_is_real_to_its_last_step(mine: Card) -> None:
    recorded = episode(4)
    recorded.steps["is_last"] = np.zeros(4, bool)
    assert prepare(mine, recorded).action_ok.all()
    del recorded.steps["is_last"]
    assert prepare(mine, recorded).action_ok.all()


def test_texts_that_say_nothing_are_left_out(tmp_path: pathlib.Path) -> None:
    blank = read_card(write(tmp_path, CARD.replace("[cameras]", "informative = false\n[cameras]")))
    assert prepare(blank, episode(3)).texts == (["", ""],)
    text = CARD.replace('instruction = "language_instruction"', "")
    assert prepare(read_card(write(tmp_path, text)), episode(3)).texts == (["", ""],)
    odd = episode(3, language_instruction=[b"tea", b"caf\xc3\xa9", b"milk"])
    assert prepare(read_card(write(tmp_path, CARD)), odd).texts == (["café", "milk"],)
    bad = episode(3, language_instruction=[b"tea", b"milk", b"\xff"])
    with pytest.raises(ValueError, match="language_instruction at step 2 is not UTF-8"):
        prepare(read_card(write(tmp_path, CARD)), bad)


def test_every_column_of_instructions_is_kept(tmp_path: pathlib.Path) -> None:
    text = CARD.replace('= "language_instruction"', '= ["language_instruction", "also"]')
    both = text.replace("[action]", 'also = "text"\n\n[action]')
    ready = prepare(read_card(write(tmp_path, both)), episode(3, also=[b"a", b"", b"c"]))
    assert ready.texts == (["step 1", "step 2"], ["", "c"])
    blank = both.replace("[cameras]", "informative = false\n[cameras]")
    ready = prepare(read_card(write(tmp_path, blank)), episode(3, also=[b"a", b"", b"c"]))
    assert ready.texts == (["", ""],)


@pytest.mark.parametrize("length", [2, 3, 4, 5, 6, 11])
def test_steps_are_joined_as_the_stride_says(tmp_path: pathlib.Path, length: int) -> None:
    text = CARD.replace("control_hz = 10", "control_hz = 10\nstride = 2")
    joined = read_card(write(tmp_path, text))
    assert joined.hz == 5.0
    one, two = (
        prepare(read_card(write(tmp_path, CARD)), episode(length)),
        prepare(joined, episode(length)),
    )
    assert two.kept.tolist() == one.kept[::2].tolist()
    assert two.texts == (one.texts[0][::2],)
    np.testing.assert_array_equal(two.proprio, one.proprio[::2])
    for row, first in enumerate(range(0, length - 1, 2)):
        part = slice(first, first + 2)
        whole = first + 2 <= length - 1
        assert two.action_ok[row] == (whole and one.action_ok[part].all())
        np.testing.assert_allclose(
            two.actions[row, :3], one.actions[part, :3].sum(axis=0), atol=1e-5
        )
        assert two.actions[row, 6] == one.actions[part, 6][-1]


def test_a_run_that_the_episode_cuts_short_is_not_real(tmp_path: pathlib.Path) -> None:
    joined = read_card(write(tmp_path, CARD.replace("control_hz = 10", "stride = 3")))
    recorded = episode(9, is_last=np.zeros(9, bool))
    assert prepare(joined, recorded).action_ok.tolist() == [True, True, False]
    recorded = episode(10, is_last=np.zeros(10, bool))
    assert prepare(joined, recorded).action_ok.tolist() == [True, True, True]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('robot = "an arm"', "", "card.robot is missing"),
        ('robot = "an arm"', "robot = 3", "card.robot must be str"),
        ('robot = "an arm"', 'robot = "an arm"\nrobots = 2', "card.robots is not a setting"),
        ("control_hz = 10", "control_hz = 0", "control_hz must be above 0"),
        ("control_hz = 10", "control_hz = 10\nstride = 0", "stride must be at least 1"),
        ('"closed_is_1"', '"closed"', "card.gripper must be one of 'open_is_1'"),
        ('names = ["mine", "mine_two"]', "names = []", "names is empty"),
        ('"mine_two"]', '"mine_converted_externally_to_rlds"]', "write 'mine_converted"),
        ("primary =", "third =", "card.cameras.third is not a setting; card.cameras has: head"),
        ("primary =", 'wrist = "observation/image"\nprimary =', "one key has two roles"),
        ('"action" = 7', '"action" = "seven"', "raw: 'action' must be numbers a step"),
        ('"action" = 7', '"action" = 0', "raw: 'action' must be numbers a step"),
        ('"action" = 7', '"action" = true', "raw: 'action' must be numbers a step"),
        ('"action" = 7', '"action" = 8', "action: the layout has 7 numbers, action 8"),
        ('"action" = 7', '"action" = 6', r"transforms\[0\] .invert_gripper.: 'action' has col.* 6"),
        ('"observation/gripper" = 1', "", "state: there is no 'observation/gripper'"),
        ('"language_instruction" = "text"', "", "there is no 'language_instruction'"),
        ('= "language_instruction"', '= "action"', "instruction: 'action' is no text"),
        ('= "language_instruction"', "= []", "instruction must be different columns"),
        (
            '= "language_instruction"',
            '= ["language_instruction", "language_instruction"]',
            "instruction must be different columns",
        ),
        (
            '= "language_instruction"',
            '= ["language_instruction", "action"]',
            "instruction: 'action' is no text",
        ),
        ('= "language_instruction"', "= 3", "card.instruction must be str"),
        (
            'do = "drop_first"',
            'do = "drop"',
            r"transforms\[1\]: do must be one of select, .*'drop'",
        ),
        ('do = "drop_first"', 'od = "drop"', r"transforms\[1\] must be a group with a \"do\""),
        ("columns = [6]", "column = 6", r"transforms\[0\].column is not a setting"),
        ("columns = [6]", "columns = 6", r"transforms\[0\].columns must be a tuple"),
        ('key = "action", ', "", r"transforms\[0\].key is missing"),
        ("right position m base delta 3", "right position m delta", "action: the layout has 5 num"),
        ("delta euler 3", "delta euler 4", "action: layout 'right rotation .* euler has 3 numbers"),
        ("delta euler 3", "delta 3", "form is not known"),
        ('robot = "an arm"', "robot = an arm", "is not TOML"),
    ],
)
def test_a_card_that_does_not_fit_is_refused_with_the_field(
    tmp_path: pathlib.Path, old: str, new: str, said: str
) -> None:
    text = CARD.replace(old, new, 1)
    assert text != CARD
    if "form is not known" in said:
        text = text.replace("control_hz = 10", "control_hz = 10\nstride = 2")
    path = write(tmp_path, text)
    with pytest.raises(UserError, match=said) as caught:
        read_card(path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read .No such file"):
        read_card(tmp_path / "none.toml")


def test_data_without_actions_have_none() -> None:
    card = card_from(
        {
            "name": "video", "names": ["video"], "robot": "none", "embodiment": "none",
            "gripper": "none", "citation": "", "sources": [],
            "cameras": {"primary": "image"}, "action": {}, "state": {},
        }
    )  # fmt: skip
    ready = prepare(card, RawEpisode(Place(0, 0), 3, {"image": [b""] * 3}, {}))
    assert ready.actions.shape == ready.proprio.shape == (3, 0)
    assert not ready.action_ok.any()
    assert ready.texts == (["", "", ""],)
