"""Rotations against scipy, against one another, and where the forms are singular."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from wamjax.data.cards import rotations
from wamjax.data.cards.rotations import FORMS, Form, compose, convert, relative

PAIRS = list(itertools.product(FORMS, FORMS))


def some(count: int, seed: int) -> Rotation:
    return Rotation.from_quat(np.random.default_rng(seed).normal(size=(count, 4)))


def theirs(turn: Rotation, form: Form) -> np.ndarray:
    """What scipy (or the definition) says of one rotation."""
    q, m = turn.as_quat(canonical=True), turn.as_matrix()
    table = {
        "euler": lambda: turn.as_euler("xyz"),
        "quaternion_xyzw": lambda: q,
        "quaternion_wxyz": lambda: np.array([q[3], q[0], q[1], q[2]]),
        "axis_angle": lambda: turn.as_rotvec(),
        "six_d": lambda: np.array([*m[:, 0], *m[:, 1]]),
        "matrix": lambda: np.array([*m[0], *m[1], *m[2]]),
    }
    return table[form]()


def matrix(values: np.ndarray, form: Form) -> np.ndarray:
    """The rotation that the numbers mean, from the definitions alone."""
    a = np.asarray(values, np.float64)
    if form == "euler":
        (ca, cb, cc), (sa, sb, sc) = np.cos(a), np.sin(a)
        x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
        y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
        z = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
        return z @ y @ x
    if form == "axis_angle":
        angle = np.linalg.norm(a)
        if angle == 0:
            return np.eye(3)
        x, y, z = a / angle
        k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k
    if form == "six_d":
        return np.stack([a[:3], a[3:], np.cross(a[:3], a[3:])], axis=1)
    if form == "matrix":
        return a.reshape(3, 3)
    w, x, y, z = a if form == "quaternion_wxyz" else a[[3, 0, 1, 2]]
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@pytest.mark.parametrize(("of", "to"), PAIRS)
def test_every_conversion_is_scipys(of: Form, to: Form) -> None:
    for turn in some(20, 3):
        np.testing.assert_allclose(convert(theirs(turn, of), of, to), theirs(turn, to), atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_the_numbers_mean_what_the_definitions_say(form: Form) -> None:
    for turn in some(20, 4):
        values = convert(turn.as_matrix().reshape(9), "matrix", form)
        np.testing.assert_allclose(matrix(values, form), turn.as_matrix(), atol=1e-12)


angles = st.floats(-10.0, 10.0, allow_nan=False)


@settings(max_examples=200, deadline=None)
@given(st.tuples(angles, angles, angles), st.sampled_from(PAIRS))
def test_there_and_back_is_the_same_rotation(vector: tuple, pair: tuple[Form, Form]) -> None:
    of, to = pair
    values = convert(np.array(vector), "axis_angle", of)
    back = convert(convert(values, of, to), to, of)
    np.testing.assert_allclose(matrix(back, of), matrix(values, of), atol=1e-7)


@settings(max_examples=100, deadline=None)
@given(st.tuples(*[angles] * 6), st.sampled_from(FORMS))
def test_relative_is_the_inverse_of_compose(numbers: tuple, form: Form) -> None:
    first, second = convert(np.array(numbers).reshape(2, 3), "euler", form)
    step = relative(first, second, form)
    np.testing.assert_allclose(
        matrix(compose(first, step, form), form), matrix(second, form), atol=1e-7
    )
    np.testing.assert_allclose(
        matrix(step, form) @ matrix(first, form), matrix(second, form), atol=1e-7
    )


@pytest.mark.parametrize("pitch", [np.pi / 2, -np.pi / 2])
@pytest.mark.parametrize("to", FORMS)
def test_gimbal_lock_keeps_the_rotation(pitch: float, to: Form) -> None:
    values = np.array([0.3, pitch, -0.8])
    back = convert(convert(values, "euler", to), to, "euler")
    np.testing.assert_allclose(matrix(back, "euler"), matrix(values, "euler"), atol=1e-7)
    assert abs(back[2]) < 1e-6


@pytest.mark.parametrize("angle", [0.0, 1e-300, 1e-12, 1e-7, np.pi - 1e-9, np.pi, np.pi + 1e-9])
@pytest.mark.parametrize("to", FORMS)
def test_the_smallest_and_the_largest_angles(angle: float, to: Form) -> None:
    values = angle * np.array([0.6, 0.0, -0.8])
    there = convert(values, "axis_angle", to)
    assert np.isfinite(there).all()
    np.testing.assert_allclose(matrix(there, to), matrix(values, "axis_angle"), atol=1e-8)
    back = convert(there, to, "axis_angle")
    assert np.linalg.norm(back) <= np.pi + 1e-12
    np.testing.assert_allclose(matrix(back, "axis_angle"), matrix(values, "axis_angle"), atol=1e-7)


@pytest.mark.parametrize(("of", "to"), PAIRS)
def test_shape_and_dtype_are_kept(of: Form, to: Form) -> None:
    turns = some(6, 5)
    values = np.stack([theirs(turn, of) for turn in turns]).reshape(2, 3, -1)
    for dtype in (np.float32, np.float64):
        out = convert(values.astype(dtype), of, to)
        assert out.dtype == dtype
        assert out.shape == (2, 3, rotations.width(to))
    np.testing.assert_allclose(
        convert(values, of, to)[1, 2], convert(values[1, 2], of, to), atol=1e-15
    )
    for leading in ((0,), (2, 0, 3)):
        empty = np.zeros((*leading, rotations.width(of)), np.float32)
        assert convert(empty, of, to).shape == (*leading, rotations.width(to))


def test_length_does_not_matter_to_quaternions_and_columns() -> None:
    turn = some(1, 6)[0]
    for form in ("quaternion_xyzw", "quaternion_wxyz", "six_d"):
        values = theirs(turn, form)
        np.testing.assert_allclose(convert(-3 * -values, form, form), values, atol=1e-12)


@pytest.mark.parametrize(
    ("values", "form", "said"),
    [
        (np.zeros((2, 4)), "quaternion_xyzw", "norm 0"),
        (np.array([[0.0, 0, 0, 0], [1.0, 0, 0, 0]]), "quaternion_wxyz", "norm 0"),
        (np.array([1.0, 0, 0, 2.0, 0, 0]), "six_d", "parallel"),
        (np.zeros(9), "matrix", "determinant"),
        (np.array([1.0, np.nan, 0.0]), "euler", "finite"),
        (np.zeros((2, 4)), "euler", "3 numbers"),
        (np.zeros(3, np.int64), "euler", "floats"),
        (np.float64(1.0), "euler", "3 numbers"),
    ],
)
def test_what_is_no_rotation_is_refused(values: np.ndarray, form: Form, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        convert(np.asarray(values), form, "matrix")
