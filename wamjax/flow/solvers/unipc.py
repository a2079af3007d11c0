"""UniPC of order 2 with B(h) = e^-h - 1 ("bh2"), a multistep predictor and corrector.

With lambda and h of `exponential`, m the clean samples, D = (m_before - m) / r, and
r = (lambda_before - lambda) / h:

    predict   x' = constant step - (1 - sigma') B D / 2
    correct   x  = constant step of the step before
                   - (1 - sigma) B (rho_1 D + rho_2 (m_now - m)),   all taken at the step before
              rho_1 + rho_2 = b_1,   r rho_1 + rho_2 = b_2
              b_1 = (B / -h - 1) / B,   b_2 = 2 ((B / -h - 1) / -h - 1 / 2) / B

The corrector needs the clean sample at the end of its step, which is the one that the next
predictor evaluates: one evaluation a step. Order 1 at the first step (rho_2 = 1 / 2) and at the
last one. Source: arXiv 2302.04867; Wan and DreamZero (arXiv 2602.15922) sample with it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Key, PyTree
from wamjax.flow.solvers.exponential import constant_step, half_log_signal
from wamjax.flow.solvers.interface import Method, Place, Velocity


class Memory(NamedTuple):
    """The last step, and the one before it.

    Attributes:
        x: the corrected state from which the last step was predicted.
        clean, level: the clean sample there and its noise level.
        earlier, earlier_level: the same one step before.
    """

    x: PyTree
    clean: PyTree
    level: PyTree
    earlier: PyTree
    earlier_level: PyTree


def init(noise: PyTree, level: PyTree, key: Key | None) -> Memory:
    """Nothing is read from it at the first step."""
    return Memory(noise, noise, level, noise, level)


def _predict(
    place: Place, x: Array, clean: Array, before: Array, level: Array, now: Array, after: Array
) -> Array:
    here = half_log_signal(now)
    h = half_log_signal(after) - here
    slope = h / (half_log_signal(level) - here) / 2
    slope = jnp.where((place.index == 0) | place.last, 0.0, slope)
    bend = (1 - after) * jnp.expm1(-h) * slope * (before - clean)
    return constant_step(x, clean, now, after, h) - bend


def _correct(place: Place, predicted: Array, arrived: Array, now: Array, *memory: Array) -> Array:
    x, clean, level, earlier, earlier_level = memory
    start = half_log_signal(level)
    # The first step corrects nothing; its numbers are kept finite for the sake of gradients.
    h = jnp.where(place.index == 0, 1.0, half_log_signal(now) - start)
    r = (half_log_signal(earlier_level) - start) / h
    growth = jnp.expm1(-h)
    phi = growth / -h - 1
    b_1, b_2 = phi / growth, 2 * (phi / -h - 1 / 2) / growth
    second = (b_1 - b_2) / (1 - r)
    young = place.index <= 1
    weight_before = jnp.where(young, 0.0, second / r)
    weight_now = jnp.where(young, 1 / 2, b_1 - second)
    bend = weight_before * (earlier - clean) + weight_now * (arrived - clean)
    corrected = constant_step(x, clean, level, now, h) - (1 - now) * growth * bend
    return jnp.where(place.index == 0, predicted, corrected)


def step(
    velocity: Velocity, slope: PyTree, place: Place, x: PyTree, memory: Memory
) -> tuple[PyTree, Memory]:
    """One evaluation."""
    clean = jax.tree.map(lambda x, v, a: x - a * v, x, slope, place.now)
    corrected = jax.tree.map(lambda *arrays: _correct(place, *arrays), x, clean, place.now, *memory)
    predicted = jax.tree.map(
        lambda *arrays: _predict(place, *arrays),
        corrected,
        clean,
        memory.clean,
        memory.level,
        place.now,
        place.after,
    )
    return predicted, Memory(corrected, clean, place.now, memory.clean, memory.level)


METHOD = Method(init, step)
