"""Success rates with intervals.

n episodes, s successes, p = s / n, z the normal quantile of the confidence.

Wilson (1927), which is right on average over p:

    (p + z^2 / 2n  -+  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

Clopper and Pearson (1934), which is right for every p and therefore wider; a = 1 - confidence,
B^-1 the quantile of the beta distribution:

    [B^-1(a / 2; s, n - s + 1),  B^-1(1 - a / 2; s + 1, n - s)]
"""

import dataclasses
from typing import Literal

import scipy  # its parts load when they are used: `wamjax --help` does not wait for them

Interval = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number and the two ends of its interval, in the number's unit."""

    value: float
    low: float
    high: float


def wilson(successes: int, episodes: int, confidence: float = 0.95) -> Interval:
    """The Wilson score interval of a success rate, both ends in 0 ... 1.

    Raises:
        ValueError: no episodes, successes outside 0 ... episodes, confidence outside (0, 1).
    """
    return _interval(successes, episodes, confidence, "wilson")


def clopper_pearson(successes: int, episodes: int, confidence: float = 0.95) -> Interval:
    """The exact interval of a success rate, both ends in 0 ... 1: never covers too seldom.

    Raises:
        ValueError: as `wilson`.
    """
    return _interval(successes, episodes, confidence, "exact")


def _interval(
    successes: int, episodes: int, confidence: float, method: Literal["wilson", "exact"]
) -> Interval:
    if episodes < 1 or not 0 <= successes <= episodes:
        raise ValueError(f"{successes} successes in {episodes} episodes is no rate")
    check_confidence(confidence)
    test = scipy.stats.binomtest(int(successes), int(episodes))
    low, high = test.proportion_ci(confidence, method=method)
    return float(low), float(high)


def check_confidence(confidence: float) -> None:
    """Refuse what is no confidence.

    Raises:
        ValueError: outside (0, 1).
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")


def separate(one: Interval, other: Interval) -> bool:
    """Whether two intervals have no point in common."""
    return one[0] > other[1] or other[0] > one[1]
