"""Groups of dimensions with a mean and a weight each.

    loss = sum over groups of  weight_g * sum(mask * values in g) / sum(mask in g)

The mean is over the group's own real entries, so that a group of one gripper is not drowned by six
of a rotation. X-VLA (arXiv 2510.10274): 500 for positions, 10 for rotations, 1 for grippers.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Bool, Float, typed
from wamjax.flow.loss import masked_mean

# (indices of the last axis, weight)
Group = tuple[tuple[int, ...], float]


@typed
def grouped_mean(
    values: Float[Array, "*data A"], mask: Bool[Array, "..."], groups: Sequence[Group]
) -> Float[Array, ""]:
    """The weighted sum of the groups' masked means.

    Args:
        values: errors per entry, such as the square of a difference.
        mask: broadcasts against `values`.
        groups: dimensions in no group do not count; one may stand in several.

    Raises:
        ValueError: a group without dimensions, or with one that is not there.
    """
    width = values.shape[-1]
    real = jnp.broadcast_to(mask, values.shape)
    total = jnp.zeros(())
    for indices, weight in groups:
        if not indices or min(indices) < 0 or max(indices) >= width:
            raise ValueError(f"a group lists dimensions from 0 to {width - 1}, got {indices}")
        own = np.asarray(indices)
        total += weight * masked_mean(values[..., own], real[..., own])
    return total
