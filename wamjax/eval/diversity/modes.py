"""In how many ways a policy solves a task: entropy of the modes among its successes.

A mode is one of `count` ways to succeed that the task knows (which side, which order, which hand);
p_k is its share among the successes (D3IL, arXiv 2402.14606):

    entropy      - sum_k p_k log p_k / log count         0: always the same way, 1: all alike often
    given state  the mean over initial states of the entropy among the successes from that state

The first is high as well for a policy that always takes one way from each state; the second is
not, and needs several rollouts per initial state.

Bias: the entropy of shares of N successes that took K ways is too low by about (K - 1) / 2N nats
(Miller 1955), much for few rollouts per state: two ways that are equally likely give 0.78 for 4
rollouts and 0.90 for 8. So compare policies at equal numbers of successes, or by `corrected`,
which adds that term (to at most 1). A state with a single success says nothing and is left out.

Intervals are percentile bootstrap intervals over initial states, moved up by that bias as the
resamples show it: they may begin at the value. A way that was never taken cannot be resampled: N
successes of one way give an interval without width, though another may have a share of up to 3/N.
"""

import dataclasses

import numpy as np
import scipy

from wamjax.core.typing import Bool, Float, Int, typed
from wamjax.eval.statistics import Estimate
from wamjax.eval.statistics.bootstrap import unbiased


@dataclasses.dataclass(frozen=True)
class Diversity:
    """An entropy, 0 ... 1; nan where nothing counts.

    Attributes:
        entropy: of the shares, with its interval.
        corrected: with the Miller-Madow term.
        successes: successes that count.
        states: initial states that count.
    """

    entropy: Estimate
    corrected: float
    successes: int
    states: int


NOTHING = Diversity(Estimate(np.nan, np.nan, np.nan), np.nan, 0, 0)


@typed
def mode_entropy(
    modes: Int[np.ndarray, " N"],
    success: Bool[np.ndarray, " N"],
    states: Int[np.ndarray, " N"],
    *,
    count: int,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Diversity:
    """Entropy of the modes over all successes; initial states are resampled with all they hold.

    Args:
        modes: which way was taken, 0 ... count - 1; of failures any number.
        success: whether it succeeded.
        states: which initial state the rollout began in; all different for one rollout each.
        count: of modes that the task knows, 2 or more.
        draws: resamples.
        confidence: 0 ... 1.
        seed: of the resampling.

    Raises:
        ValueError: count below 2, a success's mode outside 0 ... count - 1, confidence outside
            (0, 1).
    """
    table = _table(modes, success, states, count)
    table = table[table.sum(1) > 0]
    S = len(table)
    if not S:
        return NOTHING
    picks = np.random.default_rng(seed).integers(S, size=(draws, S))
    resampled = _entropy(table[picks].sum(1))
    found = unbiased(float(_entropy(table.sum(0))), resampled, confidence, lowest=0.0, highest=1.0)
    corrected = float(_entropy(table.sum(0), correct=True))
    return Diversity(found, corrected, int(table.sum()), S)


@typed
def mode_entropy_given_state(
    modes: Int[np.ndarray, " N"],
    success: Bool[np.ndarray, " N"],
    states: Int[np.ndarray, " N"],
    *,
    count: int,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Diversity:
    """Mean over initial states of the entropy of the modes among their successes.

    Arguments and errors as `mode_entropy`. States of less than two successes are left out; each
    other state weighs the same. The interval is of the states, and its centre keeps the bias
    within each state.
    """
    table = _table(modes, success, states, count)
    table = table[table.sum(1) > 1]
    S = len(table)
    if not S:
        return NOTHING
    by_state = _entropy(table)
    picks = np.random.default_rng(seed).integers(S, size=(draws, S))
    resampled = by_state[picks].mean(1)
    found = unbiased(float(by_state.mean()), resampled, confidence, lowest=0.0, highest=1.0)
    corrected = float(_entropy(table, correct=True).mean())
    return Diversity(found, corrected, int(table.sum()), S)


def _table(
    modes: Int[np.ndarray, " N"],
    success: Bool[np.ndarray, " N"],
    states: Int[np.ndarray, " N"],
    count: int,
) -> Int[np.ndarray, "S M"]:
    """Successes by state and mode."""
    if count < 2:
        raise ValueError(f"{count} modes leave no choice")
    taken = modes[success]
    if len(taken) and not (taken.min() >= 0 and taken.max() < count):
        raise ValueError(
            f"modes must lie in 0 ... {count - 1}, got {taken.min()} ... {taken.max()}"
        )
    names, places = np.unique(states, return_inverse=True)
    table = np.zeros((len(names), count), int)
    np.add.at(table, (places[success], taken), 1)
    return table


def _entropy(table: Int[np.ndarray, "*S M"], *, correct: bool = False) -> Float[np.ndarray, "*S"]:
    """Entropy of the counts along the last axis over the log of their number."""
    nats = scipy.stats.entropy(table, axis=-1)
    if correct:
        nats = nats + ((table > 0).sum(-1) - 1) / (2 * table.sum(-1))
    return np.minimum(nats / np.log(table.shape[-1]), 1.0)
