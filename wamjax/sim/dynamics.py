"""What a world's physics differ in from the nominal ones: factors, a delay, noise on proprio.

friction multiplies the sliding friction of every contact, mass the blocks' masses and inertias,
gains kp and kd of the servos; a factor or its inverse, as the seed says. All ones and zeros is the
nominal world. These are the bonus axis "dynamics", beside the seven.
"""

import flax.struct
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import AnyArray, Array
from wamjax.sim.axes import largest
from wamjax.sim.variants import Variant, perturbation

LONGEST_DELAY = int(largest("dynamics", "latency"))
"""Control ticks."""


@flax.struct.dataclass
class Dynamics:
    """What differs.

    Attributes:
        friction: float32 [], factor on sliding friction.
        mass: float32 [], factor on the blocks' masses and inertias.
        gains: float32 [], factor on the servos' kp and kd.
        latency: int32 [], control ticks until an action is executed.
        proprio_noise: float32 [], standard deviation in m and rad.
    """

    friction: AnyArray
    mass: AnyArray
    gains: AnyArray
    latency: AnyArray
    proprio_noise: AnyArray


def build_dynamics(variant: Variant, draws: Array) -> Dynamics:
    """The physics of one world; `variant` is traced."""

    def factor(sub_axis: str) -> Array:
        active, amount = perturbation(variant, draws, "dynamics", sub_axis)
        return jnp.where(active, jnp.where(draws[1] < 0.5, amount, 1.0 / amount), 1.0)

    def level(sub_axis: str) -> Array:
        active, amount = perturbation(variant, draws, "dynamics", sub_axis)
        return jnp.where(active, amount, 0.0)

    return Dynamics(
        friction=factor("friction"),
        mass=factor("mass"),
        gains=factor("gains"),
        latency=level("latency").astype(jnp.int32),
        proprio_noise=level("proprio_noise"),
    )


def nominal_factors(dynamics: Dynamics) -> np.ndarray:
    """bool [...]: whether the model is the nominal one (host arrays)."""
    factors = (dynamics.friction, dynamics.mass, dynamics.gains)
    return np.all(np.stack([np.asarray(factor) == 1.0 for factor in factors]), axis=0)
