"""Walk the grid: one `lax.scan` over the evaluations of the velocity.

Without reuse every step has its evaluation. With `evaluated`, a tuple of step indices, the network
is asked at those steps only and the steps between them go on with the last answer (velocity reuse,
DreamZero, arXiv 2602.15922): the scan is as long as `evaluated`, so that the skipped evaluations
are not in the program at all.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, assert_never

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Key, PyTree
from wamjax.flow.solvers import adams_bashforth, ddim, ddpm, euler, heun, remix, unipc
from wamjax.flow.solvers.interface import Method, Place
from wamjax.flow.variance_preserving import spread

Solver = Literal["euler", "heun", "unipc", "adams_bashforth", "ddim", "ddpm", "remix"]


def method_of(solver: Solver) -> Method:
    """The solver of the name."""
    match solver:
        case "euler":
            return euler.METHOD
        case "heun":
            return heun.METHOD
        case "unipc":
            return unipc.METHOD
        case "adams_bashforth":
            return adams_bashforth.METHOD
        case "ddim":
            return ddim.METHOD
        case "ddpm":
            return ddpm.METHOD
        case "remix":
            return remix.METHOD
        case _:
            assert_never(solver)


def evaluations(steps: int, evaluated: Sequence[int] = ()) -> np.ndarray:
    """Which steps are walked on which evaluation.

    Args:
        steps: how many there are.
        evaluated: indices of the steps with an evaluation, rising from 0; empty for all of them.

    Returns:
        int32 [evaluations, most steps on one of them]; a row lists its steps and then -1.

    Raises:
        ValueError: indices that do not rise from 0, or a step that is not there.
    """
    starts = list(evaluated) or list(range(steps))
    if starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= steps:
        raise ValueError(
            f"evaluated steps rise from 0 and stay below {steps}, got {tuple(evaluated)}"
        )
    rows = [range(a, b) for a, b in zip(starts, [*starts[1:], steps], strict=True)]
    table = np.full((len(rows), max(map(len, rows))), -1, np.int32)
    for row, indices in zip(table, rows, strict=True):
        row[: len(indices)] = indices
    return table


def check_reuse(solver: Solver, steps: int, evaluated: Sequence[int]) -> None:
    """Whether `solver` can walk `steps` steps on the evaluations of some of them.

    Raises:
        ValueError: it cannot; see `evaluations`.
    """
    if evaluated and method_of(solver).evaluations > 1:
        raise ValueError(f"{solver} evaluates within its steps: it cannot reuse a velocity")
    evaluations(steps, evaluated)


def _bounded(x: PyTree, level: PyTree, clip: float) -> PyTree:
    def bounded(x: Array, level: Array) -> Array:
        limit = clip * spread(level)
        return jnp.clip(x, -limit, limit)

    return jax.tree.map(bounded, x, level)


def integrate(
    velocity: Callable[[PyTree, PyTree], PyTree],
    noise: PyTree,
    sigmas: PyTree,
    solver: Solver,
    *,
    key: Key | None = None,
    clip: float | None = None,
    evaluated: Sequence[int] = (),
) -> PyTree:
    """The state at the end of the grid.

    Args:
        velocity: (x, sigma) -> slope, with x and slope like `noise` and one float32 [B] of noise
            levels per stream.
        noise: the state at the start of the grid, a tree with one array [B, ...] per stream.
        sigmas: a grid float32 [S + 1] per stream, all of one length.
        solver: see the file of its name; "heun" evaluates twice a step, all others once.
        key: for "ddpm".
        clip: after each step, bound the state at +-clip in units of its spread, see
            flow.variance_preserving.
        evaluated: see the top of this file; empty for every step.

    Raises:
        ValueError: evaluated steps that do not rise from 0, reuse with a solver that evaluates more
            than once a step, or "ddpm" without a key.
    """
    method = method_of(solver)
    check_reuse(solver, jax.tree.leaves(sigmas)[0].shape[0] - 1, evaluated)
    steps = jax.tree.leaves(sigmas)[0].shape[0] - 1
    table = evaluations(steps, evaluated)
    padded = [bool((column < 0).any()) for column in table.T]

    def batched(x: PyTree, sigma: PyTree) -> PyTree:
        return velocity(x, jax.tree.map(lambda x, s: jnp.full(x.shape[:1], s), x, sigma))

    def advance(index: Array, slope: PyTree, x: PyTree, memory: Any) -> tuple[PyTree, Any]:
        now = jax.tree.map(lambda s: s[index], sigmas)
        after = jax.tree.map(lambda s: s[index + 1], sigmas)
        place = Place(now, after, index, index == steps - 1)
        x, memory = method.step(batched, slope, place, x, memory)
        return (x if clip is None else _bounded(x, after, clip)), memory

    def evaluation(state: tuple[PyTree, Any], row: Array) -> tuple[tuple[PyTree, Any], None]:
        slope = batched(state[0], jax.tree.map(lambda s: s[row[0]], sigmas))
        for column, some_are_padding in enumerate(padded):
            index = row[column]
            # A padded row walks the first step, where every solver is finite, and forgets it.
            moved = advance(jnp.maximum(index, 0), slope, *state)
            if some_are_padding:
                real = index >= 0
                moved = jax.tree.map(lambda a, b, real=real: jnp.where(real, a, b), moved, state)
            state = moved
        return state, None

    first = jax.tree.map(lambda s: s[0], sigmas)
    start = method.init(noise, first, key)
    (x, _), _ = jax.lax.scan(evaluation, (noise, start), jnp.asarray(table))
    return x
