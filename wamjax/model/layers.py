"""The small parts: a linear map with named axes, norms, features of the noise level."""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Float, typed
from wamjax.model.config import Clock, Norm, Quantize
from wamjax.model.quantise import product


class Linear(nn.Module):
    """y = x W + b over the last axis, with the weight's logical axes beside its shape.

    Attributes:
        features: output shape, one entry or several (heads, head_dim).
        axes: logical names of the weight's axes, input first.
        inputs: how many trailing axes of x are contracted.
        zero: start from zero, so that the layer begins as the identity of its branch.
        quantize: how the product is computed, see model.quantise.
    """

    features: tuple[int, ...]
    axes: tuple[str | None, ...]
    inputs: int = 1
    zero: bool = False
    bias: bool = True
    dtype: jnp.dtype = jnp.float32
    quantize: Quantize = "none"

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
        # As matrices: of more axes, XLA copies a weight's gradient on CPUs. Where a later axis may
        # be split over devices, merging it would gather the weight.
        merged = not any(axis not in (None, "head_dim") for axis in self.axes[self.inputs + 1 :])
        wide = (math.prod(self.features),) if merged else self.features
        narrow = math.prod(shape[: self.inputs])
        rows = x.reshape(-1, narrow).astype(self.dtype)
        weight = kernel.reshape(narrow, *wide).astype(self.dtype)
        if self.quantize == "none":
            y = jnp.tensordot(rows, weight, axes=1)
        else:
            y = product(self.quantize)(rows, weight, (((1,), (0,)), ((), ())))
            y = y.astype(self.dtype)
        y = y.reshape(*x.shape[: x.ndim - self.inputs], *self.features)
        if self.bias:
            bias: Any = self.param(
                "bias",
                nn.with_logical_partitioning(nn.initializers.zeros, self.axes[self.inputs :]),
                self.features,
            )
            y = y + bias.astype(self.dtype)
        return y


def matrix_axes(names: Sequence[str | None]) -> tuple[int, int]:
    """Of a kernel with these logical axes: (leading axes that count matrices, input axes).

    Matrices are counted by layer, and by domain where the edge has weights for each.

    Raises:
        ValueError: it is no stack of matrices, but a convolution or a vector.
    """
    stacked = int(tuple(names[:1]) == ("layer",))
    own = tuple(names[stacked:])
    if len(own) == 3 and own[0] is None and own[1] is not None:
        stacked, own = stacked + 1, own[1:]
    if len(own) < 2 or (len(own) > 3 and own[0] is None):
        raise ValueError(f"with axes {tuple(names)} is no matrix")
    return stacked, 2 if own[:2] == ("heads", "head_dim") else 1


def embedding(
    module: nn.Module, name: str, shape: Sequence[int], axes: Sequence[str | None]
) -> Array:
    """A learned table of vectors with standard deviation 0.02."""
    init = nn.with_logical_partitioning(nn.initializers.normal(0.02), tuple(axes))
    table: Any = module.param(name, init, tuple(shape))
    return table


@typed
def standardised(
    x: Float[Array, "*lead D"], kind: Norm, eps: float = 1e-6
) -> Float[Array, "*lead D"]:
    """x in float32 with mean 0 and variance 1 ("layer"), or with mean square 1 ("rms")."""
    wide = x.astype(jnp.float32)
    if kind == "layer":
        wide = wide - wide.mean(-1, keepdims=True)
    return wide * jax.lax.rsqrt(jnp.square(wide).mean(-1, keepdims=True) + eps)


class Normed(nn.Module):
    """A norm with weights, `from_one` counted from one; layer norm also has a bias."""

    kind: Norm = "layer"
    axis: str | None = "embed"
    eps: float = 1e-6
    from_one: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = x.shape[-1:]
        unit = nn.initializers.zeros if self.from_one else nn.initializers.ones
        unit = nn.with_logical_partitioning(unit, (self.axis,))
        weight: Any = self.param("scale", unit, shape)
        out = standardised(x, self.kind, self.eps) * (1 + weight if self.from_one else weight)
        if self.kind == "layer":
            zeros = nn.with_logical_partitioning(nn.initializers.zeros, (self.axis,))
            shift: Any = self.param("bias", zeros, shape)
            out = out + shift
        return out.astype(x.dtype)


@typed
def sigma_features(sigma: Float[Array, "*lead"], clock: Clock) -> Float[Array, "*lead features"]:
    """Cosines and sines of sigma at the clock's frequencies, in float32."""
    half = clock.features // 2
    count = np.float32(half - 1 if clock.closed else half)
    # In float32, as published models were trained: at 1000 radians rounding shows.
    fall = np.float32(np.log(clock.slowest / clock.fastest))
    power = (fall * np.arange(half, dtype=np.float32) / count).astype(np.float64)
    frequency = (clock.fastest * np.exp(power)).astype(np.float32)
    angle = (sigma.astype(jnp.float32) * clock.scale)[..., None] * frequency
    parts = [jnp.cos(angle), jnp.sin(angle)]
    return jnp.concatenate(parts[::-1] if clock.sines_first else parts, axis=-1)
