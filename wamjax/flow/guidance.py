"""Classifier-free guidance (arXiv 2207.12598), per stream.

v = v_unconditional + scale * (v_conditional - v_unconditional)        scale 1: off
"""

from collections.abc import Mapping

from wamjax.core.typing import Array
from wamjax.flow.sampler import Velocity


def combine(conditional: Array, unconditional: Array, scale: float) -> Array:
    """The guided velocity of one stream."""
    return unconditional + scale * (conditional - unconditional)


def guided(conditional: Velocity, unconditional: Velocity, scales: Mapping[str, float]) -> Velocity:
    """A velocity function that is guided in each stream by its scale.

    With all scales 1 it is `conditional` itself, at no cost. Guiding the video alone: DreamZero.

    Args:
        conditional: with the instruction.
        unconditional: without it (the empty text).
        scales: one per stream that the velocities return.
    """
    if all(scale == 1 for scale in scales.values()):
        return conditional

    def velocity(x: dict[str, Array], sigma: dict[str, Array]) -> dict[str, Array]:
        with_text, without = conditional(x, sigma), unconditional(x, sigma)
        return {name: combine(with_text[name], without[name], scales[name]) for name in with_text}

    return velocity
