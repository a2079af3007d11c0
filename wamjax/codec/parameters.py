"""How this package declares its weights: an initializer that carries the logical axes."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Key

Axes = tuple[str | None, ...]
# What nn.Module.param takes after the name: a boxing initializer and the shape.
Declaration = tuple[Callable[..., Any], tuple[int, ...]]


def kernel(
    shape: tuple[int, ...], axes: Axes, *, fan_in: int | None = None, gain: float = 1.0
) -> Declaration:
    """Normal of variance gain^2 / fan_in; fan_in is by default all axes but the last."""
    inputs = int(np.prod(shape[:-1])) if fan_in is None else fan_in

    def draw(key: Key, shape: tuple[int, ...]) -> Array:
        return jax.random.normal(key, shape) * (gain / np.sqrt(inputs))

    return nn.with_logical_partitioning(draw, axes), shape


def bias(shape: tuple[int, ...], axes: Axes) -> Declaration:
    """Zeros."""
    return nn.with_logical_partitioning(lambda key, shape: jnp.zeros(shape), axes), shape


def scale(shape: tuple[int, ...], axes: Axes, value: float = 1.0) -> Declaration:
    """A constant."""
    return nn.with_logical_partitioning(lambda key, shape: jnp.full(shape, value), axes), shape
