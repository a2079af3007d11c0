"""Our path and the variance-preserving one of DDPM are one curve, up to a scale.

    z = sqrt(A) clean + sqrt(1 - A) noise               A the signal, from 1 (data) to 0 (noise)
    x = (1 - sigma) clean + sigma noise = spread z      spread = sqrt((1 - sigma)^2 + sigma^2)
    A = (1 - sigma)^2 / spread^2
    sigma = sqrt(1 - A) / (sqrt(A) + sqrt(1 - A))
    velocity = (noise - x) / (1 - sigma)

So a network that predicts the noise of (z, A) is called with z = x / spread(sigma) and the sigma of
A, and every solver, loss and law of this package applies to it. spread is also the standard
deviation of x where the data have unit variance.

Squared-cosine schedule of `steps` signals (arXiv 2102.09672 eq. 17), as Octo (arXiv 2405.12213):

    f(t) = cos^2((t + 0.008) / 1.008 * pi / 2),   a_k = f((k + 1) / N) / f(k / N) >= 0.001
    A_k = a_0 a_1 ... a_k
"""

import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Float, typed

OFFSET = 0.008
LEAST_RATIO = 0.001


def spread(sigma: Array) -> Array:
    """x = spread(sigma) z."""
    return jnp.sqrt(jnp.square(1 - sigma) + jnp.square(sigma))


def signal(sigma: Array) -> Array:
    """A, the variance share of the data in z."""
    return jnp.square((1 - sigma) / spread(sigma))


def sigma_from_signal(signal: Array) -> Array:
    """The inverse of `signal`."""
    noise = jnp.sqrt(1 - signal)
    return noise / (jnp.sqrt(signal) + noise)


def cosine_signals(steps: int) -> np.ndarray:
    """A_0 to A_(N - 1), falling; float64.

    Raises:
        ValueError: no step.
    """
    if steps < 1:
        raise ValueError(f"a squared-cosine schedule needs at least one step, got {steps}")
    t = np.arange(steps + 1) / steps
    curve = np.cos((t + OFFSET) / (1 + OFFSET) * np.pi / 2) ** 2
    return np.cumprod(np.maximum(curve[1:] / curve[:-1], LEAST_RATIO))


@typed
def cosine_levels(steps: int) -> Float[Array, " S"]:
    """The noise levels of A_0 to A_(N - 1), rising, all inside (0, 1)."""
    signals = cosine_signals(steps)
    noise = np.sqrt(1 - signals)
    return jnp.asarray(noise / (np.sqrt(signals) + noise), jnp.float32)


@typed
def cosine_grid(steps: int) -> Float[Array, " S"]:
    """The sampling grid of the schedule: its `steps` levels from noise to data, and then 0."""
    return jnp.append(cosine_levels(steps)[::-1], 0.0)
