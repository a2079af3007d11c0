"""Sigma grids for sampling: S + 1 levels from noise to data, as an array.

    sigma = s * u / (1 + (s - 1) * u),   u equally spaced

The shift s spends the steps near noise (s > 1) or near data (s < 1): SD3, arXiv 2403.03206 eq. 23.

    sigma = e / (1 + e),   e^(1/7) equally spaced from `highest` to `lowest`, and then 0

is the grid of EDM (arXiv 2206.00364 eq. 5) with a final clean prediction from `lowest`, as in
Cosmos-Policy (arXiv 2601.16163). The grid of DDPM's schedule is in flow.variance_preserving.
"""

import jax.numpy as jnp

from wamjax.core.typing import Array, Float, typed
from wamjax.flow.edm import sigma_from_edm

EDM_POWER = 7


def shifted(u: Array, shift: float) -> Array:
    """The shift map of [0, 1] onto itself; shift 1 is the identity."""
    return shift * u / (1 + (shift - 1) * u)


def _unshifted(sigma: float, shift: float) -> float:
    return sigma / (shift - (shift - 1) * sigma)


@typed
def sigma_grid(
    steps: int, shift: float = 1.0, *, start: float = 1.0, end: float = 0.0
) -> Float[Array, " S"]:
    """`steps` + 1 levels from exactly `start` to exactly `end`, equally spaced before the shift.

    Raises:
        ValueError: no step, a shift that is not positive, or a level outside [0, 1].
    """
    if steps < 1 or shift <= 0 or not (0 <= start <= 1 and 0 <= end <= 1):
        raise ValueError(
            f"a sigma grid needs steps >= 1, shift > 0 and levels in [0, 1], "
            f"got steps {steps}, shift {shift}, start {start}, end {end}"
        )
    u = jnp.linspace(_unshifted(start, shift), _unshifted(end, shift), steps + 1)
    return shifted(u, shift).at[0].set(start).at[-1].set(end)


@typed
def edm_grid(steps: int, *, highest: float = 80.0, lowest: float = 4.0) -> Float[Array, " S"]:
    """`steps` levels between two of EDM's (`highest` alone for one step), and then 0.

    Raises:
        ValueError: no step, or levels that do not fall to something positive.
    """
    if steps < 1 or not 0 < lowest <= highest:
        raise ValueError(
            f"an EDM grid needs steps >= 1 and 0 < lowest <= highest, "
            f"got steps {steps}, highest {highest}, lowest {lowest}"
        )
    roots = jnp.linspace(highest ** (1 / EDM_POWER), lowest ** (1 / EDM_POWER), steps)
    return jnp.append(sigma_from_edm(roots**EDM_POWER), 0.0)
