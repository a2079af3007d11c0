"""The small parts: a linear map with named axes, a norm without weights, features of sigma."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Float, typed


class Linear(nn.Module):
    """y = x W + b over the last axis, with the weight's logical axes beside its shape.

    Attributes:
        features: output shape, one entry or several (heads, head_dim).
        axes: logical names of the weight's axes, input first.
        inputs: how many trailing axes of x are contracted.
        zero: start from zero, so that the layer begins as the identity of its branch.
    """

    features: tuple[int, ...]
    axes: tuple[str | None, ...]
    inputs: int = 1
    zero: bool = False
    bias: bool = True
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (*x.shape[x.ndim - self.inputs :], *self.features)
        fan_in = tuple(range(self.inputs))
        fan_out = tuple(range(self.inputs, len(shape)))
        init = (
            nn.initializers.zeros
            if self.zero
            else nn.initializers.variance_scaling(
                1.0, "fan_in", "truncated_normal", in_axis=fan_in, out_axis=fan_out
            )
        )
        kernel: Any = self.param("kernel", nn.with_logical_partitioning(init, self.axes), shape)
        contract = tuple(range(x.ndim - self.inputs, x.ndim))
        y = jax.lax.dot_general(
            x.astype(self.dtype), kernel.astype(self.dtype), ((contract, fan_in), ((), ()))
        )
        if self.bias:
            bias: Any = self.param(
                "bias",
                nn.with_logical_partitioning(nn.initializers.zeros, self.axes[self.inputs :]),
                self.features,
            )
            y = y + bias.astype(self.dtype)
        return y


def embedding(
    module: nn.Module, name: str, shape: Sequence[int], axes: Sequence[str | None]
) -> Array:
    """A learned table of vectors with standard deviation 0.02."""
    init = nn.with_logical_partitioning(nn.initializers.normal(0.02), tuple(axes))
    table: Any = module.param(name, init, tuple(shape))
    return table


@typed
def norm(x: Float[Array, "*lead D"]) -> Float[Array, "*lead D"]:
    """Layer norm without weights, in float32; AdaLN supplies scale and shift."""
    wide = x.astype(jnp.float32)
    mean = wide.mean(-1, keepdims=True)
    variance = jnp.square(wide - mean).mean(-1, keepdims=True)
    return ((wide - mean) * jax.lax.rsqrt(variance + 1e-6)).astype(x.dtype)


@typed
def sigma_features(sigma: Float[Array, "*lead"], width: int) -> Float[Array, "*lead {width}"]:
    """Cosines and sines of sigma at frequencies from 1 to 1000 (times 2 pi), in float32."""
    frequency = 2 * jnp.pi * jnp.logspace(0.0, 3.0, width // 2)
    angle = sigma[..., None].astype(jnp.float32) * frequency
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)
