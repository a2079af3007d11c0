"""DDIM's step (arXiv 2010.02502), order 1: the predicted ends of the path, mixed at the next level.

    z' = sqrt(A') clean + sqrt(1 - A') noise          in the variance-preserving z
    x' = (1 - sigma') clean + sigma' noise            in our x, see flow.variance_preserving

The second line is the first one divided by its scale, and is Euler's step along our velocity: the
two differ in the grid alone. It is kept under its name, and tested to be the same.
"""

import jax

from wamjax.core.typing import Array, PyTree
from wamjax.flow.solvers.interface import Method, Place, Velocity, nothing


def step(
    velocity: Velocity, slope: PyTree, place: Place, x: PyTree, memory: None
) -> tuple[PyTree, None]:
    """One evaluation."""

    def advance(x: Array, v: Array, now: Array, after: Array) -> Array:
        clean, noise = x - now * v, x + (1 - now) * v
        return (1 - after) * clean + after * noise

    return jax.tree.map(advance, x, slope, place.now, place.after), None


METHOD = Method(nothing, step)
