"""Laws of the noise level while training, each as its quantile.

    sigma = low + (high - low) * shifted(q(u)),   u ~ Uniform(0, 1)
    shifted(q) = s q / (1 + (s - 1) q)

    uniform         q = u
    grid            q = ceil(N u) / N: the N entries 1/N ... 1 of a schedule; shifted afterwards
    logit_normal    log(q / (1 - q)) ~ N(mean, std)                     SD3, arXiv 2403.03206
    beta            q ~ Beta(alpha, beta); Beta(beta, alpha) is its mirror image
    edm             q = e / (1 + e), e log-normal(mean, std), or uniform on [floor, ceiling] for a
                    share of the draws                                  Cosmos-Policy, 2601.16163
    cosine          the N levels of DDPM's squared-cosine schedule      Octo, 2405.12213
    fixed           q = value; neither shifted nor ranged

Two identities make published laws values: a density proportional to sqrt(sigma) (mimic-video's
actions, 2512.15692; pi0, 2410.24164) is Beta(3/2, 1); and multiplying EDM's e by c (Cosmos: the
root of the number of latent frames) is the shift s = c.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal, assert_never

import jax
import jax.numpy as jnp
from jax.scipy.special import betainc, ndtr, ndtri

from wamjax.core.typing import Array, Float, typed
from wamjax.flow.grid import shifted
from wamjax.flow.variance_preserving import cosine_levels

Law = Literal["uniform", "grid", "logit_normal", "beta", "edm", "cosine", "fixed"]

BISECTIONS = 28
# EDM's law is inverted this many standard deviations around its mean; the rest is below 1e-11.
DEVIATIONS = 7.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class LevelLaw:
    """The law of one stream's noise level.

    Attributes:
        law: which; the fields below that it does not name are not used.
        mean, std: of the logit, for `logit_normal`, which is the logarithm of EDM's sigma for
            `edm`.
        alpha, beta: of `beta`; mass near 1 (noise) for alpha > beta.
        entries: of `grid` and of `cosine`.
        uniform_share, floor, ceiling: of `edm`: how many draws are uniform, and where.
        value: the level of `fixed`.
        shift: above 1 towards noise, below 1 towards data.
        low, high: the range onto which [0, 1] is mapped at last; pi0 has 0.001 and 1.

    Raises:
        ValueError: a parameter outside its range.
    """

    law: Law = "uniform"
    mean: float = 0.0
    std: float = 1.0
    alpha: float = 1.0
    beta: float = 1.0
    entries: int = 1000
    uniform_share: float = 0.3
    floor: float = 1.0
    ceiling: float = 85.0
    value: float = 1.0
    shift: float = 1.0
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if min(self.std, self.alpha, self.beta, self.shift) <= 0:
            raise ValueError("std, alpha, beta and shift of a noise law must be positive")
        if not 0 <= self.value <= 1:
            raise ValueError(f"a fixed noise level lies in [0, 1], got {self.value}")
        if not 0 <= self.low < self.high <= 1:
            raise ValueError(
                f"the range of a noise law lies in [0, 1] and rises, got {self.low} to {self.high}"
            )
        if self.entries < 1:
            raise ValueError(f"a schedule has at least one entry, got {self.entries}")
        if not 0 <= self.uniform_share < 1 or not 0 < self.floor < self.ceiling:
            raise ValueError("edm needs a uniform share in [0, 1) of a rising, positive range")


def _inverse(
    distribution: Callable[[Array], Array], u: Array, bounds: tuple[float, float]
) -> Array:
    """Where a rising distribution function reaches u, by bisection."""

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        below = distribution(middle) < u
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    ends = jnp.full_like(u, bounds[0]), jnp.full_like(u, bounds[1])
    low, high = jax.lax.fori_loop(0, BISECTIONS, halve, ends)
    return (low + high) / 2


def _beta_quantile(alpha: float, beta: float, u: Array) -> Array:
    # The published laws have one parameter 1, where the quantile is closed.
    if beta == 1:
        return u ** (1 / alpha)
    if alpha == 1:
        return 1 - (1 - u) ** (1 / beta)
    return _inverse(lambda q: betainc(alpha, beta, q), u, (0.0, 1.0))


def _edm_quantile(law: LevelLaw, u: Array) -> Array:
    def distribution(logit: Array) -> Array:
        uniform = (jnp.exp(logit) - law.floor) / (law.ceiling - law.floor)
        return (1 - law.uniform_share) * ndtr((logit - law.mean) / law.std) + (
            law.uniform_share * jnp.clip(uniform, 0, 1)
        )

    reach = DEVIATIONS * law.std
    low = min(law.mean - reach, math.log(law.floor))
    high = max(law.mean + reach, math.log(law.ceiling))
    return jax.nn.sigmoid(_inverse(distribution, u, (low, high)))


def _entry(u: Array, entries: int) -> Array:
    """Which of the entries 1 ... N, each with the same share of u."""
    return jnp.clip(jnp.ceil(u * entries), 1, entries)


@typed
def quantile(law: LevelLaw, u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The noise level below which a share `u` in (0, 1) of the law's mass lies."""
    match law.law:
        case "uniform":
            q = u
        case "grid":
            q = _entry(u, law.entries) / law.entries
        case "logit_normal":
            q = jax.nn.sigmoid(law.mean + law.std * ndtri(u))
        case "beta":
            q = _beta_quantile(law.alpha, law.beta, u)
        case "edm":
            q = _edm_quantile(law, u)
        case "cosine":
            q = cosine_levels(law.entries)[_entry(u, law.entries).astype(jnp.int32) - 1]
        case "fixed":
            return jnp.full_like(u, law.value)
        case _:
            assert_never(law.law)
    # Rounding in the shift may lead past its ends.
    return jnp.clip(law.low + (law.high - law.low) * shifted(q, law.shift), law.low, law.high)
