"""How well one domain (a simulator) foretells another (reality) across P policies.

s_i and r_i are the success rates of policy i in simulation and in reality.

    Pearson     corr(s, r);    Spearman   corr(rank s, rank r)
    MMRV        mean_i max_j |r_i - r_j| [(s_i < s_j) is not (r_i < r_j)]   (arXiv 2405.05941)
    calibration r = slope s + intercept, least squares; 1 and 0 where rates carry over

MMRV (mean maximum rank violation) is the real gap to the policy that simulation ranks most wrongly,
0 where the ranks agree, at most 1. Strict inequalities stand on both sides: of two policies that
only simulation calls equal, the worse one is charged with the gap and the better one is not. The
measure is not symmetric in the domains, therefore they have names.

Intervals resample the worlds in which all policies were tried (how sure the rates are) or the
policies as well (what other policies like these would give). Few policies give wide intervals, and
resamples in which all rates are equal have no correlation and are left out.
"""

import dataclasses

import numpy as np
import scipy

from wamjax.core.typing import Bool, Float, Int, typed
from wamjax.eval.statistics.bootstrap import middle
from wamjax.eval.statistics.intervals import Estimate


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Of two domains, each with its interval; nan where all rates of a domain are equal.

    Attributes:
        pearson, spearman: -1 ... 1.
        mmrv: 0 ... 1, 0 is best.
        slope, intercept: of the real rate over the simulated one.
        gap: mean over policies of real minus simulated rate, -1 ... 1.
    """

    pearson: Estimate
    spearman: Estimate
    mmrv: Estimate
    slope: Estimate
    intercept: Estimate
    gap: Estimate


@typed
def pearson(
    simulated: Float[np.ndarray, "*D P"], real: Float[np.ndarray, "*D P"]
) -> Float[np.ndarray, "*D"]:
    """Pearson's correlation over the last axis, -1 ... 1; nan where one side is constant."""
    s, r = _centred(simulated), _centred(real)
    return _ratio((s * r).sum(-1), np.sqrt((s * s).sum(-1) * (r * r).sum(-1)))


@typed
def spearman(
    simulated: Float[np.ndarray, "*D P"], real: Float[np.ndarray, "*D P"]
) -> Float[np.ndarray, "*D"]:
    """Spearman's correlation over the last axis, -1 ... 1; ties share their mean rank."""
    rank = scipy.stats.rankdata
    return pearson(rank(simulated, axis=-1), rank(real, axis=-1))


@typed
def mmrv(
    *, simulated: Float[np.ndarray, "*D P"], real: Float[np.ndarray, "*D P"]
) -> Float[np.ndarray, "*D"]:
    """Mean maximum rank violation over the last axis, in the unit of the rates."""
    gap = np.abs(real[..., :, None] - real[..., None, :])
    by_simulation = simulated[..., :, None] < simulated[..., None, :]
    by_reality = real[..., :, None] < real[..., None, :]
    return np.asarray(np.where(by_simulation != by_reality, gap, 0.0).max(-1).mean(-1))


@typed
def calibration(
    *, simulated: Float[np.ndarray, "*D P"], real: Float[np.ndarray, "*D P"]
) -> tuple[Float[np.ndarray, "*D"], Float[np.ndarray, "*D"]]:
    """Slope and intercept of the real rate over the simulated one; nan where that is constant."""
    s, r = _centred(simulated), _centred(real)
    slope = _ratio((s * r).sum(-1), (s * s).sum(-1))
    return slope, np.asarray(real.mean(-1) - slope * simulated.mean(-1))


@typed
def agreement(
    *,
    simulated: Bool[np.ndarray, "P E"],
    real: Bool[np.ndarray, "P F"],
    shared_worlds: bool,
    resample_policies: bool,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Agreement:
    """All measures of two domains with percentile intervals.

    Args:
        simulated: success of P policies in the E worlds that all of them were tried in.
        real: the same in F worlds of the other domain.
        shared_worlds: whether world e is the same in both domains (E = F); it is then drawn for
            both at once.
        resample_policies: whether policies are drawn, too, or only worlds.
        draws: resamples.
        confidence: 0 ... 1.
        seed: of the resampling.

    Raises:
        ValueError: fewer than two policies, no worlds, shared worlds of different number,
            confidence outside (0, 1).
    """
    (P, E), F = simulated.shape, real.shape[1]
    if P < 2 or not E or not F:
        raise ValueError(f"{P} policies in {E} and {F} worlds have nothing to agree on")
    if shared_worlds and E != F:
        raise ValueError(f"{E} and {F} worlds are not the same worlds")
    rng = np.random.default_rng(seed)
    often = _drawn_often(rng, draws, E)
    s = often @ simulated.T / E
    r = (often if shared_worlds else _drawn_often(rng, draws, F)) @ real.T / F
    if resample_policies:
        picks = rng.integers(P, size=(draws, P))
        s, r = np.take_along_axis(s, picks, 1), np.take_along_axis(r, picks, 1)
    found, resampled = _measures(simulated.mean(1), real.mean(1)), _measures(s, r)
    return Agreement(
        **{
            name: Estimate(float(value), *middle(resampled[name], confidence))
            for name, value in found.items()
        }
    )


def _measures(
    s: Float[np.ndarray, "*D P"], r: Float[np.ndarray, "*D P"]
) -> dict[str, Float[np.ndarray, "*D"]]:
    slope, intercept = calibration(simulated=s, real=r)
    return {
        "pearson": pearson(s, r),
        "spearman": spearman(s, r),
        "mmrv": mmrv(simulated=s, real=r),
        "slope": slope,
        "intercept": intercept,
        "gap": np.asarray((r - s).mean(-1)),
    }


def _drawn_often(rng: np.random.Generator, draws: int, worlds: int) -> Int[np.ndarray, "D E"]:
    """How often each world stands in each resample."""
    return rng.multinomial(worlds, np.full(worlds, 1 / worlds), draws)


def _centred(values: Float[np.ndarray, "*D P"]) -> Float[np.ndarray, "*D P"]:
    """Exactly 0 where all are equal, whatever their mean is rounded to."""
    constant = (values == values[..., :1]).all(-1, keepdims=True)
    return np.where(constant, 0.0, values - values.mean(-1, keepdims=True))


def _ratio(
    top: Float[np.ndarray, "*D"], bottom: Float[np.ndarray, "*D"]
) -> Float[np.ndarray, "*D"]:
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)
