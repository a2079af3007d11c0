"""Weights of the flow's loss by noise level.

    none    1
    bell    (g(sigma) - min g) / (mean g - min g),   g(sigma) = exp(-2 (sigma - 1/2)^2)
            min and mean over the 1000 entries of the shifted grid: the mean weight there is 1
            (LingBot-VA 2601.21998, DreamZero 2602.15922, FastWAM 2603.16666)
    edm     ((1 + e) / e)^2 = 1 / sigma^2,   e = sigma / (1 - sigma)     Cosmos-Policy 2601.16163

An error of the velocity is an error of the other predictions at the same x:

    clean - clean' = -sigma (v - v'),   noise - noise' = (1 - sigma) (v - v')

so that the velocity loss is the clean loss under 1 / sigma^2 (`edm`), and the noise loss under
1 / (1 - sigma)^2.
"""

from typing import Literal, assert_never

import jax.numpy as jnp

from wamjax.core.typing import Array, Float, typed
from wamjax.flow.grid import shifted
from wamjax.flow.path import SIGMA_FLOOR, Prediction

Weight = Literal["none", "bell", "edm"]
ENTRIES = 1000


def _bump(sigma: Array) -> Array:
    return jnp.exp(-2 * jnp.square(sigma - 0.5))


@typed
def bell_weight(sigma: Float[Array, "*shape"], shift: float) -> Float[Array, "*shape"]:
    """The bump, for levels that are drawn from the grid of this `shift`."""
    grid = _bump(shifted(jnp.arange(1, ENTRIES + 1) / ENTRIES, shift))
    least = grid.min()
    # A level between the entries may lie a little lower than all of them.
    return jnp.maximum(_bump(sigma) - least, 0) / (grid.mean() - least)


@typed
def equalizing_weight(
    prediction: Prediction, sigma: Float[Array, "*shape"], floor: float = SIGMA_FLOOR
) -> Float[Array, "*shape"]:
    """The weight under which the squared error of a prediction is that of its velocity.

    Args:
        floor: the least divisor, as in flow.path.
    """
    match prediction:
        case "velocity":
            return jnp.ones_like(sigma)
        case "clean":
            return 1 / jnp.square(jnp.maximum(sigma, floor))
        case "noise":
            return 1 / jnp.square(jnp.maximum(1 - sigma, floor))
        case _:
            assert_never(prediction)


@typed
def loss_weight(
    weight: Weight, sigma: Float[Array, "*shape"], shift: float = 1.0
) -> Float[Array, "*shape"]:
    """The weight of each noise level; `shift` is that of the law, for `bell`."""
    match weight:
        case "none":
            return jnp.ones_like(sigma)
        case "bell":
            return bell_weight(sigma, shift)
        case "edm":
            return equalizing_weight("clean", sigma)
        case _:
            assert_never(weight)
