"""Walk the grid: one `lax.scan` over neighbouring pairs of noise levels."""

from collections.abc import Callable
from typing import Literal, assert_never

import jax
import jax.numpy as jnp

from wamjax.core.typing import PyTree
from wamjax.flow.solvers import euler, heun
from wamjax.flow.solvers.interface import Step

Solver = Literal["euler", "heun"]


def step_of(solver: Solver) -> Step:
    """The step function of the name."""
    match solver:
        case "euler":
            return euler.step
        case "heun":
            return heun.step
        case _:
            assert_never(solver)


def integrate(
    velocity: Callable[[PyTree, PyTree], PyTree], noise: PyTree, sigmas: PyTree, solver: Solver
) -> PyTree:
    """The state at the end of the grid.

    Args:
        velocity: (x, sigma) -> slope, with x and slope like `noise` and one float32 [B] of noise
            levels per stream.
        noise: the state at the start of the grid, a tree with one array [B, ...] per stream.
        sigmas: a grid float32 [S + 1] per stream, all of one length.
        solver: "euler" (one evaluation per step) or "heun" (two).
    """
    step = step_of(solver)

    def batched(x: PyTree, sigma: PyTree) -> PyTree:
        return velocity(x, jax.tree.map(lambda x, s: jnp.full(x.shape[:1], s), x, sigma))

    def walk(x: PyTree, pair: tuple[PyTree, PyTree]) -> tuple[PyTree, None]:
        return step(batched, x, *pair), None

    pairs = (jax.tree.map(lambda s: s[:-1], sigmas), jax.tree.map(lambda s: s[1:], sigmas))
    return jax.lax.scan(walk, noise, pairs)[0]
