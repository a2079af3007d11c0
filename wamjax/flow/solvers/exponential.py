"""The variable in which multistep solvers of diffusion are polynomial: half the log of the signal.

    lambda = log((1 - sigma) / sigma),   h = lambda' - lambda
    x' = (sigma' / sigma) x + (1 - sigma') integral of e^(l - lambda') clean(l) dl
                                           from lambda to lambda'

The first term is the flow of the noise, exactly; a solver replaces `clean` by a polynomial in l.
With a constant it is Euler's step. (DPM-Solver++, arXiv 2211.01095 eq. 8, with alpha = 1 - sigma.)
lambda is -inf at noise and +inf at data: h may be infinite, what is made of it stays finite.
"""

import jax.numpy as jnp

from wamjax.core.typing import Array


def half_log_signal(sigma: Array) -> Array:
    """lambda(sigma); falls from +inf at 0 to -inf at 1."""
    return jnp.log1p(-sigma) - jnp.log(sigma)


def constant_step(x: Array, clean: Array, now: Array, after: Array, h: Array) -> Array:
    """x' for a constant clean sample."""
    return after / now * x - (1 - after) * jnp.expm1(-h) * clean
