"""An action scored part by part, each with its own loss and weight.

    square   the mean of (predicted - target)^2
    binary   the mean cross-entropy of a logit; normalised values -1 and 1 are the two outcomes

    loss = sum over parts of  weight * mean over the part's real entries

X-VLA (arXiv 2510.10274): positions, rotations and grippers of a clean action.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Bool, Float, typed
from wamjax.flow.losses.binary import binary_loss
from wamjax.flow.losses.dimensions import grouped_mean


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """Dimensions of an action that are scored together.

    Attributes:
        dimensions: which, from 0.
        weight: of their mean.
        loss: see the top of the file.

    Raises:
        ValueError: no dimensions.
    """

    dimensions: tuple[int, ...]
    weight: float
    loss: Literal["square", "binary"] = "square"

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise ValueError("a part of an action lists at least one dimension")


@typed
def parts_loss(
    parts: Sequence[Part],
    predicted: Float[Array, "*data A"],
    target: Float[Array, "*data A"],
    mask: Bool[Array, "..."],
) -> Float[Array, ""]:
    """The weighted sum of the parts' means over their real entries.

    Args:
        parts: dimensions in none of them do not count.
        predicted: clean values, and logits under a binary part.
        target: clean values; under a binary part -1 ... 1 stand for chances 0 ... 1, and what lies
            beyond is certain.
        mask: broadcasts against `target`.
    """
    real = jnp.broadcast_to(mask, target.shape)
    # The inner wheres keep NaN under the mask out of the gradient, too.
    predicted, target = jnp.where(real, predicted, 0), jnp.where(real, target, 0)
    groups = [(p.dimensions, p.weight) for p in parts if p.loss == "square"]
    total = grouped_mean(jnp.square(predicted - target), real, groups)
    for part in (p for p in parts if p.loss == "binary"):
        own = np.asarray(part.dimensions)
        chance = jnp.clip((target[..., own] + 1) / 2, 0, 1)
        total += part.weight * binary_loss(predicted[..., own], chance, real[..., own])
    return total


@typed
def decided(parts: Sequence[Part], answer: Float[Array, "*data A"]) -> Float[Array, "*data A"]:
    """Normalised values of an answer: logits of binary parts to -1 ... 1, tanh(logit / 2)."""
    for part in (p for p in parts if p.loss == "binary"):
        own = np.asarray(part.dimensions)
        # Twice the sigmoid less one.
        answer = answer.at[..., own].set(jnp.tanh(answer[..., own] / 2))
    return answer
