"""Which data set example i of a mixture is of, and which turn of that data set it is.

    share_k  = weight_k windows_k / sum over j           exact; a weight of 1 is the natural size
    count_k  = CYCLE share_k by largest remainders       examples of k in every CYCLE, at least 1

    cycle, j = divmod(i, CYCLE)
    member   = permutation(seed, cycle) of the counts, at j
    turn     = cycle count_k + how often k came before j in this cycle

So every example is found by its number alone, and each data set comes exactly as often as told.
"""

import dataclasses
import fractions
from collections.abc import Sequence

import numpy as np

CYCLE = 2**16


@dataclasses.dataclass(frozen=True)
class Share:
    """A data set's part of a mixture.

    Attributes:
        name: of the data set.
        weight: as it was asked for, times its windows.
        windows: how many it has.
        exact: its share of all examples.
        count: examples of every CYCLE.
    """

    name: str
    weight: fractions.Fraction
    windows: int
    exact: fractions.Fraction
    count: int


def shares(
    names: Sequence[str], weights: Sequence[fractions.Fraction], windows: Sequence[int]
) -> tuple[Share, ...]:
    """The shares of data sets.

    Args:
        names, weights, windows: of each; weights above 0, as exact numbers (Fraction("0.5409")).

    Raises:
        ValueError: a weight that is not above 0, a data set without windows, or more data sets than
            a cycle has places.
    """
    for name, weight, count in zip(names, weights, windows, strict=True):
        if weight <= 0:
            raise ValueError(f"the weight of {name} must be above 0, got {weight}")
        if count < 1:
            raise ValueError(f"{name} has no window")
    if not 1 <= len(names) <= CYCLE:
        raise ValueError(f"a mixture has 1 to {CYCLE} data sets, got {len(names)}")
    sizes = [weight * count for weight, count in zip(weights, windows, strict=True)]
    exact = [size / sum(sizes) for size in sizes]
    whole = [max(1, int(part * CYCLE)) for part in exact]
    left = [part * CYCLE - count for part, count in zip(exact, whole, strict=True)]
    while sum(whole) != CYCLE:
        step = 1 if sum(whole) < CYCLE else -1
        able = [k for k, count in enumerate(whole) if count + step >= 1]
        chosen = max(able, key=lambda k: step * left[k])
        whole[chosen] += step
        left[chosen] -= step
    return tuple(map(Share, names, weights, windows, exact, whole))


class Turns:
    """Example number -> (data set, which of its turns).

    Args:
        counts: examples of each data set in every cycle; they add up to its length.
        seed: of the permutations.
    """

    def __init__(self, counts: Sequence[int], seed: int):
        self.counts, self.seed = tuple(counts), seed
        self.cycle = sum(counts)
        self._known: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __call__(self, index: int) -> tuple[int, int]:
        cycle, place = divmod(index, self.cycle)
        members, ranks = self._of(cycle)
        member = int(members[place])
        return member, cycle * self.counts[member] + int(ranks[place])

    def _of(self, cycle: int) -> tuple[np.ndarray, np.ndarray]:
        """The members of a cycle in their order, and how often each came before."""
        if cycle not in self._known:
            # Two cycles are in use where a batch crosses from one to the next.
            kept = {old: made for old, made in self._known.items() if abs(old - cycle) == 1}
            # RandomState is NumPy's generator whose stream is frozen for good.
            draw = np.random.RandomState([self.seed & 0xFFFFFFFF, cycle & 0xFFFFFFFF, 1])
            members = draw.permutation(np.repeat(np.arange(len(self.counts)), self.counts))
            ranks = np.empty(self.cycle, np.int64)
            for member, count in enumerate(self.counts):
                ranks[members == member] = np.arange(count)
            self._known = {**kept, cycle: (members, ranks)}
        return self._known[cycle]
