"""The encoder of Florence-2 (arXiv 2311.06242): a picture and words to one vector a token.

    tower       DaViT: the picture to a grid
    projector   grid + places of columns and rows + time 0; their mean, then each; mapped and normed
    reader      the encoder of BART (1910.13461) over the picture's tokens and the words behind them

The decoder, which writes answers, is left out: X-VLA (2510.10274) reads the encoder alone, and lets
the tokens of further cameras go by the reader (`look`).
"""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from wamjax.codec.davit import Davit, DavitSizes, davit
from wamjax.codec.encoder import Layers, Linear, Norm, Sight, through
from wamjax.codec.parameters import kernel
from wamjax.codec.vit import IMAGENET
from wamjax.core.typing import Array, Bool, Float, Int, typed

EPS = 1e-5
BEFORE = 2
"""Rows of BART's table of places that stand before the first place; nothing reads them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Florence2Sizes:
    """The shape of an encoder.

    Attributes:
        vision: its tower.
        grid: rows, and columns, of the last grid for which places are learned.
        vocabulary: rows of the words' table.
        places: most tokens of picture and words together.
        layers: of the reader.
    """

    vision: DavitSizes
    grid: int = 50
    vocabulary: int = 51289
    places: int = 1024
    layers: Layers

    def tokens(self, height: int, width: int) -> int:
        """Tokens of a picture of height x width pixels: the mean, and one a cell."""
        rows, columns = self.vision.grid(height, width)
        return 1 + rows * columns


def sizes(
    vision: DavitSizes, width: int, mlp: int, depth: int, heads: int, **rest
) -> Florence2Sizes:
    """Of a Florence-2 whose reader has these layers."""
    layers = Layers(
        depth=depth,
        width=width,
        heads=heads,
        head_dim=width // heads,
        mlp=mlp,
        eps=EPS,
        order="after",
    )
    return Florence2Sizes(vision=vision, layers=layers, **rest)


FLORENCE2_BASE = sizes(davit((128, 256, 512, 1024), (1, 1, 9, 1)), 768, 3072, 6, 12)
FLORENCE2_LARGE = sizes(
    davit((256, 512, 1024, 2048), (1, 1, 9, 1)), 1024, 4096, 12, 16, places=4096
)
"""As X-VLA begins with it."""
FLORENCE2_LARGE_FT = dataclasses.replace(FLORENCE2_LARGE, places=1024)
"""Fine-tuned further; only its places are fewer."""


def ported(published: Florence2Sizes) -> Florence2Sizes:
    """As transformers' port holds it: a word for pictures, and rows up to a multiple of 64."""
    return dataclasses.replace(published, vocabulary=(published.vocabulary // 64 + 1) * 64)


class Projector(nn.Module):
    """A picture's grid to tokens as wide as words."""

    sizes: Florence2Sizes
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, grid: Float[Array, "B h w C"]) -> Float[Array, "B P D"]:
        b, rows, columns, width = grid.shape
        most = self.sizes.grid
        if max(rows, columns) > most:
            raise ValueError(
                f"the picture makes {rows} x {columns} cells, but places are learned for {most}"
            )
        halves = {"column": width - width // 2, "row": width // 2}
        column, row = (
            self.param(name, *kernel((most, half), (None, "embed"), fan_in=1)).astype(jnp.float32)
            for name, half in halves.items()
        )
        across = jnp.broadcast_to(column[:columns], (rows, columns, halves["column"]))
        down = jnp.broadcast_to(row[:rows, None], (rows, columns, halves["row"]))
        # The sine and cosine of time 0, by turns: a picture is the first frame of a video of one.
        time = jnp.arange(width) % 2
        x = (grid + jnp.concatenate([across, down], -1) + time).reshape(b, rows * columns, width)
        x = jnp.concatenate([x.mean(1, keepdims=True), x], axis=1)
        linear = Linear(
            (self.sizes.layers.width,), ("mlp", "embed"), bias=False, dtype=self.dtype, name="map"
        )
        return Norm(eps=EPS, name="norm")(linear(x))


class Reader(nn.Module):
    """BART's encoder over a picture's tokens and the words behind them."""

    sizes: Florence2Sizes
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, tokens: Int[Array, "B X"], mask: Bool[Array, "B X"], seen: Float[Array, "B P D"]
    ) -> Float[Array, "B N D"]:
        s = self.sizes
        width, length = s.layers.width, seen.shape[1] + tokens.shape[1]
        if length > s.places:
            raise ValueError(f"{length} tokens, but the encoder has {s.places} places")
        # Split along its width alone: a gather from a table that is cut along its rows gathers it.
        word, place = (
            self.param(name, *kernel((rows, width), (None, "embed"), fan_in=1))
            for name, rows in {"word": s.vocabulary, "place": BEFORE + s.places}.items()
        )
        x = jnp.concatenate([seen, word[tokens].astype(jnp.float32)], axis=1)
        x = x + place[BEFORE : BEFORE + length].astype(jnp.float32)
        real = jnp.concatenate([jnp.ones(seen.shape[:2], bool), mask], axis=1)
        x = Norm(eps=EPS, name="norm")(x)
        return through(s.layers, self.dtype, x, Sight(mask=real))


class Florence2Encoder(nn.Module):
    """A picture and words to one vector a token.

    Attributes:
        sizes: its shape.
        dtype: of products; weights are cast to it.
    """

    sizes: Florence2Sizes
    dtype: jnp.dtype = jnp.float32

    def setup(self) -> None:
        """The three parts."""
        self.tower = Davit(self.sizes.vision, self.dtype)
        self.projector = Projector(self.sizes, self.dtype)
        self.reader = Reader(self.sizes, self.dtype)

    @typed
    def look(self, pictures: Float[Array, "B H W 3"]) -> Float[Array, "B P D"]:
        """The tokens of pictures, before any word is read.

        Args:
            pictures: float32 in [-1, 1]; trained at 768 x 768, in X-VLA at 224 x 224.

        Returns:
            float32; P is `sizes.tokens(H, W)`: the mean of the cells, then the cells row by row.

        Raises:
            ValueError: more rows or columns of cells than places are learned for.
        """
        trained = (IMAGENET.mean, IMAGENET.deviation)
        mean, deviation = (jnp.asarray(colour, jnp.float32) for colour in trained)
        return self.projector(self.tower(((pictures + 1) / 2 - mean) / deviation))

    @typed
    def read(
        self,
        tokens: Int[Array, "B X"],
        mask: Bool[Array, "B X"],
        seen: Float[Array, "B P D"] | None = None,
    ) -> Float[Array, "B N D"]:
        """Words, behind the tokens of a picture if there is one.

        Args:
            tokens: numbers in [0, vocabulary), padded with any; BART begins with <s> and ends with
                </s>.
            mask: which of them are real; others are not attended to. X-VLA lets all 64 be seen,
                padding (<pad>) too: give ones.
            seen: what `look` made.

        Returns:
            float32; N = P + X.

        Raises:
            ValueError: more tokens than the encoder has places.
        """
        if seen is None:
            seen = jnp.zeros((len(tokens), 0, self.sizes.layers.width))
        return self.reader(tokens, mask, seen)

    def __call__(
        self, tokens: Int[Array, "B X"], mask: Bool[Array, "B X"], pictures: Float[Array, "B H W 3"]
    ) -> Float[Array, "B N D"]:
        """`read` of the words behind what `look` made of one picture a row."""
        return self.read(tokens, mask, self.look(pictures))
