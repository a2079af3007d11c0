"""One action for n control steps: deltas add up, velocities are averaged, of absolutes the last.

With rotations R1 .. Rn of one run and offsets p1 .. pn, over the run:

    base, world or camera frame     R = Rn ... R1              p = p1 + ... + pn
    tool frame, which moves along   R = R1 ... Rn              p = p1 + R1 p2 + R1 R2 p3 + ...

Gripper fractions are absolute, so that the last command counts.
"""

import dataclasses
from typing import assert_never

import numpy as np
from scipy.spatial.transform import Rotation

from wamjax.data.cards import rotations
from wamjax.data.cards.layout import Dim, Layout
from wamjax.data.cards.rotations import Form


def stride(actions: np.ndarray, layout: Layout, n: int) -> np.ndarray:
    """Actions of runs of `n` control steps.

    Args:
        actions: float [T, A].
        layout: of A numbers.
        n: control steps a run, at least 1.

    Returns:
        [ceil(T / n), A], same dtype; the last run may be of fewer steps.

    Raises:
        ValueError: a wrong width, or numbers that cannot be added up: a rotation of unknown form, a
            position in the frame of a tool whose rotation is not there.
    """
    if n < 1:
        raise ValueError(f"a run has at least one control step, got {n}")
    if actions.ndim != 2 or actions.shape[1] != len(layout):
        raise ValueError(f"the layout has {len(layout)} numbers, the actions are {actions.shape}")
    if n == 1 or not len(actions):
        return actions.copy()
    starts = np.arange(0, len(actions), n)
    ends = np.minimum(starts + n, len(actions))
    out = np.zeros((len(starts), len(layout)), np.float64)
    columns: dict[Dim, list[int]] = {}
    for number, dim in enumerate(layout):
        columns.setdefault(dim.run, []).append(number)
    runs = {run: actions[:, places].astype(np.float64) for run, places in columns.items()}
    for run, places in columns.items():
        match run.mode:
            case "absolute":
                out[:, places] = runs[run][ends - 1]
            case "velocity":
                total = np.add.reduceat(runs[run], starts, axis=0)
                out[:, places] = total / (ends - starts)[:, None]
            case "delta":
                out[:, places] = _add_up(run, runs, starts, n)
            case "relative":
                raise ValueError(
                    f"{run} is told from the state of a step: bring steps together first"
                )
            case _:
                assert_never(run.mode)
    return out.astype(actions.dtype)


def _add_up(run: Dim, runs: dict[Dim, np.ndarray], starts: np.ndarray, n: int) -> np.ndarray:
    """The deltas of one run of numbers, [T, W] -> [R, W]."""
    if run.kind == "rotation" and run.form not in ("difference", "yaw"):
        if run.form == "":
            raise ValueError(f"deltas of {run} cannot be added up: the form is not known")
        turns = _turns(run, run.form, runs[run], n)
        return rotations.write(turns[-1], run.form, (len(starts),), np.dtype(np.float64))
    if run.kind == "position" and run.frame == "tool":
        return _tool_path(run, runs, n)
    return np.add.reduceat(runs[run], starts, axis=0)


def _cut(values: np.ndarray, n: int, still: np.ndarray | float) -> np.ndarray:
    """[T, W] -> [R, n, W], filled up with steps that do nothing."""
    missing = -len(values) % n
    rest = np.broadcast_to(still, (missing, values.shape[1]))
    return np.concatenate([values, rest]).reshape(-1, n, values.shape[1])


def _turns(run: Dim, form: Form, values: np.ndarray, n: int) -> list[Rotation]:
    """The turns of all runs [R] after 0, 1, .. n steps."""
    still = rotations.convert(np.zeros(3), "axis_angle", form)
    steps = _cut(values, n, still)
    done = [Rotation.from_rotvec(np.zeros((len(steps), 3)))]
    for step in range(n):
        turn = rotations.read(steps[:, step], form)
        done.append(done[-1] * turn if run.frame == "tool" else turn * done[-1])
    return done


def _tool_path(run: Dim, runs: dict[Dim, np.ndarray], n: int) -> np.ndarray:
    moves = _cut(runs[run], n, 0.0)
    for form in rotations.FORMS:
        other = dataclasses.replace(run, kind="rotation", unit="rad", form=form)
        if other in runs and moves.shape[-1] == 3:
            turns = _turns(other, form, runs[other], n)
            return sum((turns[i].apply(moves[:, i]) for i in range(n)), np.zeros((len(moves), 3)))
    raise ValueError(
        f"deltas of {run} cannot be added up: the tool's own rotation deltas are not in the layout"
    )
