"""Rewarded plans, as collecting leaves them and updating reads them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import flax.struct

from wamjax.core.typing import AnyArray, Array, Key, Params, PyTree


@flax.struct.dataclass
class Experience:
    """N plans of W states and S log-probabilities, a chunk of K actions each.

    Attributes:
        seen: what the policy saw, a pytree of [N, ...].
        keys: uint32 [N, 2], the data of each draw's key.
        drawn: float32 [N, W, K, A].
        log_probs: float32 [N, S, K], under the weights that drew.
        advantage: float32 [N], of the plan's rollout.
        mask: bool [N, S, K], the entries that count; a plan that does not count has none.
    """

    seen: PyTree
    keys: AnyArray
    drawn: AnyArray
    log_probs: AnyArray
    advantage: AnyArray
    mask: AnyArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collected:
    """The experience of an iteration, always of the same shapes, and its numbers for the curve."""

    experience: Experience
    numbers: Mapping[str, float]


class Collect(Protocol):
    """Rollouts of an iteration: a function of the weights and of its number."""

    def __call__(self, weights: Params, iteration: int) -> Collected: ...


class LogProbs(Protocol):
    """(weights, seen [B, ...], key of the draw, drawn [B, W, K, A]) -> log p [B, S, K]."""

    def __call__(self, weights: Params, seen: Any, key: Key, drawn: Array, /) -> Array: ...
