"""X-VLA's step (arXiv 2510.10274): the clean prediction, mixed with the first noise again.

    x' = (1 - sigma') clean(x, sigma) + sigma' noise_0

It keeps no memory of x but through the prediction, so it follows no differential equation and has
no order: with more steps it tends to the fixed point x = (1 - sigma) clean + sigma noise_0 and
spreads the samples wider than the data. For predictions that do not depend on x (a policy that
is certain) every number of steps is exact.
"""

import jax

from wamjax.core.typing import Array, Key, PyTree
from wamjax.flow.solvers.interface import Method, Place, Velocity


def init(noise: PyTree, level: PyTree, key: Key | None) -> PyTree:
    """The noise that is mixed in at every step."""
    return noise


def step(
    velocity: Velocity, slope: PyTree, place: Place, x: PyTree, memory: PyTree
) -> tuple[PyTree, PyTree]:
    """One evaluation."""

    def advance(x: Array, v: Array, noise: Array, now: Array, after: Array) -> Array:
        return (1 - after) * (x - now * v) + after * noise

    return jax.tree.map(advance, x, slope, memory, place.now, place.after), memory


METHOD = Method(init, step)
