"""Masked means over a batch that is walked through in parts.

    whole = sum_i kept_i / sum_i real_i  =  mean over parts i of  kept_i / mean_j real_j

A part knows its own count of real entries; what it must divide by is known once all are counted. So
a loss is asked twice: `counting` notes how many entries each of its masked means found real, which
needs masks alone and no network, and `divided_by` hands the counts of the whole batch to the same
means, in the same order. The mean over parts is then the loss of the whole batch, and so is the
gradient, whichever examples the padding stands in.
"""

import contextlib
import contextvars
from collections.abc import Iterator, Sequence

import jax.numpy as jnp

from wamjax.core.typing import Array

_NOTES: contextvars.ContextVar[list[Array] | None] = contextvars.ContextVar("notes", default=None)
_GIVEN: contextvars.ContextVar[Iterator[Array] | None] = contextvars.ContextVar(
    "given", default=None
)


@contextlib.contextmanager
def counting() -> Iterator[list[Array]]:
    """The counts, int [], of the masked means that are traced meanwhile, as they come."""
    notes: list[Array] = []
    token = _NOTES.set(notes)
    try:
        yield notes
    finally:
        _NOTES.reset(token)


@contextlib.contextmanager
def divided_by(counts: Sequence[Array], parts: int) -> Iterator[None]:
    """Masked means that are traced meanwhile divide by these counts of a batch of `parts` parts."""
    token = _GIVEN.set(iter([jnp.maximum(count, 1) / parts for count in counts]))
    try:
        yield
    finally:
        _GIVEN.reset(token)


def divisor(count: Array) -> Array:
    """What a masked mean over `count` real entries divides by, at least 1 over the whole batch."""
    if (notes := _NOTES.get()) is not None:
        notes.append(count)
    given = _GIVEN.get()
    return jnp.maximum(count, 1) if given is None else next(given)
