"""A step that would do harm is not taken: decided inside the step, by a branch.

    finite = loss and gradient norm are finite
    spike  = loss or gradient norm > mean + sigmas * deviation over the last W steps taken
    taken  = finite and not spike
    weights, averages, optimizer  <-  new where taken, else those before, bit for bit

The rule for spikes is that of OLMo's and Levanter's skip step and MaxText's skip on spikes (there
W = 128 and sigmas = 6). It is off unless `train.spike_sigmas` is set: it changes what a run learns,
and a curve should show a spike before somebody decides to pass over it. The guard against what is
not finite is always on, since no run survives it. Only steps taken enter the window, so that one
spike does not widen the bounds for the next; no spike is told before the window is full.
"""

from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, PyTree


@flax.struct.dataclass
class Window:
    """What the last W steps taken looked like.

    Attributes:
        values: float32 [2, W], a ring of losses and of gradient norms.
        count: int32 [], steps that entered it.
    """

    values: Array
    count: Array


def empty_window(length: int) -> Window:
    """A window that nothing has entered."""
    return Window(values=jnp.zeros((2, length), jnp.float32), count=jnp.int32(0))


def judge(
    loss: Array, norm: Array, window: Window | None, sigmas: float | None
) -> tuple[Array, Window | None]:
    """Whether the step is taken, and the window after it.

    Args:
        loss: float32 [].
        norm: float32 [], of the gradient before clipping.
        window: of the steps before; None looks at nothing but whether both are finite.
        sigmas: deviations above the mean that make a spike.

    Returns:
        (bool [], window).
    """
    seen = jnp.stack([loss, norm]).astype(jnp.float32)
    taken = jnp.all(jnp.isfinite(seen))
    if window is None or sigmas is None:
        return taken, None
    length = window.values.shape[1]
    limit = window.values.mean(1) + sigmas * window.values.std(1)
    taken &= (window.count < length) | jnp.all(seen <= limit)
    entered = window.values.at[:, window.count % length].set(seen)
    values = jnp.where(taken, entered, window.values)
    return taken, Window(values=values, count=window.count + taken)


def if_taken(
    taken: Array, take: Callable[..., tuple[PyTree, ...]], *before: PyTree
) -> tuple[PyTree, ...]:
    """`take(*before)` where `taken`, else `before`.

    A branch, not a select: between a product and a sum a select keeps the compiler from joining
    them, so that weights would differ in the last bit from those of a step without a guard.
    """
    return jax.lax.cond(taken, take, lambda *unchanged: unchanged, *before)
