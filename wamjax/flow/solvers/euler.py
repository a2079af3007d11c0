"""Euler's step, order 1:  x' = x + (sigma' - sigma) v(x, sigma)."""

import jax

from wamjax.core.typing import PyTree
from wamjax.flow.solvers.interface import Velocity


def step(velocity: Velocity, x: PyTree, now: PyTree, after: PyTree) -> PyTree:
    """One evaluation; `now` and `after` are scalars, one per stream."""
    slope = velocity(x, now)
    return jax.tree.map(lambda x, v, a, b: x + (b - a) * v, x, slope, now, after)
