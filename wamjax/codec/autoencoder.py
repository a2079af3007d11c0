"""A small causal video autoencoder, trained with the rest or before it.

    encode   frames -> 8 x 8 patches -> [causal block] x depth -> (stride in time) -> latents
    decode   latents -> (stride undone) -> [causal block] x depth -> 8 x 8 patches -> frames

    block    x + W2 gelu(W1 [x at t-1, 3 x 3 neighbours of x at t])

Both strides are linear maps on cut patches (no overlap), so that all work but the 3 x 3
neighbourhoods is a matrix product. Time is causal: latent frame l sees frames up to its own only,
and frame 0 alone makes latent 0, as in the codecs of video models (MAGVIT-2, arXiv 2310.05737).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.codec.base import divided
from wamjax.codec.convolution import convolve
from wamjax.codec.parameters import bias, kernel
from wamjax.codec.patch import depth_to_space, space_to_depth
from wamjax.core.typing import Array, Bool, Float, typed


class CausalBlock(nn.Module):
    """Residual mixing of each cell with its 3 x 3 neighbours now and itself one frame before."""

    hidden: int

    @nn.compact
    @typed
    def __call__(self, x: Float[Array, "B T h w c"]) -> Float[Array, "B T h w c"]:
        b, t, h, w, c = x.shape
        near = self.param("near", *kernel((3, 3, c, self.hidden), (None, None, None, "mlp")))
        past = self.param("past", *kernel((c, self.hidden), (None, "mlp"), gain=0.5))
        offset = self.param("bias", *bias((self.hidden,), ("mlp",)))
        out = self.param("out", *kernel((self.hidden, c), ("mlp", None), gain=0.5))
        before = jnp.pad(x[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0), (0, 0)))
        now = convolve(x.reshape(b * t, h, w, c), near, 1).reshape(b, t, h, w, self.hidden)
        return x + jax.nn.gelu(now + before @ past + offset) @ out


class Autoencoder(nn.Module):
    """Frames to latents of `channels` numbers per patch and back; see `VideoCodec`.

    Attributes:
        patch: pixels per latent cell and side.
        temporal: frames per latent frame after the first.
        channels: c, of the latents.
        width: of the features inside.
        depth: blocks on each side.
    """

    patch: int = 8
    temporal: int = 1
    channels: int = 16
    width: int = 64
    depth: int = 2

    def setup(self) -> None:
        pixels, wide, c = 3 * self.patch**2, self.width, self.channels
        n = self.temporal
        self.cut = self.param("cut", *kernel((pixels, wide), ("patch", None)))
        self.paint = self.param("paint", *kernel((wide, pixels), (None, "patch")))
        self.paint_bias = self.param("paint_bias", *bias((pixels,), ("patch",)))
        self.first_in = self.param("first_in", *kernel((wide, c), (None, None)))
        self.first_out = self.param("first_out", *kernel((c, wide), (None, None)))
        self.group_in = self.param("group_in", *kernel((n * wide, c), (None, None)))
        self.group_out = self.param("group_out", *kernel((c, n * wide), (None, None)))
        self.encoder = [CausalBlock(wide) for _ in range(self.depth)]
        self.decoder = [CausalBlock(wide) for _ in range(self.depth)]

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """(L, h, w, c); see `VideoCodec`."""
        return *divided(frames, height, width, self.temporal, self.patch), self.channels

    @typed
    def encode(self, frames: Float[Array, "B T H W 3"]) -> Float[Array, "B L h w c"]:
        """See `VideoCodec`."""
        b = frames.shape[0]
        latent, h, w, _ = self.latent_shape(*frames.shape[1:4])
        x = space_to_depth(frames, self.patch) @ self.cut
        for block in self.encoder:
            x = block(x)
        groups = x[:, 1:].reshape(b, latent - 1, self.temporal, h, w, self.width)
        groups = groups.transpose(0, 1, 3, 4, 2, 5)
        groups = groups.reshape(b, latent - 1, h, w, self.temporal * self.width)
        return jnp.concatenate([x[:, :1] @ self.first_in, groups @ self.group_in], axis=1)

    @typed
    def decode(self, latents: Float[Array, "B L h w c"]) -> Float[Array, "B T H W 3"]:
        """See `VideoCodec`."""
        b, latent, h, w, _ = latents.shape
        groups = (latents[:, 1:] @ self.group_out).reshape(
            b, latent - 1, h, w, self.temporal, self.width
        )
        groups = groups.transpose(0, 1, 4, 2, 3, 5)
        groups = groups.reshape(b, (latent - 1) * self.temporal, h, w, self.width)
        x = jnp.concatenate([latents[:, :1] @ self.first_out, groups], axis=1)
        for block in self.decoder:
            x = block(x)
        return depth_to_space(x @ self.paint + self.paint_bias, self.patch)

    def __call__(self, frames: Float[Array, "B T H W 3"]) -> Float[Array, "B T H W 3"]:
        """The reconstruction; for `init`, which must visit both sides."""
        return self.decode(self.encode(frames))


@typed
def reconstruction_loss(
    frames: Float[Array, "B T H W 3"],
    latents: Float[Array, "B L h w c"],
    reconstruction: Float[Array, "B T H W 3"],
    frame_mask: Bool[Array, "B T"],
    prior: float = 1e-3,
) -> Float[Array, ""]:
    """Mean squared pixel error over real frames, and a weak pull of the latents' variance to 1.

    The pull keeps the latents in the range that flow matching from unit noise expects.
    """
    real = frame_mask[..., None, None, None]
    error = jnp.where(real, jnp.square(frames - reconstruction), 0).sum()
    count = frame_mask.sum() * frames[0, 0].size
    variance = jnp.square(latents).mean((0, 1, 2, 3))
    spread = (variance - 1 - jnp.log(variance + 1e-6)).mean()
    return error / jnp.maximum(count, 1) + prior * spread
