"""DaViT (arXiv 2204.03645): stages of halved grids, in which cells and channels attend in turn.

    window    the cells of a window of 12 x 12 attend to one another, head by head
    channel   the channels of a group attend to one another; a channel is its numbers in all cells

    x <- x + near x        near: a 3 x 3 convolution of each channel, which tells places
    x <- x + attention(norm x)
    x <- x + near x
    x <- x + mlp(norm x)

As the tower of Florence-2 (2311.06242) has it. Where a grid is no multiple of the window, zeros
stand behind the norm at its lower and right edge, and are keys as cells are. A stage's blocks are
stacked and scanned. What adds up is held in float32, products are computed in `dtype`.
"""

import dataclasses
import math
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange

from wamjax.codec.convolution import LAYOUT
from wamjax.codec.encoder import ACTIVATIONS, HEADS, Linear, Norm, attention
from wamjax.codec.parameters import bias, kernel
from wamjax.core.typing import Array, Float, typed

EPS = 1e-5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """The shape of a stage.

    Attributes:
        depth: pairs of blocks, one of windows and one of channels.
        width: D of its cells.
        heads, groups: of both kinds of attention.
        mlp: F, width of the feed-forward part.
        kernel, stride: of the convolution that it begins with, whose padding is kernel // 2.
        norm: whether that is normed before or after it.
    """

    depth: int
    width: int
    heads: int
    groups: int
    mlp: int
    kernel: int
    stride: int
    norm: Literal["before", "after"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DavitSizes:
    """The shape of a tower.

    Attributes:
        stages: from the largest grid to the smallest.
        window: cells on a side of a window.
    """

    stages: tuple[Stage, ...]
    window: int = 12

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the last stage for a picture of height x width pixels."""
        for stage in self.stages:
            height, width = (-(-side // stage.stride) for side in (height, width))
        return height, width


def davit(
    widths: tuple[int, ...], depths: tuple[int, ...], head_dim: int = 32, window: int = 12
) -> DavitSizes:
    """Of a DaViT as Florence-2 has it: the first stage has a quarter of the picture's rows."""
    stages = tuple(
        Stage(
            depth=depth,
            width=width,
            heads=width // head_dim,
            groups=width // head_dim,
            mlp=4 * width,
            kernel=3 if number else 7,
            stride=2 if number else 4,
            norm="before" if number else "after",
        )
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True))
    )
    return DavitSizes(stages=stages, window=window)


@typed
def windows(x: Float[Array, "B h w D"], side: int) -> Float[Array, "Bn {side}*{side} D"]:
    """Windows row by row, their cells row by row; zeros beyond the edges."""
    below, behind = (-length % side for length in x.shape[1:3])
    x = jnp.pad(x, ((0, 0), (0, below), (0, behind), (0, 0)))
    return rearrange(x, "B (r i) (c j) D -> (B r c) (i j) D", i=side, j=side)


@typed
def joined(
    x: Float[Array, "Bn _ D"], rows: int, columns: int, side: int
) -> Float[Array, "B {rows} {columns} D"]:
    """The grid of windows, without what stands beyond its edges: the inverse of `windows`."""
    down, across = (math.ceil(length / side) for length in (rows, columns))
    grid = rearrange(x, "(B r c) (i j) D -> B (r i) (c j) D", r=down, c=across, i=side, j=side)
    return grid[:, :rows, :columns]


class Entry(nn.Module):
    """The convolution that a stage begins with, and its norm.

    Attributes:
        shape: of the stage.
        dtype: of products.
    """

    shape: Stage
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W c"]) -> Float[Array, "B h w D"]:
        s = self.shape
        norm = Norm(eps=EPS, name="norm")
        if s.norm == "before":
            x = norm(x)
        # Pixels are few; what another stage made is split as the inputs of a matrix are.
        axes = (None, None, "patch" if s.norm == "after" else "mlp", "embed")
        weight = self.param("kernel", *kernel((s.kernel, s.kernel, x.shape[-1], s.width), axes))
        offset = self.param("bias", *bias((s.width,), ("embed",)))
        pads = [(s.kernel // 2, s.kernel // 2)] * 2
        x = jax.lax.conv_general_dilated(
            x.astype(self.dtype),
            weight.astype(self.dtype),
            (s.stride, s.stride),
            pads,
            dimension_numbers=LAYOUT,
        )
        x = (x + offset.astype(self.dtype)).astype(jnp.float32)
        return norm(x) if s.norm == "after" else x


class Near(nn.Module):
    """A 3 x 3 convolution of each channel, zeros outside: nine shifted grids, weighed and added."""

    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B h w D"]) -> Float[Array, "B h w D"]:
        _, rows, columns, width = x.shape
        weight = self.param("kernel", *kernel((3, 3, width), (None, None, "embed"), fan_in=9))
        offset = self.param("bias", *bias((width,), ("embed",)))
        # Rounded as factors of products are, and added in float32 as a convolution adds.
        x, weight = (part.astype(self.dtype).astype(jnp.float32) for part in (x, weight))
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        taps = [(i, j) for i in range(3) for j in range(3)]
        return sum(x[:, i : i + rows, j : j + columns] * weight[i, j] for i, j in taps) + offset


class Block(nn.Module):
    """One block.

    Attributes:
        shape: of its stage.
        kind: what attends.
        window: cells on a side of a window.
        dtype: of products.
    """

    shape: Stage
    kind: Literal["window", "channel"]
    window: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B h w D"]) -> Float[Array, "B h w D"]:
        for part in (self._attention, self._mlp):
            name = part.__name__.strip("_")
            x = x + Near(self.dtype, name=f"{name}_near")(x)
            x = x + part(Norm(eps=EPS, name=f"{name}_norm")(x)).astype(jnp.float32)
        return x

    def _attention(self, x: Array) -> Array:
        _, rows, columns, width = x.shape
        if self.kind == "window":
            tokens = self._attended(windows(x, self.window), self.shape.heads)
            return joined(tokens, rows, columns, self.window)
        return self._attended(x.reshape(len(x), rows * columns, width), self.shape.groups).reshape(
            x.shape
        )

    def _attended(self, x: Float[Array, "B N D"], heads: int) -> Float[Array, "B N D"]:
        width = self.shape.width
        features = (3, heads, width // heads)
        qkv = Linear(features, ("embed", None, *HEADS), dtype=self.dtype, name="qkv")(x)
        parts = [qkv[:, :, place] for place in range(3)]
        if self.kind == "channel":
            # Channels stand where cells do, and cells where a head's numbers do.
            parts = [jnp.swapaxes(part, 1, 3) for part in parts]
        query, key, value = parts
        out = attention(query, key, value, query.shape[-1] ** -0.5)
        if self.kind == "channel":
            out = jnp.swapaxes(out, 1, 3)
        return Linear((width,), (*HEADS, "embed"), inputs=2, dtype=self.dtype, name="out")(out)

    def _mlp(self, x: Array) -> Array:
        s = self.shape
        up = Linear((s.mlp,), ("embed", "mlp"), dtype=self.dtype, name="up")(x)
        bent = ACTIVATIONS["gelu"](up)
        return Linear((s.width,), ("mlp", "embed"), dtype=self.dtype, name="down")(bent)


class Pair(nn.Module):
    """A block of windows, then one of channels."""

    shape: Stage
    window: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B h w D"], _: None = None) -> tuple[Array, None]:
        for kind in ("window", "channel"):
            x = Block(self.shape, kind, self.window, self.dtype, name=kind)(x)
        return x, None


class Davit(nn.Module):
    """Pictures to a grid of vectors.

    Attributes:
        sizes: its shape.
        dtype: of products; weights are cast to it.
    """

    sizes: DavitSizes
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    @typed
    def __call__(self, pictures: Float[Array, "B H W 3"]) -> Float[Array, "B h w D"]:
        """Encode.

        Args:
            pictures: float32, standardised as the tower was trained; of any size.

        Returns:
            float32; h x w is `sizes.grid(H, W)`.
        """
        x = pictures
        for number, stage in enumerate(self.sizes.stages):
            x = Entry(stage, self.dtype, name=f"entry_{number}")(x)
            pairs = nn.scan(
                Pair,
                variable_axes={"params": 0},
                split_rngs={"params": True},
                length=stage.depth,
                metadata_params={nn.PARTITION_NAME: "layer"},
            )
            x, _ = pairs(stage, self.sizes.window, self.dtype, name=f"stage_{number}")(x, None)
        return x
