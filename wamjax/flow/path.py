"""The straight path from data to noise, and what a network may predict along it.

    x(sigma) = (1 - sigma) * clean + sigma * noise        sigma = 0: data,  sigma = 1: noise
    velocity = dx / dsigma = noise - clean
    clean = x - sigma * velocity
    noise = x + (1 - sigma) * velocity

sigma is one level per sample, [B], or one per token, [B, N] beside data [B, N, ...]. Rectified
flow: arXiv 2209.03003. Predicting the clean sample under a velocity loss: arXiv 2511.13720. A level
of its own for every block or frame: diffusion forcing, arXiv 2407.01392.
"""

from typing import Literal, assert_never

import jax.numpy as jnp

from wamjax.core.typing import Array, Float, typed

Prediction = Literal["velocity", "clean", "noise"]
SIGMA_FLOOR = 0.05


def _beside(sigma: Array, data: Array) -> Array:
    return sigma.reshape(*sigma.shape, *[1] * (data.ndim - sigma.ndim))


@typed
def per_token(sigma: Float[Array, "B *S"], tokens: int) -> Float[Array, "B N"]:
    """The level of each of `tokens` tokens, which the segments share equally and in order.

    Args:
        sigma: one level per sample, [B], or per segment, [B, S].

    Raises:
        ValueError: tokens that cannot be shared equally.
    """
    segments = sigma.reshape(sigma.shape[0], -1)
    if tokens % segments.shape[1]:
        raise ValueError(f"{tokens} tokens cannot be cut into {segments.shape[1]} equal segments")
    return jnp.repeat(segments, tokens // segments.shape[1], axis=1)


@typed
def corrupt(
    clean: Float[Array, "B *data"], noise: Float[Array, "B *data"], sigma: Float[Array, "B *N"]
) -> Float[Array, "B *data"]:
    """x(sigma), with noise levels in [0, 1]."""
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
    x: Float[Array, "B *data"], velocity: Float[Array, "B *data"], sigma: Float[Array, "B *N"]
) -> Float[Array, "B *data"]:
    """The end of the path at sigma 0."""
    return x - _beside(sigma, x) * velocity


@typed
def noise_from_velocity(
    x: Float[Array, "B *data"], velocity: Float[Array, "B *data"], sigma: Float[Array, "B *N"]
) -> Float[Array, "B *data"]:
    """The end of the path at sigma 1."""
    return x + (1 - _beside(sigma, x)) * velocity


@typed
def velocity_from_clean(
    x: Float[Array, "B *data"],
    clean: Float[Array, "B *data"],
    sigma: Float[Array, "B *N"],
    floor: float = SIGMA_FLOOR,
) -> Float[Array, "B *data"]:
    """The velocity that leads from `clean` to `x`; exact for sigma >= floor.

    Below the floor the division would turn small errors of the network into large velocities.
    """
    return (x - clean) / jnp.maximum(_beside(sigma, x), floor)


@typed
def velocity_from_noise(
    x: Float[Array, "B *data"],
    noise: Float[Array, "B *data"],
    sigma: Float[Array, "B *N"],
    floor: float = SIGMA_FLOOR,
) -> Float[Array, "B *data"]:
    """The velocity that leads from `x` to `noise`; exact for 1 - sigma >= floor.

    Above, x says little about the data, and a small error of the noise is a large one of the
    velocity. A grid that begins at the cosine schedule's first level wants a floor below 0.002.
    """
    return (noise - x) / jnp.maximum(1 - _beside(sigma, x), floor)


@typed
def velocity_from_prediction(
    prediction: Prediction,
    output: Float[Array, "B *data"],
    x: Float[Array, "B *data"],
    sigma: Float[Array, "B *N"],
    floor: float = SIGMA_FLOOR,
) -> Float[Array, "B *data"]:
    """The velocity that a network's `output` stands for; floor: the least divisor."""
    match prediction:
        case "velocity":
            return output
        case "clean":
            return velocity_from_clean(x, output, sigma, floor)
        case "noise":
            return velocity_from_noise(x, output, sigma, floor)
        case _:
            assert_never(prediction)
