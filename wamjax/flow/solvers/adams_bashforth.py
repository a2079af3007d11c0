"""Two-step exponential Adams-Bashforth, order 2: the clean sample is a line through two steps.

    r = (lambda_before - lambda) / h                          variable step size, r < 0
    x' = constant step + (1 - sigma') (1 - (1 - e^-h) / h) (clean_before - clean) / r

with lambda and h of `exponential`. It is the "2ab" of the RES solvers (arXiv 2308.02157) that
Cosmos-Policy (arXiv 2601.16163) samples with: their -log of the EDM sigma is our lambda. Order 1 at
the first step, and at one that ends at data, where h is infinite (their final clean prediction).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Key, PyTree
from wamjax.flow.solvers.exponential import constant_step, half_log_signal
from wamjax.flow.solvers.interface import Method, Place, Velocity


class Memory(NamedTuple):
    """The clean sample of the last step and the noise level at which it was predicted."""

    clean: PyTree
    level: PyTree


def init(noise: PyTree, level: PyTree, key: Key | None) -> Memory:
    """Nothing is read from it at the first step."""
    return Memory(noise, level)


def step(
    velocity: Velocity, slope: PyTree, place: Place, x: PyTree, memory: Memory
) -> tuple[PyTree, Memory]:
    """One evaluation."""
    clean = jax.tree.map(lambda x, v, a: x - a * v, x, slope, place.now)

    def advance(
        x: Array, clean: Array, earlier: Array, before: Array, now: Array, after: Array
    ) -> Array:
        here, there = half_log_signal(now), half_log_signal(after)
        h = there - here
        bend = (1 + jnp.expm1(-h) / h) * h / (half_log_signal(before) - here)
        bend = jnp.where((place.index == 0) | (after == 0), 0.0, bend)
        return constant_step(x, clean, now, after, h) + (1 - after) * bend * (earlier - clean)

    moved = jax.tree.map(advance, x, clean, memory.clean, memory.level, place.now, place.after)
    return moved, Memory(clean, place.now)


METHOD = Method(init, step)
