"""Overlapping tiles of space: large frames through a codec in the memory of small ones.

    out = sum_i w_i f(x_i),   sum_i w_i = 1

Each tile's weight falls linearly over the overlap with its neighbours. All tiles have one size, so
that one program serves them: the last one of a row ends at the border and overlaps more. A codec
that looks further than the overlap gives other latents than for whole frames, near the seams.
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Float, typed


class Side(NamedTuple):
    """How a side of the latent grid is cut.

    Attributes:
        length: cells.
        tile: cells of a tile.
        starts: first cell of each tile.
        overlap: cells over which weights fall.
    """

    length: int
    tile: int
    starts: tuple[int, ...]
    overlap: int

    def weights(self, scale: int) -> np.ndarray:
        """float32 [tiles, tile * scale], of what is made of the cells with `scale` on a side."""
        size, ramp = self.tile * scale, self.overlap * scale
        one = np.ones(size)
        # Where one tile rises from 0 the other falls from 1: together they are 1.
        rise = np.minimum(np.arange(size) / ramp, one) if ramp else one
        fall = np.minimum(np.arange(size, 0, -1) / ramp, one) if ramp else one
        own = np.stack(
            [
                (rise if start else one) * (fall if start + self.tile < self.length else one)
                for start in self.starts
            ]
        )
        total = np.zeros(self.length * scale)
        for start, weight in zip(self.starts, own):
            total[start * scale :][:size] += weight
        places = [total[start * scale :][:size] for start in self.starts]
        return (own / np.stack(places)).astype(np.float32)


def side(length: int, tile: int, overlap: int) -> Side:
    """Cut `length` cells; one tile if they fit into it."""
    tile = min(tile, length)
    step = tile - overlap
    count = 1 + max(0, -(-(length - tile) // step)) if step > 0 else 1
    return Side(length, tile, tuple(min(i * step, length - tile) for i in range(count)), overlap)


@typed
def cut(x: Float[Array, "B T H W c"], rows: Side, columns: Side) -> Float[Array, "n B T H2 W2 c"]:
    """Tiles, row by row; H and W are multiples of the sides' lengths."""
    p, q = x.shape[2] // rows.length, x.shape[3] // columns.length
    return jnp.stack(
        [
            x[:, :, p * i : p * (i + rows.tile), q * j : q * (j + columns.tile)]
            for i in rows.starts
            for j in columns.starts
        ]
    )


@typed
def blended(
    tiles: Float[Array, "n B T H2 W2 c"], rows: Side, columns: Side
) -> Float[Array, "B T H W c"]:
    """The inverse of `cut`, where tiles agree."""
    p, q = tiles.shape[3] // rows.tile, tiles.shape[4] // columns.tile
    places = [(i, j) for i in range(len(rows.starts)) for j in range(len(columns.starts))]
    down, across = rows.weights(p), columns.weights(q)
    size = (*tiles.shape[1:3], rows.length * p, columns.length * q, tiles.shape[-1])
    out = jnp.zeros(size, tiles.dtype)
    for tile, (i, j) in zip(tiles, places):
        weight = (down[i][:, None] * across[j])[..., None]
        y, x = rows.starts[i] * p, columns.starts[j] * q
        out = out.at[:, :, y : y + weight.shape[0], x : x + weight.shape[1]].add(tile * weight)
    return out


class Tiled(nn.Module):
    """A codec, tile by tile; see `VideoCodec`. The weights are those of the codec.

    Attributes:
        codec: what encodes and decodes a tile.
        tile: cells of the latent grid on a side of a tile.
        overlap: of neighbours, in cells; less than `tile`.
    """

    codec: nn.Module
    tile: int
    overlap: int

    def setup(self) -> None:
        if not 0 <= self.overlap < self.tile:
            raise ValueError(f"an overlap of {self.overlap} does not fit tiles of {self.tile}")
        nn.share_scope(self, self.codec)

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """(L, h, w, c); see `VideoCodec`."""
        return self.codec.latent_shape(frames, height, width)

    @typed
    def encode(self, frames: Float[Array, "B T H W 3"]) -> Float[Array, "B L h w c"]:
        """See `VideoCodec`."""
        _, h, w, _ = self.latent_shape(*frames.shape[1:4])
        return self._by_tile("encode", frames, h, w)

    @typed
    def decode(self, latents: Float[Array, "B L h w c"]) -> Float[Array, "B T H W 3"]:
        """See `VideoCodec`."""
        return self._by_tile("decode", latents, *latents.shape[2:4])

    def _by_tile(self, method: str, x: Array, height: int, width: int) -> Array:
        rows, columns = (side(length, self.tile, self.overlap) for length in (height, width))

        def body(codec: nn.Module, carry: None, tile: Array) -> tuple[None, Array]:
            return carry, getattr(codec, method)(tile)

        scan = nn.scan(body, variable_broadcast="params", split_rngs={"params": False})
        _, made = scan(self.codec, None, cut(x, rows, columns))
        return blended(made, rows, columns)

    def __call__(self, frames: Float[Array, "B T H W 3"]) -> Float[Array, "B T H W 3"]:
        """The reconstruction; for `init`, which must visit both sides."""
        return self.decode(self.encode(frames))
