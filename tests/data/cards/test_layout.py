"""Layouts in words, the common layout of several robots, and actions of several control steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from wamjax.data.cards import rotations
from wamjax.data.cards.layout import FORM_WIDTHS, Dim, gather, parse, spread, union
from wamjax.data.cards.striding import stride

ARM = (
    "right position m base delta 3",
    "right rotation rad base delta euler 3",
    "right gripper 1 absolute",
)
OTHERS = (
    ARM,
    ("right joint rad absolute 7", "right gripper 1 absolute"),
    (
        "left joint rad absolute 6",
        "left gripper 1 absolute",
        "right joint rad absolute 6",
        "right gripper 1 absolute",
    ),
    ("base position m/s base velocity", "base rotation rad/s base velocity yaw"),
    ("right rotation rad tool delta axis_angle 3", "right position m base delta 3"),
    (),
)


def test_a_run_is_written_in_words() -> None:
    assert parse(ARM) == (
        *(Dim("right", "position", "m", "base", "delta", "", i) for i in range(3)),
        *(Dim("right", "rotation", "rad", "base", "delta", "euler", i) for i in range(3)),
        Dim("right", "gripper", "1", "none", "absolute", "", 0),
    )
    assert [dim.fraction for dim in parse(ARM)] == [False] * 6 + [True]
    assert not parse(["right gripper m absolute"])[0].fraction
    assert [dim.form for dim in parse(["base rotation rad world absolute yaw"])] == ["yaw"]


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("", "body must be one of right, left, .* got nothing"),
        ("arm position m base delta 3", "got 'arm'"),
        ("right place m base delta 3", "kind must be one of position"),
        ("right position cm base delta 3", "unit must be one of m, "),
        ("right position m somewhere delta 3", "mode must be one of absolute, .*'somewhere'"),
        ("right position m base", "mode must be .* got nothing"),
        ("right position m base delta 3 3", "'3' is not expected"),
        ("right position m base delta three", "'three' is not expected"),
        ("right position m base delta 0", "at least one"),
        ("right position m base delta euler 3", "only a rotation"),
        ("right rotation rad base delta quaternion_xyzw 3", "quaternion_xyzw has 4 numbers"),
    ],
)
def test_a_wrong_word_is_named(run: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse([run])


def test_the_same_meaning_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'right gripper 1 absolute .0.' stands .* twice"):
        parse(["right gripper 1 absolute", "left gripper 1 absolute", "right gripper 1 absolute"])


layouts = st.lists(st.sampled_from(OTHERS), min_size=1, max_size=5)


@settings(deadline=None)
@given(layouts)
def test_the_common_layout_has_each_meaning_once_in_order(chosen: list) -> None:
    parsed = [parse(runs) for runs in chosen]
    common, places = union(parsed)
    seen: list[Dim] = []
    for layout, where in zip(parsed, places, strict=True):
        assert where.dtype == np.int64
        assert tuple(common[i] for i in where) == layout
        seen += [dim for dim in layout if dim not in seen]
    assert list(common) == seen
    assert len(set(common)) == len(common) <= sum(map(len, parsed))
    assert union([*parsed, *parsed])[0] == common
    assert union([common])[0] == common


@settings(deadline=None)
@given(layouts, st.integers(0, 2**32 - 1))
def test_spread_then_gather_changes_nothing(chosen: list, seed: int) -> None:
    parsed = [parse(runs) for runs in chosen]
    common, places = union(parsed)
    for layout, where in zip(parsed, places, strict=True):
        values = np.random.default_rng(seed).normal(size=(2, 3, len(layout))).astype(np.float32)
        wide = spread(values, where, len(common))
        assert wide.dtype == np.float32
        np.testing.assert_array_equal(gather(wide, where), values)
        others = np.setdiff1d(np.arange(len(common)), where)
        assert not wide[..., others].any()


def by_hand(rows: np.ndarray, frame: str, form: str) -> np.ndarray:
    """Position and rotation of one run, one step after the other, as poses."""
    pose = np.eye(4)
    for row in rows:
        step = np.eye(4)
        step[:3, :3] = rotations.convert(row[3:], form, "matrix").reshape(3, 3)  # type: ignore[arg-type]
        step[:3, 3] = row[:3]
        if frame == "tool":
            pose = pose @ step
        else:
            pose[:3, 3] += step[:3, 3]
            pose[:3, :3] = step[:3, :3] @ pose[:3, :3]
    turn = rotations.convert(pose[:3, :3].reshape(9), "matrix", form)  # type: ignore[arg-type]
    return np.concatenate([pose[:3, 3], turn])


@pytest.mark.parametrize("form", rotations.FORMS)
@pytest.mark.parametrize("frame", ["base", "tool"])
@pytest.mark.parametrize(("steps", "n"), [(12, 4), (10, 4), (1, 3), (2, 2), (7, 1), (0, 2)])
def test_deltas_add_up_as_poses_do(form: str, frame: str, steps: int, n: int) -> None:
    runs = [
        f"right position m {frame} delta 3",
        f"right rotation rad {frame} delta {form} {FORM_WIDTHS[form]}",
    ]
    draw = np.random.default_rng([steps, n])
    turns = rotations.convert(0.6 * draw.normal(size=(steps, 3)), "axis_angle", form)  # type: ignore[arg-type]
    actions = np.concatenate([draw.normal(size=(steps, 3)), turns], axis=1)
    expected = [by_hand(actions[i : i + n], frame, form) for i in range(0, steps, n)]
    found = stride(actions, parse(runs), n)
    expected = np.array(expected).reshape(found.shape)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(("steps", "n"), [(12, 4), (10, 4), (1, 3), (2, 2), (7, 1), (0, 2)])
def test_each_mode_has_its_rule(steps: int, n: int) -> None:
    runs = (
        "right joint rad absolute 2",
        "right joint rad delta 2",
        "base position m/s base velocity",
        "right rotation rad base delta difference 3",
        "right gripper 1 absolute",
    )
    actions = np.random.default_rng(n).normal(size=(steps, 9)).astype(np.float32)
    found = stride(actions, parse(runs), n)
    assert found.dtype == np.float32
    assert found.shape == (-(-steps // n), 9)
    for row, start in zip(found, range(0, steps, n), strict=True):
        part = actions[start : start + n].astype(np.float64)
        expected = [
            *part[-1, :2],
            *part[:, 2:4].sum(axis=0),
            part[:, 4].mean(),
            *part[:, 5:8].sum(axis=0),
            part[-1, 8],
        ]
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_what_cannot_be_added_up_is_refused() -> None:
    with pytest.raises(ValueError, match="form is not known"):
        stride(np.zeros((4, 3)), parse(["right rotation rad base delta 3"]), 2)
    with pytest.raises(ValueError, match="tool's own rotation"):
        stride(np.zeros((4, 3)), parse(["right position m tool delta 3"]), 2)
    with pytest.raises(ValueError, match="has 7 numbers"):
        stride(np.zeros((4, 6)), parse(ARM), 2)
    with pytest.raises(ValueError, match="at least one control step"):
        stride(np.zeros((4, 7)), parse(ARM), 0)


def test_the_turn_of_a_base_frame_run_is_the_states() -> None:
    """The deltas between recorded orientations add up to the delta between the ends."""
    states = Rotation.from_rotvec(np.random.default_rng(1).normal(size=(9, 3))).as_euler("xyz")
    steps = rotations.relative(states[:-1], states[1:], "euler")
    found = stride(steps, parse(["right rotation rad base delta euler 3"]), 8)
    ends = rotations.relative(states[:1], states[-1:], "euler")
    np.testing.assert_allclose(
        rotations.convert(found, "euler", "matrix"),
        rotations.convert(ends, "euler", "matrix"),
        atol=1e-9,
    )
