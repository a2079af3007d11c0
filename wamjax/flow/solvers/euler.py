"""Euler's step, order 1:  x' = x + (sigma' - sigma) v(x, sigma)."""

import jax

from wamjax.core.typing import PyTree
from wamjax.flow.solvers.interface import Method, Place, Velocity, nothing


def step(
    velocity: Velocity, slope: PyTree, place: Place, x: PyTree, memory: None
) -> tuple[PyTree, None]:
    """One evaluation."""
    moved = jax.tree.map(lambda x, v, a, b: x + (b - a) * v, x, slope, place.now, place.after)
    return moved, None


METHOD = Method(nothing, step)
