"""The straight path from data to noise, and what a network may predict along it.

    x(sigma) = (1 - sigma) * clean + sigma * noise        sigma = 0: data,  sigma = 1: noise
    velocity = dx / dsigma = noise - clean
    clean = x - sigma * velocity
    noise = x + (1 - sigma) * velocity

Rectified flow: arXiv 2209.03003. Predicting the clean sample under a velocity loss: arXiv
2511.13720.
"""

from typing import Literal, assert_never

import jax.numpy as jnp

from wamjax.core.typing import Array, Float, typed

Prediction = Literal["velocity", "clean"]
SIGMA_FLOOR = 0.05


def _beside(sigma: Array, data: Array) -> Array:
    return sigma.reshape(-1, *[1] * (data.ndim - 1))


@typed
def corrupt(
    clean: Float[Array, "B *data"], noise: Float[Array, "B *data"], sigma: Float[Array, " B"]
) -> Float[Array, "B *data"]:
    """x(sigma), with one noise level in [0, 1] per sample."""
    s = _beside(sigma, clean)
    return (1 - s) * clean + s * noise


@typed
def velocity(
    clean: Float[Array, "B *data"], noise: Float[Array, "B *data"]
) -> Float[Array, "B *data"]:
    """dx / dsigma, the same all along the path."""
    return noise - clean


@typed
def clean_from_velocity(
    x: Float[Array, "B *data"], velocity: Float[Array, "B *data"], sigma: Float[Array, " B"]
) -> Float[Array, "B *data"]:
    """The end of the path at sigma 0."""
    return x - _beside(sigma, x) * velocity


@typed
def noise_from_velocity(
    x: Float[Array, "B *data"], velocity: Float[Array, "B *data"], sigma: Float[Array, " B"]
) -> Float[Array, "B *data"]:
    """The end of the path at sigma 1."""
    return x + (1 - _beside(sigma, x)) * velocity


@typed
def velocity_from_clean(
    x: Float[Array, "B *data"],
    clean: Float[Array, "B *data"],
    sigma: Float[Array, " B"],
    floor: float = SIGMA_FLOOR,
) -> Float[Array, "B *data"]:
    """The velocity that leads from `clean` to `x`; exact for sigma >= floor.

    Below the floor the division would turn small errors of the network into large velocities.
    """
    return (x - clean) / jnp.maximum(_beside(sigma, x), floor)


@typed
def velocity_from_prediction(
    prediction: Prediction,
    output: Float[Array, "B *data"],
    x: Float[Array, "B *data"],
    sigma: Float[Array, " B"],
) -> Float[Array, "B *data"]:
    """The velocity that a network's `output` stands for."""
    match prediction:
        case "velocity":
            return output
        case "clean":
            return velocity_from_clean(x, output, sigma)
        case _:
            assert_never(prediction)
