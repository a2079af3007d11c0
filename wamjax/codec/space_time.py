"""Attention within a frame, then at one place through time, then a feed-forward part.

    x <- x + attention over places(norm x)
    x <- x + attention over times up to its own(norm x)          (where there is more than one)
    x <- x + mlp(norm x)

For encoders of a few frames of features (arXiv 2402.15391).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.codec.parameters import bias, kernel, scale
from wamjax.core.typing import Array, Float


class Map(nn.Module):
    """x W + b over the last axis.

    Attributes:
        outputs: width of the result. axes: logical names of the weight's axes.
    """

    outputs: int
    axes: tuple[str | None, str | None]

    @nn.compact
    def __call__(self, x: Float[Array, "*lead D"]) -> Float[Array, "*lead F"]:
        weight = self.param("kernel", *kernel((x.shape[-1], self.outputs), self.axes))
        return x @ weight + self.param("bias", *bias((self.outputs,), self.axes[1:]))


class SpaceTimeBlock(nn.Module):
    """One layer over [B, T, N, D].

    Attributes:
        width: D. heads: attention heads.
        time: attend through time, too.
    """

    width: int
    heads: int
    time: bool

    @nn.compact
    def __call__(self, x: Float[Array, "B T N D"], _: None) -> tuple[Float[Array, "B T N D"], None]:
        b, t, n, d = x.shape
        space = self._normed("space_norm", x).reshape(b * t, n, d)
        x = x + self._attention("space", space, causal=False).reshape(b, t, n, d)
        if self.time:
            time = self._normed("time_norm", x).swapaxes(1, 2).reshape(b * n, t, d)
            mixed = self._attention("time", time, causal=True)
            x = x + mixed.reshape(b, n, t, d).swapaxes(1, 2)
        h = jax.nn.gelu(Map(4 * d, ("embed", "mlp"), name="up")(self._normed("mlp_norm", x)))
        return x + Map(d, ("mlp", "embed"), name="down")(h), None

    def _normed(self, name: str, x: Array) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        unit = centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-6)
        gain = self.param(name, *scale((self.width,), ("embed",)))
        return unit * gain + self.param(f"{name}_bias", *bias((self.width,), ("embed",)))

    def _attention(self, name: str, x: Array, *, causal: bool) -> Array:
        b, n, d = x.shape
        qkv = Map(3 * d, ("embed", "heads"), name=f"{name}_qkv")(x)
        query, key, value = (
            part.reshape(b, n, self.heads, d // self.heads) for part in jnp.split(qkv, 3, axis=-1)
        )
        out = jax.nn.dot_product_attention(query, key, value, is_causal=causal)
        return Map(d, ("heads", "embed"), name=f"{name}_out")(out.reshape(b, n, d))


def blocks(width: int, heads: int, depth: int, *, time: bool, name: str) -> nn.Module:
    """`depth` layers with stacked weights; call with (x, None), which gives (x, None)."""
    scanned = nn.scan(
        SpaceTimeBlock,
        variable_axes={"params": 0},
        split_rngs={"params": True},
        length=depth,
        metadata_params={nn.PARTITION_NAME: "layer"},
    )
    return scanned(width, heads, time, name=name)
