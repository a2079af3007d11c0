"""Noise levels for training: each stream's law, and how the streams are coupled.

    sigma = s * q(u) / (1 + (s - 1) * q(u)),   u ~ Uniform(0, 1),   q the quantile of the law

`shared` gives both streams one u (one sigma, if their laws are equal), `independent` one u each.
Shared with equal laws: DreamZero (2602.15922). Independent: UWM (2504.02792). Video at a high
noise while the action is free: DreamZero-Flash, Beta(7, 1). Logit-normal: SD3 (2403.03206).
"""

import dataclasses
from typing import Literal, assert_never

import jax
import jax.numpy as jnp
from jax.scipy.special import betainc, ndtri

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Float, Key, typed
from wamjax.flow.grid import shifted

Law = Literal["uniform", "logit_normal", "beta", "fixed"]
Coupling = Literal["shared", "independent"]

BISECTIONS = 24


@dataclasses.dataclass(frozen=True, kw_only=True)
class LevelLaw:
    """The law of one stream's noise level.

    Attributes:
        law: which; the fields below that it does not name are not used.
        mean, std: of the logit, for `logit_normal`.
        alpha, beta: of `beta`; mass near 1 (noise) for alpha > beta.
        value: the level of `fixed`; it is not shifted.
        shift: above 1 towards noise, below 1 towards data.

    Raises:
        ValueError: a parameter outside its range.
    """

    law: Law = "uniform"
    mean: float = 0.0
    std: float = 1.0
    alpha: float = 1.0
    beta: float = 1.0
    value: float = 1.0
    shift: float = 1.0

    def __post_init__(self) -> None:
        if min(self.std, self.alpha, self.beta, self.shift) <= 0:
            raise ValueError("std, alpha, beta and shift of a noise law must be positive")
        if not 0 <= self.value <= 1:
            raise ValueError(f"a fixed noise level lies in [0, 1], got {self.value}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LevelsConfig:
    """The laws of both streams and whether they share their draw."""

    coupling: Coupling = "independent"
    video: LevelLaw = LevelLaw()
    action: LevelLaw = LevelLaw()


def _beta_quantile(alpha: float, beta: float, u: Array) -> Array:
    # The published laws have one parameter 1, where the quantile is closed.
    if beta == 1:
        return u ** (1 / alpha)
    if alpha == 1:
        return 1 - (1 - u) ** (1 / beta)

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) / 2
        below = betainc(alpha, beta, middle) < u
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, BISECTIONS, halve, (jnp.zeros_like(u), jnp.ones_like(u)))
    return (low + high) / 2


@typed
def quantile(law: LevelLaw, u: Float[Array, " B"]) -> Float[Array, " B"]:
    """The noise level below which a share `u` in (0, 1) of the law's mass lies."""
    match law.law:
        case "uniform":
            return shifted(u, law.shift)
        case "logit_normal":
            return shifted(jax.nn.sigmoid(law.mean + law.std * ndtri(u)), law.shift)
        case "beta":
            return shifted(_beta_quantile(law.alpha, law.beta, u), law.shift)
        case "fixed":
            return jnp.full_like(u, law.value)
        case _:
            assert_never(law.law)


@typed
def draw_levels(config: LevelsConfig, key: Key, batch: int) -> dict[str, Float[Array, " B"]]:
    """Noise levels in [0, 1] for `batch` samples of the streams "video" and "action"."""
    keys = named_keys(key, "video", "action", "shared")
    match config.coupling:
        case "shared":
            keys = {"video": keys["shared"], "action": keys["shared"]}
        case "independent":
            pass
        case _:
            assert_never(config.coupling)

    def draw(law: LevelLaw, key: Key) -> Array:
        tiny = jnp.finfo(jnp.float32).eps
        return quantile(law, jax.random.uniform(key, (batch,), minval=tiny, maxval=1 - tiny))

    return {
        "video": draw(config.video, keys["video"]),
        "action": draw(config.action, keys["action"]),
    }
