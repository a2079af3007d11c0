"""Heun's step, order 2: the mean of the slopes at both ends.

k1 = v(x, sigma),   k2 = v(x + (sigma' - sigma) k1, sigma')
x' = x + (sigma' - sigma) (k1 + k2) / 2
"""

import jax

from wamjax.core.typing import PyTree
from wamjax.flow.solvers.interface import Method, Place, Velocity, nothing


def step(
    velocity: Velocity, slope: PyTree, place: Place, x: PyTree, memory: None
) -> tuple[PyTree, None]:
    """Two evaluations."""
    now, after = place.now, place.after
    guess = jax.tree.map(lambda x, k, a, b: x + (b - a) * k, x, slope, now, after)
    second = velocity(guess, after)
    moved = jax.tree.map(
        lambda x, k, m, a, b: x + (b - a) * (k + m) / 2, x, slope, second, now, after
    )
    return moved, None


METHOD = Method(nothing, step, evaluations=2)
