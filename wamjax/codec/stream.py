"""A video in chunks through layers that look back: what they keep is a value, handed on by hand."""

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from einops import rearrange

from wamjax.core.typing import Array

# The frames that each layer keeps, in the order in which layers are called.
Cache = tuple[Array, ...]


class Stream:
    """What layers keep of earlier chunks, handed through one chunk.

    Attributes:
        first: the chunk begins with the first frame of the video.
        before: what stands before the first frame: zeros, or that frame again.
        kept: for the next chunk.
    """

    def __init__(self, past: Cache | None, before: Literal["zeros", "first"] = "zeros") -> None:
        self.first = past is None
        self.before = before
        self.kept: list[Array] = []
        self._past = iter(past or ())

    def joined(self, x: Array, frames: int) -> Array:
        """`frames` earlier frames and x."""
        if not self.first:
            past = next(self._past)
        elif self.before == "first":
            past = jnp.repeat(x[:, :1], frames, axis=1)
        else:
            past = jnp.zeros((x.shape[0], frames, *x.shape[2:]), x.dtype)
        return self._keep(jnp.concatenate([past, x], axis=1), frames)

    def after_last(self, x: Array) -> Array:
        """The frame before x, where there is one, and x."""
        if not self.first:
            x = jnp.concatenate([next(self._past), x], axis=1)
        return self._keep(x, 1)

    def _keep(self, x: Array, frames: int) -> Array:
        self.kept.append(x[:, x.shape[1] - frames :])
        return x


def stepped(codec: nn.Module, method: str, x: Array, latent: int, frames: int, chunk: int) -> Array:
    """A whole video by the steps of a stream: a first one, and a scan over equal chunks.

    Args:
        codec: a bound module.
        method: its step, (x, cache) -> (made, cache).
        x: [B, 1 + frames (latent - 1), ...].
        latent: L, latent frames of the video.
        frames: of x that stand for a latent frame after the first.
        chunk: latent frames of a step of the scan; the first step takes what is left.
    """
    size = min(chunk, latent - 1) or 1
    begin = 1 + (latent - 1) % size * frames
    chunks = rearrange(x[:, begin:], "b (n t) h w c -> n b t h w c", t=size * frames)
    first, cache = getattr(codec, method)(x[:, :begin])
    if not chunks.shape[0]:
        return first

    def body(codec: nn.Module, cache: Cache, chunk: Array) -> tuple[Cache, Any]:
        made, cache = getattr(codec, method)(chunk, cache)
        return cache, made

    scan = nn.scan(body, variable_broadcast="params", split_rngs={"params": False})
    _, others = scan(codec, cache, chunks)
    return jnp.concatenate([first, rearrange(others, "n b t h w c -> b (n t) h w c")], axis=1)
