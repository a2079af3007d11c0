"""Where the values of a program's noisy segments stand, and where they go."""

import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array
from wamjax.model.segments import Segment, Stream
from wamjax.recipes.blueprint import Blueprint, Phase


def noisy_of(segments: tuple[Segment, ...]) -> dict[Stream, tuple[Segment, ...]]:
    """The noisy segments of each stream."""
    noisy = [segment for segment in segments if segment.copy == "noisy"]
    streams: dict[Stream, None] = dict.fromkeys(segment.stream for segment in noisy)
    return {stream: tuple(s for s in noisy if s.stream == stream) for stream in streams}


def denoised(blueprint: Blueprint, imagine: bool = False) -> dict[Stream, tuple[Segment, ...]]:
    """The noisy segments of each stream in the whole program, each once."""
    parts = [blueprint.known(imagine), *(phase.segments for phase in blueprint.phases(imagine))]
    return noisy_of(tuple(dict.fromkeys(segment for part in parts for segment in part)))


def sources(phase: Phase) -> list[tuple[Segment, Segment | None]]:
    """Each segment that a phase writes, and the noisy one whose result it holds; None where it
    holds what is known."""
    results = {stream: iter(noisy) for stream, noisy in noisy_of(phase.segments).items()}
    return [(to, next(results[to.stream]) if to.stream in results else None) for to in phase.writes]


def shares(whole: Array, mine: tuple[Segment, ...], order: tuple[Segment, ...]) -> Array:
    """The part of a stream's values that stands at some of its segments."""
    if mine == order:
        return whole
    starts = np.cumsum([0, *(segment.count for segment in order)])
    places = [order.index(segment) for segment in mine]
    parts = [whole[:, starts[place] : starts[place + 1]] for place in places]
    return jnp.concatenate(parts, axis=1)


def share(whole: Array, segment: Segment, segments: tuple[Segment, ...]) -> Array:
    """A noisy segment's part of its stream's values."""
    return shares(whole, (segment,), noisy_of(segments)[segment.stream])
