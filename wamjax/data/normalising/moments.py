"""Moments and quantiles of numbers, in one pass for moments and one for quantiles.

    n, mean, M2 <- of the rows of a block by itself

    mean, M2 <- merge of blocks (Chan, Golub, LeVeque 1979); std = sqrt(M2 / n)
    q        <- histogram of BINS equal bins between min and max

The q-quantile is NumPy's linear one between order statistics, each known to half a bin, so it is
off by at most (max - min) / (2 BINS). Memory does not grow with the data. Blocks and bins may be
made anywhere: blocks are merged in the order of the data, and bins are whole numbers.
"""

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

BINS = 2**15


@dataclasses.dataclass(frozen=True)
class Moments:
    """Of each dimension, in the units of the data; tuples of one float a dimension."""

    count: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    min: tuple[float, ...]
    max: tuple[float, ...]
    q01: tuple[float, ...]
    q99: tuple[float, ...]

    @property
    def width(self) -> int:
        return len(self.mean)


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """What some rows bring to a `Spread`: of each dimension, float64 [width].

    Attributes:
        count: rows, at least one.
        mean, squares: mean, and sum of squares about it.
        low, high: minimum and maximum.
    """

    count: int
    mean: np.ndarray
    squares: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> "Block":
        """Of float [n, width], n at least 1."""
        rows = np.asarray(rows, np.float64)
        mean = rows.mean(axis=0)
        squares = ((rows - mean) ** 2).sum(axis=0)
        return cls(len(rows), mean, squares, rows.min(axis=0), rows.max(axis=0))


class Spread:
    """The first pass: count, mean, sum of squares about it, minimum and maximum."""

    def __init__(self, width: int):
        self.count, self.mean, self.squares = 0, np.zeros(width), np.zeros(width)
        self.low, self.high = np.full(width, np.inf), np.full(width, -np.inf)

    def add(self, block: np.ndarray) -> None:
        """A block of rows, float [n, width]."""
        if len(block):
            self.merge(Block.of(block))

    def merge(self, block: Block) -> None:
        """Count the rows of a block; the last bits depend on the order of the blocks."""
        total = self.count + block.count
        shift = block.mean - self.mean
        apart = shift**2 * self.count * block.count / total
        self.squares += block.squares + apart
        self.mean = self.mean + shift * block.count / total
        self.low = np.minimum(self.low, block.low)
        self.high = np.maximum(self.high, block.high)
        self.count = total


class Histogram:
    """The second pass, over the same rows."""

    def __init__(self, spread: Spread):
        self.spread = spread
        self.bins = np.zeros((len(spread.mean), BINS), np.int64)

    def add(self, block: np.ndarray) -> None:
        """A block of rows, float [n, width]."""
        rows = np.asarray(block, np.float64)
        low, span = self.spread.low, self.spread.high - self.spread.low
        with np.errstate(invalid="ignore", divide="ignore"):
            places = np.where(span > 0, (rows - low) / span, 0.0) * BINS
        places = np.clip(places.astype(np.int64), 0, BINS - 1)
        for dim in range(len(self.bins)):
            self.bins[dim] += np.bincount(places[:, dim], minlength=BINS)

    def moments(self) -> Moments:
        """What both passes found; zeros where there was no row."""
        seen = self.spread
        if seen.count == 0:
            zero = (0.0,) * len(seen.mean)
            return Moments(0, zero, zero, zero, zero, zero, zero)
        quantiles = [self._quantile(q) for q in (0.01, 0.99)]
        std = np.sqrt(seen.squares / seen.count)
        return Moments(
            seen.count,
            *(tuple(map(float, v)) for v in (seen.mean, std, seen.low, seen.high)),
            *(tuple(map(float, v)) for v in quantiles),
        )

    def _quantile(self, q: float) -> np.ndarray:
        """Linear interpolation between the two order statistics around rank q (count - 1)."""
        low, high = self.spread.low, self.spread.high
        rank = q * (self.spread.count - 1)
        below, above = int(np.floor(rank)), int(np.ceil(rank))
        out = np.zeros(len(self.bins))
        for dim, histogram in enumerate(self.bins):
            reached = np.cumsum(histogram)
            width = (high[dim] - low[dim]) / BINS
            pair = [
                low[dim] + (np.searchsorted(reached, r + 1) + 0.5) * width for r in (below, above)
            ]
            out[dim] = pair[0] + (pair[1] - pair[0]) * (rank - below)
        return np.clip(out, low, high)


def summarise(blocks: Callable[[], Iterable[np.ndarray]], width: int) -> Moments:
    """Moments and quantiles of the rows of all blocks.

    Args:
        blocks: called twice; gives float [n, width] blocks, the same ones each time.
        width: number of dimensions.
    """
    spread = Spread(width)
    for block in blocks():
        spread.add(block)
    histogram = Histogram(spread)
    if spread.count:
        for block in blocks():
            histogram.add(block)
    return histogram.moments()
