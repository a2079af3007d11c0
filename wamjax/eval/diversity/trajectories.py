"""How different N trajectories are, without knowing the ways to solve a task.

A kernel k says how alike two end-effector paths are, 1 for equal ones. The eigenvalues of their
Gram matrix over N are shares, and their entropy (von Neumann's) is the entropy of trajectories; its
exponential is the number of different ones (Vendi score, arXiv 2210.02410):

    H = - sum_i l_i log l_i,   l = eigenvalues of G / N      0: all equal, log N: nothing in common

Given the state, H is that of the trajectories from one initial state, averaged over states: the
start differs between states, and so do the paths of a policy that has but one way.

H of N trajectories is below that of the policy that they were drawn from, as for modes: compare
equal numbers. Intervals are percentile bootstrap intervals over initial states, moved up by that
bias as the resamples show it: they may begin at the value.
"""

import numpy as np

from wamjax.core.typing import Float, Int, typed
from wamjax.eval.statistics import Estimate
from wamjax.eval.statistics.bootstrap import unbiased


@typed
def gram_entropy(gram: Float[np.ndarray, "N N"]) -> float:
    """Nats, 0 ... log N, of a Gram matrix with ones on its diagonal.

    Raises:
        ValueError: no trajectories, or another diagonal.
    """
    if not len(gram) or not np.allclose(np.diag(gram), 1.0):
        raise ValueError("a Gram matrix of trajectories has ones on its diagonal, at least one")
    shares = np.linalg.eigvalsh(gram / len(gram))
    shares = shares[shares > 0]  # rounding leaves some a hair below
    return abs(float(-(shares * np.log(shares)).sum()))


@typed
def trajectory_entropy(
    gram: Float[np.ndarray, "N N"],
    states: Int[np.ndarray, " N"],
    *,
    draws: int = 200,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Entropy of all trajectories in nats; states are resampled with all they hold.

    Args:
        gram: how alike they are; of successes alone, if solutions are asked for.
        states: which initial state each began in; all different for one rollout each.
        draws: resamples; each takes the eigenvalues of N x N.
        confidence: 0 ... 1.
        seed: of the resampling.

    Raises:
        ValueError: as `gram_entropy`; confidence outside (0, 1).
    """
    value = gram_entropy(gram)
    members = _members(states)
    picks = np.random.default_rng(seed).integers(len(members), size=(draws, len(members)))
    rows = [np.concatenate([members[place] for place in pick]) for pick in picks]
    resampled = np.array([gram_entropy(gram[np.ix_(row, row)]) for row in rows])
    return unbiased(value, resampled, confidence, lowest=0.0)


@typed
def trajectory_entropy_given_state(
    gram: Float[np.ndarray, "N N"],
    states: Int[np.ndarray, " N"],
    *,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Mean over initial states of the entropy of their trajectories, in nats.

    Arguments as `trajectory_entropy`. States of a single trajectory are left out; each other state
    weighs the same. The interval is of the states, and keeps the bias within each.

    Raises:
        ValueError: as `gram_entropy`; no state has two trajectories.
    """
    members = [rows for rows in _members(states) if len(rows) > 1]
    if not members:
        raise ValueError("no initial state has two trajectories to compare")
    by_state = np.array([gram_entropy(gram[np.ix_(rows, rows)]) for rows in members])
    picks = np.random.default_rng(seed).integers(len(by_state), size=(draws, len(by_state)))
    return unbiased(float(by_state.mean()), by_state[picks].mean(1), confidence, lowest=0.0)


def _members(states: Int[np.ndarray, " N"]) -> list[Int[np.ndarray, " M"]]:
    """The rows of each state."""
    return [np.flatnonzero(states == state) for state in np.unique(states)]
