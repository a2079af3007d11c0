"""How many episodes a comparison needs, and what so many episodes can show.

d the difference of two success rates p and q = p + d, m = (p + q) / 2, z_a and z_b the normal
quantiles of 1 - alpha / 2 and of the power. Two arms in worlds of their own (Fleiss, Levin and Paik
2003, section 4.2, without the correction for continuity), episodes per arm:

    n = (z_a sqrt(2 m (1 - m)) + z_b sqrt(p (1 - p) + q (1 - q)))^2 / d^2

Shared worlds, of which the share D is discordant (only one policy succeeds), tested by McNemar
(Connor 1987), worlds:

    n = (z_a sqrt(D) + z_b sqrt(D - d^2))^2 / d^2

Both are rounded up. They are normal approximations; `exact_power` and `exact_power_paired` add up
the probability of every outcome that the test would call different.
"""

import math
from collections.abc import Callable

import numpy as np
import scipy

from wamjax.core.errors import UserError
from wamjax.core.typing import Float, Int

DISCORDANCES = (0.1, 0.2, 0.3)
# Counts whose probability adds up to less than this are left out of exact sums.
_TINY = 1e-12


def episodes_per_arm(
    rate: float, difference: float, *, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Episodes that each of two arms in worlds of their own needs.

    Args:
        rate: success rate of one arm, 0 ... 1.
        difference: rate of the other arm minus it, -1 ... 1, not 0.
        power: probability of finding the difference, above alpha and below 1.
        alpha: two-sided level, (0, 1).

    Raises:
        ValueError: a rate outside 0 ... 1, no difference, power or alpha out of range.
    """
    return math.ceil(_arm(rate, difference, *_quantiles(power, alpha)))


def pairs_needed(
    difference: float, discordance: float, *, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Worlds that two policies must share for McNemar's test.

    Args:
        difference: of the two success rates, -1 ... 1, not 0.
        discordance: share of worlds that only one of them solves; at least the difference.
        power, alpha: as in `episodes_per_arm`.

    Raises:
        ValueError: no difference, discordance below it or above 1, power or alpha out of range.
    """
    return math.ceil(_pairs(difference, discordance, *_quantiles(power, alpha)))


def detectable(rate: float, episodes: int, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest gain over `rate` that so many episodes per arm find; the rest as above.

    Raises:
        ValueError: rate outside [0, 1), no episodes, or too few to find even a gain to 1.
    """
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"nothing can be gained over a rate of {rate}")
    z = _quantiles(power, alpha)
    return _smallest(lambda d: _arm(rate, d, *z), episodes, 1.0 - rate)


def detectable_paired(
    discordance: float, pairs: int, *, power: float = 0.8, alpha: float = 0.05
) -> float:
    """The smallest difference that so many shared worlds find; the rest as above.

    Raises:
        ValueError: discordance outside (0, 1], no worlds, or too few to find any difference.
    """
    if not 0.0 < discordance <= 1.0:
        raise ValueError(f"the discordance must lie in (0, 1], got {discordance}")
    z = _quantiles(power, alpha)
    return _smallest(lambda d: _pairs(d, discordance, *z), pairs, discordance)


def exact_power(rate: float, difference: float, episodes: int, *, alpha: float = 0.05) -> float:
    """The power of the pooled two-proportion z test, by enumeration of both arms' successes.

    Raises:
        ValueError: as `episodes_per_arm`, or no episodes.
    """
    one, one_mass = _outcomes(episodes, rate)
    two, two_mass = _outcomes(episodes, _other(rate, difference))
    pooled = (one[:, None] + two[None]) / (2 * episodes)
    spread = np.sqrt(2 * pooled * (1 - pooled) / episodes)
    gap = np.abs(one[:, None] - two[None]) / episodes
    called = gap > scipy.special.ndtri(1 - _level(alpha) / 2) * spread
    return float(one_mass @ called @ two_mass)


def exact_power_paired(
    difference: float, discordance: float, pairs: int, *, alpha: float = 0.05
) -> float:
    """The power of the exact McNemar test, over discordant worlds and over who won them.

    Raises:
        ValueError: as `pairs_needed`, or no worlds.
    """
    _check_discordance(difference, discordance)
    counts, mass = _outcomes(pairs, discordance)
    binom = scipy.stats.binom
    # The most losses (or wins) whose two-sided p-value is at most alpha; -1 where there are none.
    most = binom.ppf(_level(alpha) / 2, counts, 0.5)
    most = np.where(binom.cdf(most, counts, 0.5) <= alpha / 2, most, most - 1)
    won = (1 + difference / discordance) / 2
    return float(mass @ (binom.cdf(most, counts, won) + binom.cdf(most, counts, 1 - won)))


def planned(
    *,
    power: float,
    detect: float,
    rate: float,
    alpha: float = 0.05,
    discordance: float | None = None,
) -> str:
    """One sentence: the episodes that find a difference of `detect` percentage points.

    Args:
        power: 0 ... 1.
        detect: percentage points; negative for a loss.
        rate: success rate of the policy to compare with, 0 ... 1.
        alpha: two-sided level.
        discordance: share of worlds that only one policy solves; None names several.

    Raises:
        UserError: the numbers plan nothing.
    """
    difference = detect / 100
    if discordance is None:
        shares = sorted({max(share, abs(difference)) for share in DISCORDANCES})
    else:
        shares = [discordance]
    try:
        alone = episodes_per_arm(rate, difference, power=power, alpha=alpha)
        pairs = [pairs_needed(difference, share, power=power, alpha=alpha) for share in shares]
    except ValueError as problem:
        raise UserError(f"no plan for these numbers: {problem}.") from problem
    return (
        f"To find a difference of {detect:+g} points from {100 * rate:g} % with a probability of "
        f"{100 * power:g} % (two-sided level {100 * alpha:g} %), each of two policies needs "
        f"{alone:,} episodes in worlds of its own, or both need "
        f"{' / '.join(f'{count:,}' for count in pairs)} shared worlds if they differ in "
        f"{' / '.join(f'{100 * share:g}' for share in shares)} % of them."
    )


def _arm(rate: float, difference: float, level: float, strength: float) -> float:
    other = _other(rate, difference)
    middle = (rate + other) / 2
    spread = rate * (1 - rate) + other * (1 - other)
    numerator = level * math.sqrt(2 * middle * (1 - middle)) + strength * math.sqrt(spread)
    return (numerator / difference) ** 2


def _pairs(difference: float, discordance: float, level: float, strength: float) -> float:
    _check_discordance(difference, discordance)
    spread = max(0.0, discordance - difference**2)
    return ((level * math.sqrt(discordance) + strength * math.sqrt(spread)) / difference) ** 2


def _smallest(needed: Callable[[float], float], count: int, largest: float) -> float:
    """The difference up to `largest` that needs `count`; needs fall as differences grow."""
    if count < 1 or needed(largest) > count:
        raise ValueError(f"{count} are too few to find even a difference of {largest:g}")
    return float(scipy.optimize.brentq(lambda d: needed(d) - count, 1e-9, largest, xtol=1e-12))


def _quantiles(power: float, alpha: float) -> tuple[float, float]:
    """The normal quantiles of 1 - alpha / 2 and of the power."""
    if not _level(alpha) < power < 1.0:
        raise ValueError(f"the power must lie between alpha and 1, got {power}")
    return float(scipy.special.ndtri(1 - alpha / 2)), float(scipy.special.ndtri(power))


def _level(alpha: float) -> float:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    return alpha


def _other(rate: float, difference: float) -> float:
    """The other arm's rate; what rounding puts a hair outside 0 ... 1 is put back."""
    other = rate + difference
    if not (0.0 <= rate <= 1.0 and -1e-9 <= other <= 1.0 + 1e-9):
        raise ValueError(f"a rate of {rate:g} cannot differ by {difference:g}")
    if difference == 0.0:
        raise ValueError("a difference of 0 cannot be found")
    return min(1.0, max(0.0, other))


def _check_discordance(difference: float, discordance: float) -> None:
    if not abs(difference) <= discordance <= 1.0:
        raise ValueError(
            f"a share of {discordance:g} of discordant worlds does not lie between the difference "
            f"of {abs(difference):g} and 1"
        )
    if difference == 0.0:
        raise ValueError("a difference of 0 cannot be found")


def _outcomes(episodes: int, rate: float) -> tuple[Int[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """Numbers of successes that are not next to impossible, and their probabilities."""
    if episodes < 1:
        raise ValueError(f"{episodes} episodes show nothing")
    mass = scipy.stats.binom.pmf(np.arange(episodes + 1), episodes, rate)
    counts = np.flatnonzero(mass > _TINY)
    return counts, mass[counts]
