"""In which order windows are drawn: example i of the endless stream -> window.

    epoch, j = divmod(i, W);  window = permutation(seed, epoch)[j]

Every window comes once an epoch. grain's own shuffle needs no memory but costs milliseconds a
draw for small sets (it walks cycles in a domain of 2^16), so sets up to SMALL windows are
permuted in memory. RandomState is NumPy's generator whose stream is frozen for good.
"""

import typing
from typing import Any, Protocol

import grain
import numpy as np

SMALL = 2**22
ENDLESS = 2**62


class Order(Protocol):
    """Example number -> window number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> int: ...


class Batches:
    """A grain source: batch k -> the windows of its examples, int64 [B]."""

    def __init__(self, order: Order, size: int):
        self.order, self.size = order, size

    def __len__(self) -> int:
        return len(self.order) // self.size

    def __getitem__(self, index: Any) -> np.ndarray:
        start = int(index) * self.size
        return np.array([self.order[i] for i in range(start, start + self.size)], np.int64)


class EpochOrder:
    """Windows 0 .. count - 1, permuted anew each epoch."""

    def __init__(self, count: int, seed: int):
        self.count, self.seed = count, seed
        self._permutations: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return ENDLESS // self.count * self.count

    def __getitem__(self, index: Any) -> int:
        epoch, place = divmod(int(index), self.count)
        if epoch not in self._permutations:
            # Two epochs are in use where a batch crosses from one to the next.
            kept = {old: p for old, p in self._permutations.items() if abs(old - epoch) == 1}
            draw = np.random.RandomState([self.seed & 0xFFFFFFFF, epoch & 0xFFFFFFFF])
            kept[epoch] = draw.permutation(self.count)
            self._permutations = kept
        return int(self._permutations[epoch][place])


def shuffled(count: int, seed: int, small: int = SMALL) -> Order:
    """The endless stream of windows.

    Args:
        count: W, at least 1.
        seed: of the permutations.
        small: up to this many windows the permutation is kept in memory.
    """
    if count <= small:
        return EpochOrder(count, seed)
    return typing.cast(Order, grain.MapDataset.range(count).seed(seed).shuffle().repeat())
