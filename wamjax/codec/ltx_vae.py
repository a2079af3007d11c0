"""The video autoencoder of LTX-Video 0.9 (8 x 32 x 32, 128 channels).

    encode   4 x 4 patches -> stages down -> middle -> (mean - m) / s
    decode   z s + m -> middle -> stages up -> 4 x 4 patches

    residual  x + conv(silu(norm(conv(silu(norm x)))))      norm: x / sqrt(mean x^2 + 1e-8), no gain
    down      a causal convolution of stride 2 in time and space
    up        a convolution to 2 x 2 x 2 times the channels, which are laid out; frame 0 falls away

The encoder is causal, with the first frame before itself: frame 0 makes latent 0, and every eight
frames one more. The decoder looks one frame ahead in each layer, with the last frame behind itself:
it decodes whole videos only. The mean m and deviation s of each channel are among the weights.

LTX-Video: arXiv 2501.00103; diffusers, autoencoder_kl_ltx.py.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange

from wamjax.codec.base import divided
from wamjax.codec.parameters import bias, scale
from wamjax.codec.stream import Cache, Stream, stepped
from wamjax.codec.wan_layers import Layer, Pointwise, correlate
from wamjax.core.typing import Array, Float, typed


class Convolution(Layer):
    """3 x 3 x 3, to `features` channels.

    Attributes:
        stride: in time and space; 2 halves what follows the first frame.
    """

    features: int
    stride: int = 1

    @nn.compact
    def __call__(
        self, x: Float[Array, "B T h w c"], stream: Stream | None
    ) -> Float[Array, "B t i j d"]:
        """`stream`: of causal layers; None for one that looks ahead."""
        weight = self.weight("kernel", 3, 3, 3, x.shape[-1], self.features, dtype=x.dtype)
        if stream is None:
            whole = jnp.concatenate([x[:, :1], x, x[:, -1:]], axis=1)
        elif self.stride == 1:
            whole = stream.joined(x, 2)
        else:
            whole = stream.after_last(x)
            if stream.first:
                whole = jnp.concatenate([x[:, :1], x[:, :1], whole], axis=1)
        y = correlate(whole, weight, (self.stride, self.stride, self.stride))
        return y + self.offset("bias", self.features, x.dtype)


def normed(x: Float[Array, "*lead c"]) -> Float[Array, "*lead c"]:
    """Root mean square of the channels to 1, without a gain; in float32."""
    power = jnp.square(x.astype(jnp.float32)).mean(-1, keepdims=True)
    return (x * jax.lax.rsqrt(power + 1e-8)).astype(x.dtype)


class LayerNorm(nn.Module):
    """Centred and scaled channels, with gain and offset; in float32."""

    @nn.compact
    def __call__(self, x: Float[Array, "*lead c"]) -> Float[Array, "*lead c"]:
        c = x.shape[-1]
        centred = x.astype(jnp.float32)
        centred = centred - centred.mean(-1, keepdims=True)
        unit = centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-6)
        gain, offset = (
            self.param("scale", *scale((c,), ("embed",))),
            self.param("bias", *bias((c,), ("embed",))),
        )
        return (unit * gain + offset).astype(x.dtype)


class Residual(nn.Module):
    """Two convolutions beside x, or beside a map of normed x if `features` are others."""

    features: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "B T h w c"], stream: Stream | None
    ) -> Float[Array, "B T h w d"]:
        h = Convolution(self.features, name="conv1")(jax.nn.silu(normed(x)), stream)
        h = Convolution(self.features, name="conv2")(jax.nn.silu(normed(h)), stream)
        if x.shape[-1] != self.features:
            x = Pointwise(self.features, name="shortcut")(LayerNorm(name="shortcut_norm")(x))
        return x + h


class Encoder(nn.Module):
    """Patches to moments; see `LTXVAE`."""

    channels: int
    widths: tuple[int, ...]
    scaled: tuple[bool, ...]
    resnets: tuple[int, ...]

    @nn.compact
    def __call__(
        self, x: Float[Array, "B T H W d"], past: Cache | None
    ) -> tuple[Float[Array, "B L h w c"], Cache]:
        stream = Stream(past, "first")
        x = Convolution(self.widths[0], name="conv_in")(x, stream)
        for stage, width in enumerate(self.widths):
            for place in range(self.resnets[stage]):
                x = Residual(width, name=f"stage_{stage}_resnet_{place}")(x, stream)
            if self.scaled[stage]:
                x = Convolution(width, 2, name=f"stage_{stage}_down")(x, stream)
            following = self.widths[min(stage + 1, len(self.widths) - 1)]
            if following != width:
                x = Residual(following, name=f"stage_{stage}_turn")(x, stream)
        for place in range(self.resnets[-1]):
            x = Residual(self.widths[-1], name=f"middle_resnet_{place}")(x, stream)
        # The last channel is the log variance of all.
        x = Convolution(self.channels + 1, name="conv_out")(jax.nn.silu(normed(x)), stream)
        return x, tuple(stream.kept)


class Decoder(nn.Module):
    """Latents to patches; see `LTXVAE`."""

    channels: int
    widths: tuple[int, ...]
    scaled: tuple[bool, ...]
    resnets: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Float[Array, "B L h w c"]) -> Float[Array, "B T H W d"]:
        widths, scaled, (middle, *resnets) = (
            self.widths[::-1],
            self.scaled[::-1],
            self.resnets[::-1],
        )
        x = Convolution(widths[0], name="conv_in")(x, None)
        for place in range(middle):
            x = Residual(widths[0], name=f"middle_resnet_{place}")(x, None)
        for stage, width in enumerate(widths):
            if x.shape[-1] != width:
                x = Residual(width, name=f"stage_{stage}_turn")(x, None)
            if scaled[stage]:
                x = Convolution(8 * width, name=f"stage_{stage}_up")(x, None)
                x = rearrange(x, "b t h w (c n p q) -> b (t n) (h p) (w q) c", n=2, p=2, q=2)[:, 1:]
            for place in range(resnets[stage]):
                x = Residual(width, name=f"stage_{stage}_resnet_{place}")(x, None)
        return Convolution(self.channels, name="conv_out")(jax.nn.silu(normed(x)), None)


class LTXVAE(nn.Module):
    """See `VideoCodec`; the encoder has steps for streams.

    Attributes:
        channels: c, of the latents.
        patch: pixels on a side that are moved into channels first.
        widths: of the stages, from the frames to the latents.
        scaled: which stages halve (double) frames, rows and columns.
        resnets: of each stage, and in the middle.
        chunk: latent frames of a step of `encode`; more of them take more memory.
        dtype: of the computation; weights, statistics and latents are float32.
    """

    channels: int = 128
    patch: int = 4
    widths: tuple[int, ...] = (128, 256, 512, 512)
    scaled: tuple[bool, ...] = (True, True, True, False)
    resnets: tuple[int, ...] = (4, 3, 3, 3, 4)
    chunk: int = 1
    dtype: Literal["float32", "bfloat16"] = "float32"

    def setup(self) -> None:
        shape = (self.widths, self.scaled, self.resnets)
        self.encoder = Encoder(self.channels, *shape)
        self.decoder = Decoder(3 * self.patch**2, *shape)
        self.mean = self.param("mean", *bias((self.channels,), (None,)))
        self.std = self.param("std", *scale((self.channels,), (None,)))

    @property
    def strides(self) -> tuple[int, int]:
        """Frames of a latent frame after the first, and pixels of a cell on a side."""
        return 2 ** sum(self.scaled), self.patch * 2 ** sum(self.scaled)

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """(L, h, w, c); see `VideoCodec`."""
        return *divided(frames, height, width, *self.strides), self.channels

    @typed
    def encode(self, frames: Float[Array, "B T H W 3"]) -> Float[Array, "B L h w c"]:
        """See `VideoCodec`."""
        latent, *_ = self.latent_shape(*frames.shape[1:4])
        return stepped(self, "encode_step", frames, latent, self.strides[0], self.chunk)

    @typed
    def encode_step(
        self, frames: Float[Array, "B T H W 3"], cache: Any = None
    ) -> tuple[Float[Array, "B L h w c"], Any]:
        """The next latents of a stream; see `WanVAE.encode_step`, with eight frames for four."""
        self.latent_shape(frames.shape[1] + (cache is not None), *frames.shape[2:4])
        # As published, the column in the patch counts before the row.
        cells = rearrange(
            frames, "b t (h p) (w q) c -> b t h w (c q p)", p=self.patch, q=self.patch
        )
        moments, cache = self.encoder(cells.astype(self.dtype), cache)
        mode = moments[..., : self.channels].astype(jnp.float32)
        return (mode - self.mean) / self.std, cache

    @typed
    def decode(self, latents: Float[Array, "B L h w c"]) -> Float[Array, "B T H W 3"]:
        """See `VideoCodec`; a frame depends on latents behind its own, too."""
        cells = self.decoder((latents * self.std + self.mean).astype(self.dtype))
        frames = rearrange(
            cells, "b t h w (c q p) -> b t (h p) (w q) c", p=self.patch, q=self.patch
        )
        return frames.astype(jnp.float32)

    def __call__(self, frames: Float[Array, "B T H W 3"]) -> Float[Array, "B T H W 3"]:
        """The reconstruction; for `init`, which must visit both sides."""
        return self.decode(self.encode(frames))
