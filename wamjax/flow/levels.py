"""Noise levels for training: each stream's law, and what the draws share.

    sigma = quantile(law, u),   u ~ Uniform(0, 1)                       see flow.laws

between streams     `shared` gives all streams one u (one sigma, if their laws are equal),
                    `independent` one u each
within a stream     one u for the sample, or one for each of its segments (blocks or frames)
over the batch      independent, or `stratified`: u = (permuted 0 ... B-1 + one offset) / B

Shared per block: DreamZero (2602.15922). Shared per sample: Cosmos-Policy (2601.16163).
Independent: UWM (2504.02792); per latent frame, LingBot-VA (2601.21998). Video at a high noise
while the action is free: DreamZero-Flash, Beta(7, 1). Stratified: X-VLA (2510.10274).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, assert_never

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Float, Key, typed
from wamjax.flow.laws import Law as Law
from wamjax.flow.laws import LevelLaw as LevelLaw
from wamjax.flow.laws import quantile as quantile

Coupling = Literal["shared", "independent"]
STREAMS = ("video", "action")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LevelsConfig:
    """The laws of all streams and what their draws share.

    Attributes:
        coupling: between streams.
        stratified: spread the draws of a batch evenly.
        video, action: laws of the two streams that most systems have.
        others: (stream, law) of any other stream, such as "value" or "feature".

    Raises:
        ValueError: a stream with two laws.
    """

    coupling: Coupling = "independent"
    stratified: bool = False
    video: LevelLaw = LevelLaw()
    action: LevelLaw = LevelLaw()
    others: tuple[tuple[str, LevelLaw], ...] = ()

    def __post_init__(self) -> None:
        names = [*STREAMS, *(name for name, _ in self.others)]
        if len(set(names)) != len(names):
            raise ValueError(f"each stream has one noise law, got laws for {names}")

    @property
    def laws(self) -> dict[str, LevelLaw]:
        """The law of every stream."""
        return {"video": self.video, "action": self.action, **dict(self.others)}


def _uniform(key: Key, shape: tuple[int, ...], stratified: bool) -> Array:
    tiny = jnp.finfo(jnp.float32).eps
    if not stratified:
        return jax.random.uniform(key, shape, minval=tiny, maxval=1 - tiny)
    keys = named_keys(key, "order", "offset")
    strata = jnp.arange(shape[0], dtype=jnp.float32).reshape(-1, *[1] * (len(shape) - 1))
    order = jax.random.permutation(keys["order"], jnp.broadcast_to(strata, shape), independent=True)
    offset = jax.random.uniform(keys["offset"], shape[1:])
    return jnp.clip((order + offset) / shape[0], tiny, 1 - tiny)


@typed
def draw_levels(
    config: LevelsConfig,
    key: Key,
    batch: int,
    *,
    streams: Sequence[str] = STREAMS,
    segments: Mapping[str, int] | None = None,
) -> dict[str, Float[Array, "B ..."]]:
    """Noise levels in [0, 1] for `batch` samples.

    Args:
        streams: for which to draw. A stream's draw does not depend on which others are asked for.
        segments: of the streams that have one level for each of S segments; the rest have one.

    Returns:
        [B], or [B, S] for a stream in `segments`.

    Raises:
        ValueError: a stream without a law, or shared draws of different shapes.
    """
    laws, counts = config.laws, dict(segments or {})
    if unknown := {*streams, *counts} - set(laws):
        raise ValueError(f"no noise law for {sorted(unknown)}; there are laws for {sorted(laws)}")
    shapes = {name: (batch, counts[name]) if name in counts else (batch,) for name in streams}
    match config.coupling:
        case "shared":
            if len(set(shapes.values())) > 1:
                raise ValueError(f"streams that share their levels have one shape, got {shapes}")
            shared = named_keys(key, "shared")["shared"]
            keys = dict.fromkeys(streams, shared)
        case "independent":
            keys = named_keys(key, *streams)
        case _:
            assert_never(config.coupling)
    return {
        name: quantile(laws[name], _uniform(keys[name], shapes[name], config.stratified))
        for name in streams
    }


@typed
def draw_history_levels(
    key: Key, batch: int, segments: int, *, share: float, least: float = 0.0, most: float
) -> Float[Array, "B S"]:
    """Levels of what is given while training: the cleaner part of the schedule, or 0.

    So that a network can go on from what it has predicted itself (LingBot-VA, 2601.21998).

    Args:
        share: of the samples whose S segments have levels, uniform in `least` ... `most`; the
            others are clean.
    """
    keys = named_keys(key, "which", "level")
    noised = jax.random.bernoulli(keys["which"], share, (batch, 1))
    level = jax.random.uniform(keys["level"], (batch, segments), minval=least, maxval=most)
    return jnp.where(noised, level, 0.0)
