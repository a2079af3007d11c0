"""EDM's noise level and preconditioning, on our path (arXiv 2206.00364; Cosmos-Policy, 2601.16163).

    y = clean + e noise                                     EDM's path; e in (0, inf)
    x = (1 - sigma) y,   sigma = e / (1 + e)                ours
    D(y) = c_skip y + c_out F(c_in y)                       the predicted clean sample
    c_skip = c_in = 1 - sigma,   c_out = -sigma             so that F is our velocity

Multiplying e by c is the shift of sigma by c.
"""

from wamjax.core.typing import Array


def sigma_from_edm(e: Array) -> Array:
    """Our noise level."""
    return e / (1 + e)


def edm_from_sigma(sigma: Array) -> Array:
    """EDM's noise level."""
    return sigma / (1 - sigma)


def precondition(y: Array, output: Array, e: Array) -> Array:
    """D(y) of a network's `output` F; `e` broadcasts against y."""
    sigma = sigma_from_edm(e)
    return (1 - sigma) * y - sigma * output
