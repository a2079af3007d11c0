"""Layers of the Wan video autoencoders: causal in time, what they keep between chunks is a value.

    convolution     y[t] = sum_{s=0..2} w[s] * x[t - 2 + s]          zeros before the first frame
    norm            sqrt(c) gain x / max(|x|, 1e-12)                 |x| over the channels c
    residual        x + conv(silu(norm(conv(silu(norm x)))))
    down in time    frame 0 as it is, then one of every two          y[1 + i] = sum_s w[s] x[2i + s]
    up in time      frame 0 as it is, then two of each           y[2i + 1], y[2i + 2] = w * x[1 + i]

The first frame never passes the resampling in time, and upwards those after it see zeros in its
place. So 1 + 2k frames stand beside 1 + k, and a video may be cut into chunks anywhere between two
groups: each layer keeps the last frames it has seen (`codec.stream`).

Wan: arXiv 2503.20314; github.com/Wan-Video/Wan2.1 and Wan2.2, wan/modules/vae2_1.py and vae2_2.py.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange

from wamjax.codec.convolution import convolve
from wamjax.codec.parameters import bias, kernel, scale
from wamjax.codec.stream import Stream
from wamjax.core.typing import Array, Float

LAYOUT = ("NDHWC", "DHWIO", "NDHWC")


def correlate(x: Array, weight: Array, stride: tuple[int, int, int] = (1, 1, 1)) -> Array:
    """A 3-D convolution with no padding in time, and zeros around each frame."""
    spatial = [(size // 2, size // 2) for size in weight.shape[1:3]]
    return jax.lax.conv_general_dilated(
        x, weight, stride, [(0, 0), *spatial], dimension_numbers=LAYOUT
    )


class Layer(nn.Module):
    """Declares weights; computes in the type of what it is given."""

    def weight(self, name: str, *shape: int, dtype: Any) -> Array:
        axes = (*(None,) * (len(shape) - 2), "embed", "mlp")
        return self.param(name, *kernel(shape, axes)).astype(dtype)

    def offset(self, name: str, size: int, dtype: Any) -> Array:
        return self.param(name, *bias((size,), ("mlp",))).astype(dtype)


class CausalConvolution(Layer):
    """3 x 3 x 3 (time, row, column), to `features` channels."""

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "B T h w c"], stream: Stream) -> Float[Array, "B T h w d"]:
        weight = self.weight("kernel", 3, 3, 3, x.shape[-1], self.features, dtype=x.dtype)
        return correlate(stream.joined(x, 2), weight) + self.offset("bias", self.features, x.dtype)


class Pointwise(Layer):
    """A linear map of the channels of each cell."""

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "*lead c"]) -> Float[Array, "*lead d"]:
        weight = self.weight("kernel", x.shape[-1], self.features, dtype=x.dtype)
        return x @ weight + self.offset("bias", self.features, x.dtype)


class Norm(nn.Module):
    """Length of each cell's channels to sqrt(c), times a gain; in float32 at least."""

    @nn.compact
    def __call__(self, x: Float[Array, "*lead c"]) -> Float[Array, "*lead c"]:
        c = x.shape[-1]
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        length = jnp.sqrt(jnp.square(wide).sum(-1, keepdims=True))
        unit = (wide / jnp.maximum(length, 1e-12)).astype(x.dtype)
        return unit * (self.param("scale", *scale((c,), ("embed",))) * c**0.5).astype(x.dtype)


class Residual(nn.Module):
    """Two convolutions beside x, or beside a linear map of x if `features` are others."""

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "B T h w c"], stream: Stream) -> Float[Array, "B T h w d"]:
        h = CausalConvolution(self.features, name="conv1")(
            jax.nn.silu(Norm(name="norm1")(x)), stream
        )
        h = CausalConvolution(self.features, name="conv2")(
            jax.nn.silu(Norm(name="norm2")(h)), stream
        )
        if x.shape[-1] != self.features:
            x = Pointwise(self.features, name="shortcut")(x)
        return x + h


class FrameAttention(nn.Module):
    """One head, over the cells of each frame."""

    @nn.compact
    def __call__(self, x: Float[Array, "B T h w c"]) -> Float[Array, "B T h w c"]:
        b, t, h, w, c = x.shape
        cells = Norm(name="norm")(x).reshape(b * t, h * w, 1, c)
        query, key, value = jnp.split(Pointwise(3 * c, name="qkv")(cells), 3, axis=-1)
        mixed = jax.nn.dot_product_attention(query, key, value)
        return x + Pointwise(c, name="out")(mixed.reshape(x.shape))


class Middle(nn.Module):
    """Residual, attention within frames, residual."""

    @nn.compact
    def __call__(self, x: Float[Array, "B T h w c"], stream: Stream) -> Float[Array, "B T h w c"]:
        x = Residual(x.shape[-1], name="resnet_0")(x, stream)
        x = FrameAttention(name="attention")(x)
        return Residual(x.shape[-1], name="resnet_1")(x, stream)


class Down(Layer):
    """Half the rows and columns (zeros to the right and below), and half the frames if `time`."""

    time: bool

    @nn.compact
    def __call__(self, x: Float[Array, "B T H W c"], stream: Stream) -> Float[Array, "B t h w c"]:
        c = x.shape[-1]
        weight = self.weight("kernel", 3, 3, c, c, dtype=x.dtype)
        x = by_frame(x, weight, 2) + self.offset("bias", c, x.dtype)
        if not self.time:
            return x
        weight = self.weight("time_kernel", 3, 1, 1, c, c, dtype=x.dtype)
        offset = self.offset("time_bias", c, x.dtype)
        whole = stream.after_last(x)
        if whole.shape[1] == 1:
            return x
        y = correlate(whole, weight, (2, 1, 1)) + offset
        return jnp.concatenate([x[:, :1], y], axis=1) if stream.first else y


class Up(Layer):
    """Twice the rows and columns, and twice the frames if `time`; to `features` channels."""

    features: int
    time: bool

    @nn.compact
    def __call__(self, x: Float[Array, "B t h w c"], stream: Stream) -> Float[Array, "B T H W d"]:
        c = x.shape[-1]
        if self.time:
            x = self._more_frames(x, stream)
        weight = self.weight("kernel", 3, 3, c, self.features, dtype=x.dtype)
        x = jnp.repeat(jnp.repeat(x, 2, axis=2), 2, axis=3)
        return by_frame(x, weight, 1) + self.offset("bias", self.features, x.dtype)

    def _more_frames(self, x: Array, stream: Stream) -> Array:
        c = x.shape[-1]
        weight = self.weight("time_kernel", 3, 1, 1, c, 2 * c, dtype=x.dtype)
        offset = self.offset("time_bias", 2 * c, x.dtype)
        alone = x[:, :1] if stream.first else x[:, :0]
        whole = stream.joined(x[:, alone.shape[1] :], 2)
        if whole.shape[1] == 2:
            return x
        pairs = rearrange(correlate(whole, weight) + offset, "b t h w (n c) -> b (t n) h w c", n=2)
        return jnp.concatenate([alone, pairs], axis=1)


def by_frame(x: Array, weight: Array, stride: int) -> Array:
    """A 2-D convolution of each frame."""
    frames = convolve(x.reshape(-1, *x.shape[2:]), weight, stride)
    return frames.reshape(*x.shape[:2], *frames.shape[1:])


def averaged(x: Array, features: int, time: int, space: int, stream: Stream) -> Array:
    """Cells of time x space x space into channels, and means over groups of these.

    The first frame stands for a whole cell, with zeros before it.
    """
    if stream.first:
        x = jnp.pad(x, ((0, 0), (time - 1, 0), (0, 0), (0, 0), (0, 0)))
    cells = rearrange(x, "b (t n) (h p) (w q) c -> b t h w (c n p q)", n=time, p=space, q=space)
    return cells.reshape(*cells.shape[:-1], features, -1).mean(-1)


def repeated(x: Array, features: int, time: int, space: int, stream: Stream) -> Array:
    """Channels, each as often as needed, out to cells of time x space x space."""
    copies = features * time * space**2 // x.shape[-1]
    y = rearrange(
        jnp.repeat(x, copies, axis=-1),
        "b t h w (c n p q) -> b (t n) (h p) (w q) c",
        n=time,
        p=space,
        q=space,
    )
    return y[:, time - 1 :] if stream.first else y
