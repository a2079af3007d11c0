"""Success rates with intervals, and comparisons of policies in the same worlds.

Wilson (1927), n episodes, s successes, p = s / n, z the normal quantile of the confidence:

    (p + z^2 / 2n  -+  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

McNemar (1947), exact: of the b + c worlds in which two policies differ, b favour the first; under
the null b ~ Binomial(b + c, 1/2), two-sided. Holm (1979): the k-th smallest of m p-values is
multiplied by m - k + 1 and never falls below its predecessor.
"""

import math
import statistics
from collections.abc import Mapping

import numpy as np

from wamjax.core.typing import Bool, Float, Int, typed

Interval = tuple[float, float]


def wilson(successes: int, episodes: int, confidence: float = 0.95) -> Interval:
    """The Wilson score interval of a success rate, both ends in 0 ... 1.

    Raises:
        ValueError: no episodes, successes outside 0 ... episodes, confidence outside (0, 1).
    """
    if episodes < 1 or not 0 <= successes <= episodes:
        raise ValueError(f"{successes} successes in {episodes} episodes is no rate")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    n, p = episodes, successes / episodes
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At 0 and at n the true end is 0 or 1; rounding must not push it outside.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == episodes else (centre + half) / scale
    return low, high


def separate(one: Interval, other: Interval) -> bool:
    """Whether two intervals have no point in common."""
    return one[0] > other[1] or other[0] > one[1]


@typed
def mcnemar(first: Bool[np.ndarray, " E"], second: Bool[np.ndarray, " E"]) -> float:
    """Two-sided exact p-value that two policies, tried in the same worlds, are equally good."""
    wins = int(np.sum(first & ~second))
    differing = wins + int(np.sum(second & ~first))
    if differing == 0:
        return 1.0
    tail = sum(math.comb(differing, k) for k in range(min(wins, differing - wins) + 1))
    # Integers until here: 2^n overflows a float beyond n = 1,023.
    return min(1.0, 2 * tail / 2**differing)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values corrected for asking several questions at once, under the same names."""
    ordered = sorted(p_values, key=lambda name: p_values[name])
    corrected, floor = {}, 0.0
    for place, name in enumerate(ordered):
        floor = max(floor, min(1.0, (len(ordered) - place) * p_values[name]))
        corrected[name] = floor
    return {name: corrected[name] for name in p_values}


@typed
def bootstrap_mean(
    totals: Float[np.ndarray, " N"],
    weights: Float[np.ndarray, " N"],
    groups: Int[np.ndarray, " N"],
    *,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of sum(totals) / sum(weights), resampling whole groups.

    Args:
        totals: summed error per example.
        weights: how many numbers were summed per example.
        groups: which episode the example comes from; examples of one are not independent.
        draws: resamples.
        confidence: 0 ... 1.
        seed: of the resampling.
    """
    _, places = np.unique(groups, return_inverse=True)
    top, bottom = np.bincount(places, totals), np.bincount(places, weights)
    picks = np.random.default_rng(seed).integers(len(top), size=(draws, len(top)))
    sums = bottom[picks].sum(1)
    means = top[picks].sum(1)[sums > 0] / sums[sums > 0]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
