"""Heun's step, order 2: the mean of the slopes at both ends.

k1 = v(x, sigma),   k2 = v(x + (sigma' - sigma) k1, sigma')
x' = x + (sigma' - sigma) (k1 + k2) / 2
"""

import jax

from wamjax.core.typing import PyTree
from wamjax.flow.solvers.interface import Velocity


def step(velocity: Velocity, x: PyTree, now: PyTree, after: PyTree) -> PyTree:
    """Two evaluations; `now` and `after` are scalars, one per stream."""
    first = velocity(x, now)
    guess = jax.tree.map(lambda x, k, a, b: x + (b - a) * k, x, first, now, after)
    second = velocity(guess, after)
    return jax.tree.map(
        lambda x, k, m, a, b: x + (b - a) * (k + m) / 2, x, first, second, now, after
    )
