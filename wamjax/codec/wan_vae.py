"""The video autoencoders of Wan 2.1 (4 x 8 x 8, 16 channels) and 2.2 (4 x 16 x 16, 48 channels).

    encode   frames [-> 2 x 2 patches] -> stages down -> middle -> moments -> (mean - m) / s
    decode   z s + m -> middle -> stages up [-> 2 x 2 patches] -> frames

Frame 0 alone makes latent 0, and every four frames one more. A whole video is one first step and a
scan over the others: compiled once for any length, and with the memory of one chunk. Latents are
the mode of the posterior, standardised by the published mean m and deviation s of each channel. In
2.2 each stage has a second, weightless path beside it (`averaged`, `repeated`).

Wan: arXiv 2503.20314, github.com/Wan-Video/Wan2.1 and Wan2.2.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange

from wamjax.codec.base import divided
from wamjax.codec.stream import Cache, Stream, stepped
from wamjax.codec.wan_layers import (
    CausalConvolution,
    Down,
    Middle,
    Norm,
    Pointwise,
    Residual,
    Up,
    averaged,
    repeated,
)
from wamjax.core.typing import Array, Float, typed


class Encoder(nn.Module):
    """Frames to moments; see `WanVAE` for the attributes."""

    base: int
    channels: int
    multipliers: tuple[int, ...]
    temporal: tuple[bool, ...]
    resnets: int
    residual: bool

    @nn.compact
    def __call__(
        self, x: Float[Array, "B T H W d"], past: Cache | None
    ) -> tuple[Float[Array, "B L h w c"], Cache]:
        stream = Stream(past)
        x = CausalConvolution(self.base, name="conv_in")(x, stream)
        for stage, multiplier in enumerate(self.multipliers):
            begin, width = x, self.base * multiplier
            for place in range(self.resnets):
                x = Residual(width, name=f"stage_{stage}_resnet_{place}")(x, stream)
            last = stage == len(self.temporal)
            time = not last and self.temporal[stage]
            if not last:
                x = Down(time, name=f"stage_{stage}_down")(x, stream)
            if self.residual:
                x = x + averaged(begin, width, 1 + time, 1 + (not last), stream)
        x = Middle(name="middle")(x, stream)
        x = jax.nn.silu(Norm(name="norm_out")(x))
        x = CausalConvolution(2 * self.channels, name="conv_out")(x, stream)
        return x, tuple(stream.kept)


class Decoder(nn.Module):
    """Latents to frames; see `WanVAE` for the attributes."""

    base: int
    channels: int
    multipliers: tuple[int, ...]
    temporal: tuple[bool, ...]
    resnets: int
    residual: bool

    @nn.compact
    def __call__(
        self, x: Float[Array, "B L h w c"], past: Cache | None
    ) -> tuple[Float[Array, "B T H W d"], Cache]:
        stream = Stream(past)
        widths = [self.base * multiplier for multiplier in reversed(self.multipliers)]
        x = CausalConvolution(widths[0], name="conv_in")(x, stream)
        x = Middle(name="middle")(x, stream)
        for stage, width in enumerate(widths):
            begin = x
            for place in range(self.resnets + 1):
                x = Residual(width, name=f"stage_{stage}_resnet_{place}")(x, stream)
            if stage == len(self.temporal):
                break
            time = self.temporal[-1 - stage]
            out = width if self.residual else width // 2
            x = Up(out, time, name=f"stage_{stage}_up")(x, stream)
            if self.residual:
                x = x + repeated(begin, width, 1 + time, 2, stream)
        x = jax.nn.silu(Norm(name="norm_out")(x))
        x = CausalConvolution(self.channels, name="conv_out")(x, stream)
        return x, tuple(stream.kept)


class WanVAE(nn.Module):
    """See `VideoCodec`, and the steps for streams; the published sizes are in `wan_sizes`.

    Attributes:
        base, decoder_base: width of the encoder's first and of the decoder's last stage.
        channels: c, of the latents.
        mean, std: of each channel of the latents, before they are standardised.
        patch: pixels on a side that are moved into channels first.
        residual: stages have weightless paths beside them (2.2).
        multipliers: width of each stage over `base`.
        temporal: which of the halvings between stages halve the frames, too.
        resnets: in each stage of the encoder; the decoder has one more.
        chunk: latent frames of a step of `encode` and `decode`; more of them take more memory.
        dtype: of the computation; weights, statistics and latents are float32.
    """

    base: int
    decoder_base: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    patch: int = 1
    residual: bool = False
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    temporal: tuple[bool, ...] = (False, True, True)
    resnets: int = 2
    chunk: int = 1
    dtype: Literal["float32", "bfloat16"] = "float32"

    def setup(self) -> None:
        shape = (self.multipliers, self.temporal, self.resnets, self.residual)
        self.encoder = Encoder(self.base, self.channels, *shape)
        self.decoder = Decoder(self.decoder_base, 3 * self.patch**2, *shape)
        self.to_moments = Pointwise(2 * self.channels)
        self.from_latents = Pointwise(self.channels)

    @property
    def strides(self) -> tuple[int, int]:
        """Frames of a latent frame after the first, and pixels of a cell on a side."""
        return 2 ** sum(self.temporal), self.patch * 2 ** len(self.temporal)

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """(L, h, w, c); see `VideoCodec`."""
        return *divided(frames, height, width, *self.strides), self.channels

    @typed
    def encode(self, frames: Float[Array, "B T H W 3"]) -> Float[Array, "B L h w c"]:
        """See `VideoCodec`."""
        latent, *_ = self.latent_shape(*frames.shape[1:4])
        return stepped(self, "encode_step", frames, latent, self.strides[0], self.chunk)

    @typed
    def decode(self, latents: Float[Array, "B L h w c"]) -> Float[Array, "B T H W 3"]:
        """See `VideoCodec`."""
        return stepped(self, "decode_step", latents, latents.shape[1], 1, self.chunk)

    @typed
    def encode_step(
        self, frames: Float[Array, "B T H W 3"], cache: Any = None
    ) -> tuple[Float[Array, "B L h w c"], Any]:
        """The next latents of a stream.

        Args:
            frames: 1 + 4n of them if they are the first, else 4n.
            cache: what the step before gave; None for the first frames.

        Returns:
            1 + n latent frames, or n, and the cache for the next step.

        Raises:
            ValueError: T, H or W does not fit the strides.
        """
        self.latent_shape(frames.shape[1] + (cache is not None), *frames.shape[2:4])
        # As published, the column in the patch counts before the row.
        cells = rearrange(
            frames, "b t (h p) (w q) c -> b t h w (c q p)", p=self.patch, q=self.patch
        )
        moments, cache = self.encoder(cells.astype(self.dtype), cache)
        mode = self.to_moments(moments)[..., : self.channels].astype(jnp.float32)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return (mode - mean) / std, cache

    @typed
    def decode_step(
        self, latents: Float[Array, "B L h w c"], cache: Any = None
    ) -> tuple[Float[Array, "B T H W 3"], Any]:
        """The next frames of a stream.

        Args:
            latents: any number of them.
            cache: what the step before gave; None for the first latents.

        Returns:
            Four frames of each latent frame, but one of the first; and the cache.
        """
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        x = self.from_latents((latents * std + mean).astype(self.dtype))
        cells, cache = self.decoder(x, cache)
        frames = rearrange(
            cells, "b t h w (c q p) -> b t (h p) (w q) c", p=self.patch, q=self.patch
        )
        return frames.astype(jnp.float32), cache

    def __call__(self, frames: Float[Array, "B T H W 3"]) -> Float[Array, "B T H W 3"]:
        """The reconstruction; for `init`, which must visit both sides."""
        return self.decode(self.encode(frames))
