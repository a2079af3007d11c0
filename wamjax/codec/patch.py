"""The parameter-free codec: pixels moved into channels, nothing lost.

    spatial   [H, W, 3] -> [H/p, W/p, 3 p p]
    temporal  frame 0 | frames 1..n | ... -> one latent frame each; the first holds frame 0 n times

Repeating the first frame (instead of zeros) gives all latent frames one scale; decoding takes the
mean of the copies, which is the least-squares inverse when a model has disturbed them.
"""

import flax.linen as nn
import jax.numpy as jnp

from wamjax.codec.base import divided
from wamjax.core.typing import Array, Float, typed


@typed
def space_to_depth(x: Float[Array, "B T H W c"], patch: int) -> Float[Array, "B T h w d"]:
    """Channels in the order (row in the patch, column in the patch, channel)."""
    b, t, height, width, c = x.shape
    x = x.reshape(b, t, height // patch, patch, width // patch, patch, c)
    return x.transpose(0, 1, 2, 4, 3, 5, 6).reshape(
        b, t, height // patch, width // patch, patch * patch * c
    )


@typed
def depth_to_space(x: Float[Array, "B T h w d"], patch: int) -> Float[Array, "B T H W c"]:
    """The inverse of `space_to_depth`."""
    b, t, h, w, d = x.shape
    c = d // (patch * patch)
    x = x.reshape(b, t, h, w, patch, patch, c)
    return x.transpose(0, 1, 2, 4, 3, 5, 6).reshape(b, t, h * patch, w * patch, c)


class PatchCodec(nn.Module):
    """Space and time to channels; `decode(encode(x)) == x` exactly.

    Attributes:
        patch: p, pixels per latent cell and side.
        temporal: frames per latent frame after the first.
    """

    patch: int = 8
    temporal: int = 1

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """(L, h, w, c); see `VideoCodec`."""
        size = divided(frames, height, width, self.temporal, self.patch)
        return *size, 3 * self.temporal * self.patch**2

    @typed
    def encode(self, frames: Float[Array, "B T H W 3"]) -> Float[Array, "B L h w c"]:
        """See `VideoCodec`."""
        latent, h, w, c = self.latent_shape(*frames.shape[1:4])
        n = self.temporal
        cells = space_to_depth(frames, self.patch)
        cells = jnp.concatenate([jnp.repeat(cells[:, :1], n, axis=1), cells[:, 1:]], axis=1)
        grouped = cells.reshape(-1, latent, n, h, w, c // n)
        return grouped.transpose(0, 1, 3, 4, 2, 5).reshape(-1, latent, h, w, c)

    @typed
    def decode(self, latents: Float[Array, "B L h w c"]) -> Float[Array, "B T H W 3"]:
        """See `VideoCodec`."""
        b, latent, h, w, c = latents.shape
        n = self.temporal
        cells = latents.reshape(b, latent, h, w, n, c // n).transpose(0, 1, 4, 2, 3, 5)
        # x + mean(copies - x): exact for equal copies, where a plain mean would round.
        copies, rest = cells[:, 0], cells[:, 1:].reshape(b, (latent - 1) * n, h, w, c // n)
        first = copies[:, :1] + (copies - copies[:, :1]).mean(1, keepdims=True)
        return depth_to_space(jnp.concatenate([first, rest], axis=1), self.patch)
