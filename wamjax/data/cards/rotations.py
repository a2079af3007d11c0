"""Rotations as data sets write them, converted on the last axis of arrays.

    euler            roll a, pitch b, yaw c (rad): R = Rz(c) Ry(b) Rx(a), extrinsic xyz
    quaternion_xyzw  unit quaternion, scalar last
    quaternion_wxyz  unit quaternion, scalar first
    axis_angle       rotation vector, axis times angle (rad)
    six_d            the first two columns of R, one after the other (Zhou et al., arXiv 1812.07035)
    matrix           R, row by row

R maps vectors of the body's frame to the base frame. A turn in the base frame stands on the left:
"first R, then S" is S R. Where several numbers mean one rotation, these come out: the quaternion
with the positive scalar, the rotation vector of the shorter way, pitch within +-pi/2, and yaw 0
where the pitch is +-pi/2 (roll then holds the whole turn).
"""

import warnings
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy.spatial.transform import Rotation

Form = Literal["euler", "quaternion_xyzw", "quaternion_wxyz", "axis_angle", "six_d", "matrix"]
FORMS: tuple[Form, ...] = get_args(Form)
SMALLEST = 1e-8
"""A quaternion or a column shorter than this has no direction."""


class _Way(NamedTuple):
    width: int
    read: Callable[[np.ndarray], Rotation]
    write: Callable[[Rotation], np.ndarray]


def _read_quaternion(q: np.ndarray) -> Rotation:
    if (np.linalg.norm(q, axis=-1) < SMALLEST).any():
        raise ValueError("a quaternion of norm 0 is no rotation")
    return Rotation.from_quat(q)


def _write_quaternion(turn: Rotation) -> np.ndarray:
    q = turn.as_quat()
    return np.where(q[:, 3:] < 0, -q, q)


def _write_euler(turn: Rotation) -> np.ndarray:
    with warnings.catch_warnings():
        # At pitch +-pi/2 scipy says that it chose one of many answers; so does this file.
        warnings.simplefilter("ignore", UserWarning)
        return turn.as_euler("xyz")


def _read_six_d(columns: np.ndarray) -> Rotation:
    first, second = columns[:, :3], columns[:, 3:]
    x = _unit(first)
    y = _unit(second - np.sum(x * second, axis=-1, keepdims=True) * x)
    return Rotation.from_matrix(np.stack([x, y, np.cross(x, y)], axis=-1))


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if (length < SMALLEST).any():
        raise ValueError("two columns that are zero or parallel are no rotation")
    return vectors / length


def _write_six_d(turn: Rotation) -> np.ndarray:
    matrix = turn.as_matrix()
    return np.concatenate([matrix[:, :, 0], matrix[:, :, 1]], axis=-1)


WAYS: dict[Form, _Way] = {
    "euler": _Way(3, lambda x: Rotation.from_euler("xyz", x), _write_euler),
    "quaternion_xyzw": _Way(4, _read_quaternion, _write_quaternion),
    "quaternion_wxyz": _Way(
        4,
        lambda x: _read_quaternion(np.roll(x, -1, axis=-1)),
        lambda turn: np.roll(_write_quaternion(turn), 1, axis=-1),
    ),
    "axis_angle": _Way(3, Rotation.from_rotvec, Rotation.as_rotvec),
    "six_d": _Way(6, _read_six_d, _write_six_d),
    "matrix": _Way(
        9,
        lambda x: Rotation.from_matrix(x.reshape(-1, 3, 3)),
        lambda turn: turn.as_matrix().reshape(-1, 9),
    ),
}


def width(form: Form) -> int:
    """Numbers a rotation takes."""
    return WAYS[form].width


def read(values: np.ndarray, form: Form) -> Rotation:
    """The N rotations in `values`, whatever its leading shape.

    Args:
        values: float [..., width(form)], N rows; unit length is not needed.

    Raises:
        ValueError: another width, numbers that are not floats or not finite, or no rotation.
    """
    if values.dtype.kind != "f":
        raise ValueError(f"rotations are floats, got {values.dtype}")
    if not values.ndim or values.shape[-1] != width(form):
        raise ValueError(f"{form} has {width(form)} numbers, got an array of shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{form} with a number that is not finite")
    return WAYS[form].read(values.reshape(-1, values.shape[-1]).astype(np.float64))


def write(turn: Rotation, form: Form, leading: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The rotations as an array [*leading, width(form)]."""
    return WAYS[form].write(turn).reshape(*leading, width(form)).astype(dtype)


def convert(values: np.ndarray, of: Form, to: Form) -> np.ndarray:
    """The same rotations in another form.

    Args:
        values: float [..., width(of)].

    Returns:
        [..., width(to)], of the same dtype.

    Raises:
        ValueError: `values` are no rotations of form `of`.
    """
    return write(read(values, of), to, values.shape[:-1], values.dtype)


def compose(first: np.ndarray, second: np.ndarray, form: Form) -> np.ndarray:
    """ "First, then second", both turns in the base frame: S R for first R and second S.

    For turns in the tool's own frame exchange the two.

    Args:
        first, second: float [..., width(form)], of one shape.
    """
    turned = read(second, form) * read(first, form)
    return write(turned, form, first.shape[:-1], first.dtype)


def relative(first: np.ndarray, second: np.ndarray, form: Form) -> np.ndarray:
    """The turn in the base frame that leads from `first` to `second`: S R^-1.

    The inverse of `compose`: compose(first, relative(first, second)) is `second`.
    """
    turned = read(second, form) * read(first, form).inv()
    return write(turned, form, first.shape[:-1], first.dtype)
