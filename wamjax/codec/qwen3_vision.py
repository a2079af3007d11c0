"""How Qwen3-VL looks (arXiv 2511.21631): two frames of a picture to a fourth as many tokens.

    patches + places -> layers -> merged -> tokens              places: learned, resampled linearly
                          \\-> merged, of some layers -> deep    queries and keys are turned, too

All patches of a picture attend to one another, and to no other picture. Merged are squares of
patches, which stand beside one another from the start: x = W_2 gelu(W_1 [x_1 ... x_4]), normed
patch by patch before they are joined, or (deep) behind that. Of a head's pairs, the i-th of the
first half and of the second, the first half turn with the row and the rest with the column, each
at base ** (-2 i / pairs).
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange

from wamjax.codec.encoder import Layer, Layers, Linear, Norm, Sight, stepped
from wamjax.codec.parameters import kernel
from wamjax.codec.qwen3 import Shown
from wamjax.codec.resampling import linear
from wamjax.codec.vit import patches
from wamjax.core.typing import AnyArray, Array, Float, typed

BASE = 10_000.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class VisionSizes:
    """The shape of an encoder.

    Attributes:
        layers: its layers.
        out: D of the tokens it gives.
        grid: patches on a side for which places are learned.
        taps: layers, counted from 0, behind which tokens for the deep are taken; at least one.
        patch: pixels on a side of a patch.
        merge: patches on a side of a token.
        frames: of a patch.
    """

    layers: Layers
    out: int
    grid: int
    taps: tuple[int, ...]
    patch: int = 16
    merge: int = 2
    frames: int = 2

    @property
    def side(self) -> int:
        """Pixels on a side of a token."""
        return self.patch * self.merge


def sizes(
    depth: int,
    width: int,
    mlp: int,
    heads: int,
    *,
    out: int,
    grid: int,
    taps: tuple[int, ...],
    patch: int = 16,
) -> VisionSizes:
    """Of a Qwen3-VL."""
    layers = Layers(
        depth=depth,
        width=width,
        mlp=mlp,
        heads=heads,
        head_dim=width // heads,
        activation="gelu_tanh",
        pairs="halves",
    )
    return VisionSizes(layers=layers, out=out, grid=grid, taps=taps, patch=patch)


def turns(rows: int, columns: int, head_dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines, float32 [rows * columns, head_dim], row by row."""
    pairs = head_dim // 4
    rate = BASE ** -(np.arange(pairs) / pairs)
    places = np.indices((rows, columns)).reshape(2, -1)
    angles = np.concatenate([np.outer(place, rate) for place in places], axis=1)
    angles = np.tile(angles, 2)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


class Merger(nn.Module):
    """Squares of patches [.., n * inside, D], one behind the other, to [.., n, out] tokens."""

    inside: int
    out: int
    norm_joined: bool
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        wide = self.inside * x.shape[-1]
        joined = (*x.shape[:-2], -1, wide)
        norm = Norm(name="norm")
        x = norm(x.reshape(joined)) if self.norm_joined else norm(x).reshape(joined)
        x = Linear((wide,), ("embed", "mlp"), dtype=self.dtype, name="up")(x)
        x = jax.nn.gelu(x, approximate=False)
        return Linear((self.out,), ("mlp", "embed"), dtype=self.dtype, name="down")(x)


class Qwen3Vision(nn.Module):
    """Frames to tokens among words.

    Attributes:
        sizes: its shape.
        dtype: of products; weights are cast to it.
    """

    sizes: VisionSizes
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    @typed
    def __call__(self, frames: Float[Array, "B T H W 3"]) -> Shown:
        """Look.

        Args:
            frames: float32 in [-1, 1], two of each picture, one picture behind the other; one that
                does not move is told twice. Sides are multiples of `sizes.side`.

        Returns:
            float32; of each picture (H / side) (W / side) tokens, row by row.

        Raises:
            ValueError: T, H or W is not a multiple of what a token spans.
        """
        s = self.sizes
        batch, _, height, width, _ = frames.shape
        rows, columns = height // s.patch, width // s.patch
        x = patches(self.dtype, frames, s.layers.width, s.frames, s.patch, merge=s.merge)
        x = x.reshape(-1, rows * columns, s.layers.width)
        x = x + self._squares(self._places(rows, columns), rows)
        cosine, sine = turns(rows, columns, s.layers.head_dim)
        sight = Sight(rotation=(self._squares(cosine, rows), self._squares(sine, rows)))
        taps = jnp.asarray(s.taps)

        def step(layer: Layer, carry: tuple[Array, Array], place: Array) -> tuple[Array, Array]:
            x, held = carry
            x = layer(x, sight)
            return x, jnp.where((taps == place)[:, None, None, None], x, held)

        held = jnp.zeros((len(s.taps), *x.shape), x.dtype)
        x, held = stepped(s.layers, self.dtype, (x, held), step)
        tokens = self._merged("merger", x, joined=False).reshape(batch, -1, s.out)
        deep = [self._merged(f"deep_{tap}", part, joined=True) for tap, part in enumerate(held)]
        return Shown(tokens, jnp.stack(deep).reshape(-1, *tokens.shape))

    def _places(self, rows: int, columns: int) -> Float[Array, "N D"]:
        s = self.sizes
        shape = (s.grid**2, s.layers.width)
        place = self.param("place", *kernel(shape, (None, "embed"), fan_in=1))
        grid = place.astype(jnp.float32).reshape(s.grid, s.grid, -1)
        down, across = linear(rows, s.grid), linear(columns, s.grid)
        resampled = jnp.einsum("ai,bj,ijD->abD", down, across, grid, precision="highest")
        return resampled.reshape(rows * columns, -1)

    def _squares(self, x: AnyArray, rows: int) -> Float[Array, "N D"]:
        """What goes row by row, square by square."""
        m = self.sizes.merge
        order = "(h m w n) D -> (h w m n) D"
        return rearrange(jnp.asarray(x), order, h=rows // m, m=m, n=m)

    def _merged(self, name: str, x: Array, *, joined: bool) -> Array:
        s = self.sizes
        merger = Merger(s.merge**2, s.out, joined, self.dtype, name=name)
        return merger(x).astype(jnp.float32)
