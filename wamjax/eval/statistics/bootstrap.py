"""Percentile bootstrap (Efron 1979): the quantiles of a statistic over resampled data.

What is drawn with replacement is what is independent: episodes (not their windows), worlds (with
both policies' outcomes in them), tasks, and then worlds within the tasks that were drawn:

    mean over tasks t of (rate of t),   t* ~ tasks,  outcomes* ~ outcomes of t*

Tasks drawn as well answers for tasks like these; tasks kept answers for these tasks alone. Drawing
at both levels counts the noise within a task twice, so that the first interval is a little too
wide for few episodes a task (Davison and Hinkley 1997, section 3.8); for few tasks (less than
ten) every percentile interval over tasks is too narrow.

An outcome adds 1, 0 or -1 (a paired difference), so the number of each in a resample of n is drawn
at once: multinomial with the shares in the data. Equal arguments give equal intervals.
"""

import numpy as np

from wamjax.core.typing import Bool, Float, Int, typed
from wamjax.eval.statistics.intervals import Estimate, Interval, check_confidence


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
    return middle(means, confidence)


@typed
def bootstrap_difference(
    first: Bool[np.ndarray, " E"],
    second: Bool[np.ndarray, " E"],
    *,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Rate of the first policy minus rate of the second (-1 ... 1) in the same worlds.

    Where the two never differ the interval has no width; `paired_difference` does better there.

    Raises:
        ValueError: no worlds; confidence outside (0, 1).
    """
    one = np.zeros(len(first), int)
    return _over_tasks(first, second, one, False, draws, confidence, seed)


@typed
def cluster_rate(
    outcomes: Bool[np.ndarray, " N"],
    tasks: Int[np.ndarray, " N"],
    *,
    resample_tasks: bool = True,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The mean over tasks (each weighs the same) of the success rate, 0 ... 1.

    Args:
        outcomes: whether the episode was a success.
        tasks: which task (or suite, or training run) it belongs to.
        resample_tasks: whether tasks are drawn, too, or only the episodes within each.
        draws: resamples.
        confidence: 0 ... 1.
        seed: of the resampling.

    Raises:
        ValueError: no episodes; confidence outside (0, 1).
    """
    never = np.zeros(len(outcomes), bool)
    return _over_tasks(outcomes, never, tasks, resample_tasks, draws, confidence, seed)


@typed
def cluster_difference(
    first: Bool[np.ndarray, " N"],
    second: Bool[np.ndarray, " N"],
    tasks: Int[np.ndarray, " N"],
    *,
    resample_tasks: bool = True,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The mean over tasks of (rate of the first policy - rate of the second), -1 ... 1.

    Both policies were tried in the same N worlds; the rest as in `cluster_rate`.

    Raises:
        ValueError: no worlds; confidence outside (0, 1).
    """
    return _over_tasks(first, second, tasks, resample_tasks, draws, confidence, seed)


def middle(values: Float[np.ndarray, " D"], confidence: float) -> Interval:
    """The middle `confidence` of resampled values that are finite; nan, nan if none is.

    Raises:
        ValueError: confidence outside (0, 1).
    """
    check_confidence(confidence)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.nan, np.nan
    low, high = np.quantile(finite, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def unbiased(
    value: float,
    resampled: Float[np.ndarray, " D"],
    confidence: float,
    *,
    lowest: float = -np.inf,
    highest: float = np.inf,
) -> Estimate:
    """The value with the percentile interval moved to where the value would be without bias.

    For statistics that are biased in finite samples (entropies): the resampled ones are as far
    from the value as the value is from the truth, so they are moved by twice that. The interval
    is cut to a range, and widened to hold the value.

    Raises:
        ValueError: confidence outside (0, 1).
    """
    low, high = middle(resampled - 2 * (resampled.mean() - value), confidence)
    return Estimate(value, max(lowest, min(low, value)), min(highest, max(high, value)))


def _over_tasks(
    first: Bool[np.ndarray, " N"],
    second: Bool[np.ndarray, " N"],
    tasks: Int[np.ndarray, " N"],
    resample_tasks: bool,
    draws: int,
    confidence: float,
    seed: int,
) -> Estimate:
    if not len(first):
        raise ValueError("no episodes, so there is nothing to resample")
    _, places, episodes = np.unique(tasks, return_inverse=True, return_counts=True)
    wins, losses = np.bincount(places, first & ~second), np.bincount(places, second & ~first)
    shares = np.stack([wins, losses, episodes - wins - losses], 1) / episodes[:, None]
    rng = np.random.default_rng(seed)
    T = len(episodes)
    picks = rng.integers(T, size=(draws, T)) if resample_tasks else np.tile(range(T), (draws, 1))
    drawn = rng.multinomial(episodes[picks], shares[picks])
    means = ((drawn[..., 0] - drawn[..., 1]) / episodes[picks]).mean(1)
    return Estimate(float(((wins - losses) / episodes).mean()), *middle(means, confidence))
