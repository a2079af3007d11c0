"""Each transform against its definition, step by step, on episodes of one step and more."""

import zlib
from typing import Any, get_args

import numpy as np
import pytest

from wamjax.data.cards import rotations
from wamjax.data.cards.columns import KEPT, Columns, count, numbers, take
from wamjax.data.cards.grippers import BinariseGripper, InvertGripper, RelativeToAbsoluteGripper
from wamjax.data.cards.steps import BodyFrameWaypoint, DropFirst, DropIdle, RelabelFromState
from wamjax.data.cards.transforms import (
    TRANSFORMS,
    Clip,
    Concatenate,
    DecodeZlib,
    Fill,
    Select,
    TextFromCodePoints,
    Transform,
    TurnForm,
)

LENGTHS = (1, 2, 3, 17)
lengths = pytest.mark.parametrize("length", LENGTHS)


def episode(length: int, **more: Any) -> Columns:
    draw = np.random.default_rng(length)
    return {
        KEPT: np.arange(length),
        "action": draw.normal(size=(length, 7)).astype(np.float32),
        "state": draw.normal(size=(length, 8)).astype(np.float32),
        "told": [f"step {t}".encode() for t in range(length)],
        **more,
    }


def column(columns: Columns, key: str) -> np.ndarray:
    value = columns[key]
    assert isinstance(value, np.ndarray)
    return value


def same_but(before: Columns, after: Columns, changed: str) -> None:
    """Nothing else changed, and the argument was left alone."""
    assert {*after} == {*before, changed}
    for key, value in before.items():
        if key != changed:
            np.testing.assert_array_equal(after[key], value)


def test_every_transform_has_a_name_of_its_own() -> None:
    assert len(TRANSFORMS) == len(get_args(Transform)) == 14


@lengths
def test_select_and_concatenate_and_fill(length: int) -> None:
    before = episode(length)
    after = Select("state", (2, 0, 7), "place")(before)
    same_but(before, after, "place")
    for t in range(length):
        assert after["place"][t].tolist() == [before["state"][t][i] for i in (2, 0, 7)]  # type: ignore[index]
    joined = Concatenate(("place", "action"), "all")(after)
    for t in range(length):
        assert joined["all"][t].tolist() == [*after["place"][t], *before["action"][t]]  # type: ignore[misc]
    filled = Fill("open", 2, 1.0)(before)
    assert column(filled, "open").tolist() == [[1.0, 1.0]] * length
    assert column(filled, "open").dtype == np.float32


@lengths
def test_clip_and_invert(length: int) -> None:
    before = episode(length)
    copy = {key: np.array(value) for key, value in before.items()}
    after = Clip("action", (6,), 0.0, 1.0)(before)
    same_but(before, after, "action")
    for t in range(length):
        expected = [*copy["action"][t][:6], min(max(copy["action"][t][6], 0.0), 1.0)]
        assert after["action"][t].tolist() == expected  # type: ignore[union-attr]
    turned = InvertGripper("action", (6,))(before)
    np.testing.assert_array_equal(column(turned, "action")[:, :6], copy["action"][:, :6])
    np.testing.assert_array_equal(column(turned, "action")[:, 6], 1 - copy["action"][:, 6])
    everything = InvertGripper("action")(before)
    np.testing.assert_array_equal(column(everything, "action"), 1 - copy["action"])
    np.testing.assert_array_equal(column(before, "action"), copy["action"])


def test_whole_numbers_and_booleans_are_numbers() -> None:
    for dtype in (np.bool_, np.int64):
        closed = np.array([[1], [0]], dtype)
        after = InvertGripper("g")({KEPT: np.arange(2), "g": closed})
        assert column(after, "g").tolist() == [[0.0], [1.0]]
        assert column(after, "g").dtype == np.float32


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ([0.5], [1]),
        ([0.49], [0]),
        ([1.0], [1]),
        ([0.02], [0]),
        ([0.5, 0.0], [0, 0]),
        ([0.0, 0.5], [0, 0]),
        ([1.0, 0.6, 0.3, 0.0, 0.4, 0.7, 1.0, 0.5], [1, 0, 0, 0, 1, 1, 1, 1]),
        ([0.95, 0.05, 0.96], [1, 1, 1]),
    ],
)
def test_readings_between_belong_to_the_next_extreme(read: list, expected: list) -> None:
    values = np.array(read, np.float32)[:, None]
    after = BinariseGripper("g")({KEPT: np.arange(len(read)), "g": values})
    assert column(after, "g")[:, 0].tolist() == expected


@lengths
def test_binarise_by_walking_backwards(length: int) -> None:
    values = np.random.default_rng(length).choice([0.0, 0.3, 0.6, 1.0], size=length)
    expected = np.zeros(length)
    extremes = [x for x in values if x > 0.95 or x < 0.05]
    carry = round(extremes[-1]) if extremes else float(values[0] >= 0.5)
    for t in reversed(range(length)):
        if values[t] > 0.95 or values[t] < 0.05:
            carry = round(values[t])
        expected[t] = carry if extremes else float(values[t] >= 0.5)
    after = BinariseGripper("g")({KEPT: np.arange(length), "g": values[:, None]})
    np.testing.assert_array_equal(column(after, "g")[:, 0], expected)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([0], [1]),
        ([1], [0]),
        ([-1], [1]),
        ([0, 1], [1, 0]),
        ([0, -1], [0, 1]),
        ([0, 0, 1, 0, 0, -1, 0, 1], [1, 1, 0, 0, 0, 1, 1, 0]),
        ([-1, 0, 0.05, 1, 0], [1, 1, 1, 0, 0]),
        ([0, -0.05, 0], [1, 1, 1]),
    ],
)
def test_commands_hold_until_the_next(told: list, expected: list) -> None:
    values = np.array(told, np.float32)[:, None]
    after = RelativeToAbsoluteGripper("g")({KEPT: np.arange(len(told)), "g": values})
    assert column(after, "g")[:, 0].tolist() == expected


@lengths
@pytest.mark.parametrize(("of", "to"), [("quaternion_xyzw", "euler"), ("euler", "six_d")])
def test_a_rotation_in_the_middle_is_converted(length: int, of: Any, to: Any) -> None:
    before = episode(length)
    after = TurnForm("state", 2, of, to)(before)
    same_but(before, after, "state")
    width = rotations.width(of)
    for row, old in zip(column(after, "state"), column(before, "state"), strict=True):
        turned = rotations.convert(old[2 : 2 + width], of, to)
        np.testing.assert_allclose(row, [*old[:2], *turned, *old[2 + width :]], rtol=1e-6)
    changed = TurnForm("state", 2, of, to).widths({"state": 8})
    assert changed == {"state": column(after, "state").shape[1]}


@lengths
def test_packed_tensors_are_unpacked(length: int) -> None:
    values = np.random.default_rng(length).normal(size=(length, 3)).astype("<f4")
    packed = [zlib.compress(row.tobytes()) for row in values]
    before = episode(length, packed=packed)
    after = DecodeZlib("packed", 3)(before)
    same_but(before, after, "packed")
    np.testing.assert_array_equal(column(after, "packed"), values)
    with pytest.raises(ValueError, match="12 bytes for 2 numbers"):
        DecodeZlib("packed", 2)(before)
    with pytest.raises(ValueError, match="step 0 is not zlib data"):
        DecodeZlib("packed", 3)({**before, "packed": [b"nothing"] * length})


@lengths
def test_code_points_are_text(length: int) -> None:
    texts = [("push the cube", "", "größer 推", "x" * 20)[t % 4] for t in range(length)]
    rows = np.zeros((length, 20), np.int32)
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = [ord(letter) for letter in text]
    before = episode(length, points=rows)
    after = TextFromCodePoints("points", "text")(before)
    same_but(before, after, "text")
    assert [bytes(text).decode() for text in after["text"]] == texts
    with pytest.raises(ValueError, match="step 0 has no code points"):
        TextFromCodePoints("points", "text")({**before, "points": rows * 0 + 2**22})
    with pytest.raises(ValueError, match="no code points"):
        TextFromCodePoints("points", "text")({**before, "points": rows * 0 + 0xD800})


def stepwise(before: Columns, after: Columns, kept: list[int], *, but: str = "") -> None:
    """`after` holds the steps `kept` of every column."""
    assert column(after, KEPT).tolist() == kept
    assert {*after} == {*before}
    for key, value in before.items():
        assert len(after[key]) == len(kept)
        if key != but:
            for row, step in enumerate(kept):
                np.testing.assert_array_equal(after[key][row], value[step])


@lengths
def test_dropped_steps_are_dropped_everywhere(length: int) -> None:
    before = episode(length)
    stepwise(before, DropFirst()(before), list(range(1, length)))
    stepwise(before, take(before, np.array([0, 0])), [0, 0])
    idle = column(before, "action").copy()
    idle[1::3, :6] = [0, 0, 0, 1e-6, 0, -1e-6]
    still = {**before, "action": idle}
    kept = [t for t in range(length) if np.abs(idle[t, :6]).max() > 1e-5]
    stepwise(still, DropIdle("action", (0, 1, 2, 3, 4, 5), 1e-5)(still), kept)
    assert len(column(DropIdle("action")(still), KEPT)) == length
    nothing = {**before, "action": 0 * idle}
    stepwise(nothing, DropIdle("action")(nothing), [])


@lengths
def test_relabelled_actions_are_what_the_state_did(length: int) -> None:
    before = episode(length)
    after = RelabelFromState("action", "state")(before)
    stepwise(before, after, list(range(length - 1)), but="action")
    action, state = column(before, "action"), column(before, "state")
    for t in range(length - 1):
        expected = [*(state[t + 1] - state[t])[:6], action[t, 6]]
        np.testing.assert_array_equal(column(after, "action")[t], expected)


@pytest.mark.parametrize("length", [*LENGTHS, 4, 7])
@pytest.mark.parametrize("every", [1, 3])
def test_waypoints_lead_to_the_next_place(length: int, every: int) -> None:
    draw = np.random.default_rng([length, every])
    place, yaw = draw.normal(size=(length, 2)), draw.uniform(-3, 3, (length, 1))
    place[:2] = place[0]  # the robot waits first
    scale = 2.5
    recorded = np.zeros((length, 2))
    recorded[:-1] = scale * np.diff(place, axis=0)
    before = episode(length, place=place, yaw=yaw)
    before["action"] = recorded
    after = BodyFrameWaypoint("action", "place", "yaw", every)(before)
    kept = list(range(0, length, every))[:-1]
    stepwise(before, after, kept, but="action")
    if length <= 2:
        scale = 1.0  # it never moved
    for row, t in enumerate(kept):
        ahead, left = column(after, "action")[row]
        c, s = np.cos(yaw[t, 0]), np.sin(yaw[t, 0])
        reached = place[t] + np.array([c * ahead - s * left, s * ahead + c * left]) / scale
        np.testing.assert_allclose(reached, place[t + every], atol=1e-12)


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (Select("nothing", (0,), "x"), "there is no 'nothing'; there are 'action'"),
        (Select("action", (7,), "x"), "columns 0 to 6, got 7"),
        (Select("action", (-1,), "x"), "columns 0 to 6, got -1"),
        (Select("told", (0,), "x"), "'told' is text, not numbers"),
        (Concatenate(("action", "told"), "x"), "'told' is text"),
        (Fill("x", 0), "at least 1"),
        (Clip("action", (9,)), "got 9"),
        (TurnForm("action", 4, "quaternion_xyzw", "euler"), "got 7"),
        (DecodeZlib("action", 3), "'action' is not packed"),
        (TextFromCodePoints("told", "x"), "'told' is text"),
        (DropIdle("action", (7,)), "got 7"),
        (RelabelFromState("state", "action", 8), "got 7"),
        (BodyFrameWaypoint("action", "state", "state"), "must have 2 numbers, has 7"),
        (BodyFrameWaypoint("place", "place", "yaw", 0), "every must be at least 1"),
    ],
)
def test_what_does_not_fit_is_said_without_data(transform: Transform, said: str) -> None:
    widths = {"action": 7, "state": 8, "told": "text", "place": 2, "yaw": 1}
    with pytest.raises(ValueError, match=said):
        transform.widths(widths)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("transform", "width"),
    [
        (Select("state", (1, 2), "x"), {"x": 2}),
        (Concatenate(("state", "action"), "x"), {"x": 15}),
        (Fill("x", 3), {"x": 3}),
        (Clip("action"), {"action": 7}),
        (TurnForm("state", 3, "quaternion_xyzw", "euler"), {"state": 7}),
        (DecodeZlib("packed", 3), {"packed": 3}),
        (TextFromCodePoints("points", "x"), {"x": "text"}),
        (RelabelFromState("action", "state"), {"action": 7}),
    ],
)
def test_promised_widths_are_kept(transform: Transform, width: dict) -> None:
    packed = [zlib.compress(np.zeros(3, "<f4").tobytes())] * 4
    before = episode(4, packed=packed, points=np.full((4, 5), 65))
    widths = {"action": 7, "state": 8, "told": "text", "packed": "packed", "points": 5}
    promised = transform.widths(widths)  # type: ignore[arg-type]
    assert promised == widths | width
    after = transform(before)
    for key, wanted in promised.items():
        assert isinstance(wanted, str) == isinstance(after[key], list)
        if isinstance(wanted, int):
            assert column(after, key).shape[1] == count(promised, key) == wanted


def test_missing_columns_and_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no 'x'"):
        numbers(episode(2), "x")
    with pytest.raises(ValueError, match="'told' holds bytes"):
        numbers(episode(2), "told")
    with pytest.raises(ValueError, match="'action' holds numbers"):
        DecodeZlib("action", 3)(episode(2))
