"""Two policies tried in the same n worlds: b worlds only the first solved, c only the second.

McNemar (1947), exact: under the null b ~ Binomial(b + c, 1/2), two-sided.

Bonett and Price (2012), the interval of the difference of the two rates; one world is added to b
and one to c, so that it keeps its width where the policies never differed:

    f = (b + 1) / (n + 2),  s = (c + 1) / (n + 2)
    f - s  -+  z sqrt((f + s - (f - s)^2) / (n + 2)),  cut to -1 ... 1
"""

import math

import numpy as np
import scipy

from wamjax.core.typing import Bool, typed
from wamjax.eval.statistics.intervals import Estimate, check_confidence


@typed
def mcnemar(first: Bool[np.ndarray, " E"], second: Bool[np.ndarray, " E"]) -> float:
    """Two-sided exact p-value that two policies, tried in the same worlds, are equally good."""
    wins, losses = discordant(first, second)
    if wins + losses == 0:
        return 1.0
    return float(scipy.stats.binomtest(wins, wins + losses).pvalue)


@typed
def discordant(first: Bool[np.ndarray, " E"], second: Bool[np.ndarray, " E"]) -> tuple[int, int]:
    """In how many worlds only the first policy succeeded, and in how many only the second."""
    return int(np.sum(first & ~second)), int(np.sum(second & ~first))


@typed
def paired_difference(
    first: Bool[np.ndarray, " E"], second: Bool[np.ndarray, " E"], *, confidence: float = 0.95
) -> Estimate:
    """Rate of the first minus rate of the second (-1 ... 1) with Bonett and Price's interval.

    Raises:
        ValueError: no worlds; confidence outside (0, 1).
    """
    check_confidence(confidence)
    if not len(first):
        raise ValueError("no worlds, so the policies have no difference")
    wins, losses = discordant(first, second)
    n = len(first) + 2
    gain, loss = (wins + 1) / n, (losses + 1) / n
    z = float(scipy.special.ndtri((1 + confidence) / 2))
    half = z * math.sqrt((gain + loss - (gain - loss) ** 2) / n)
    centre = gain - loss
    return Estimate((wins - losses) / (n - 2), max(-1.0, centre - half), min(1.0, centre + half))
