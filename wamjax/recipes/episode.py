"""Chunk after chunk with a cache that is kept.

    open       the instruction -> cache, with a slot for each chunk that the window can still see
    observe    the slots are a chunk older, the oldest one leaves, and the newest holds what was
               seen and done since
    walk       a chunk behind all that; what its phases write are predictions, and go with it

A slot has its place in time from now on, so that the shapes are the same for every chunk, and an
episode is a scan. Slots in which nothing has been observed yet are not real.
"""

import dataclasses
import math

import jax.numpy as jnp

from wamjax.core.typing import Params
from wamjax.model.cache import Cache, blank_cache, chosen, newest, older
from wamjax.model.segments import Segment
from wamjax.recipes.blueprint import Blueprint, Walk
from wamjax.recipes.network import network
from wamjax.recipes.parts import call
from wamjax.recipes.program import Supply, branches, moved, tokens_of, untold


@dataclasses.dataclass(frozen=True)
class Pace:
    """How chunks follow one another.

    Attributes:
        context: what is given once for the whole episode.
        past: what is written of an executed chunk, where it then stands.
        time, blocks: how much later the next chunk is.
        slots: past chunks that the next one may see.
    """

    context: tuple[Segment, ...]
    past: tuple[Segment, ...]
    time: float
    blocks: int
    slots: int


def pace_of(blueprint: Blueprint) -> Pace:
    """The pace of a blueprint whose phases write their results.

    Raises:
        ValueError: what is given is not one executed chunk behind a context, or there is no window.
    """
    writes = tuple(segment for phase in blueprint.program for segment in phase.writes)
    streams = {segment.stream for segment in writes}
    past = tuple(s for s in blueprint.given if s.stream in streams)
    window = blueprint.training.window
    if not writes or len(past) != len(writes) or window is None:
        raise ValueError(
            "a cache is kept where phases write their results, as much as is given of the past, "
            "and a window says what is seen of it; walk each chunk by itself"
        )
    time = min(s.start for s in writes) - min(s.start for s in past)
    blocks = min(s.block for s in writes) - min(s.block for s in past)
    if _places(writes, time, blocks) != _places(past, 0.0, 0):
        raise ValueError("the segments that are given must be those that are written, a chunk ago")
    context = tuple(s for s in blueprint.given if s.stream not in streams)
    return Pace(context, past, time, blocks, math.ceil(window / blocks))


def opened(
    blueprint: Blueprint, params: Params, supply: Supply, settings: Walk | None = None
) -> tuple[Cache, ...]:
    """The caches at the start of an episode, one for each branch of guidance.

    Args:
        supply: values of the context; of the past, any values of the right shapes.
    """
    pace, model = pace_of(blueprint), network(blueprint)
    caches = []
    for told in branches(blueprint, settings):
        parts = [supply(segment) for segment in pace.context]
        if not told:
            parts = [
                untold(*part) if segment.stream == "text" else part
                for segment, part in zip(pace.context, parts, strict=True)
            ]
        cache = blank_cache(parts[0][0].shape[0])
        layout = dataclasses.replace(blueprint.training, segments=pace.context)
        options = {"wanted": _every(blueprint), "method": "extend"}
        cache = call(model, params, layout, tokens_of(parts), cache, origin="context", **options)
        nothing = [(value, jnp.zeros_like(real)) for value, real in map(supply, pace.past)]
        layout = dataclasses.replace(blueprint.training, segments=(*pace.context, *pace.past))
        whole = call(model, params, layout, tokens_of(nothing), cache, origin="observed", **options)
        groups = [whole.groups[1]]
        for _ in range(pace.slots - 1):
            groups.insert(0, groups[0].later(-pace.time, -pace.blocks))
        slots = chosen(whole, (0, *(1 for _ in groups)))
        caches.append(dataclasses.replace(slots, groups=(whole.groups[0], *groups)))
    return tuple(caches)


def observed(
    blueprint: Blueprint, params: Params, supply: Supply, held: tuple[Cache, ...]
) -> tuple[Cache, ...]:
    """The caches with what was seen and done since the last chunk was sampled.

    Args:
        supply: values of the past's segments, and which of them are real: none of the actions
            before the first one, for example.
    """
    pace, model = pace_of(blueprint), network(blueprint)
    tokens = tokens_of([supply(segment) for segment in pace.past])
    grown = []
    for cache in held:
        past = older(blueprint.model, cache, pace.time, pace.blocks)
        layout = dataclasses.replace(blueprint.training, segments=(*past.segments, *pace.past))
        whole = call(
            model, params, layout, tokens, past,
            wanted=_every(blueprint), origin="observed", method="extend",
        )  # fmt: skip
        grown.append(newest(whole, pace.slots))
    return tuple(grown)


def _places(
    segments: tuple[Segment, ...], time: float, blocks: int
) -> set[tuple[str, int, int, float]]:
    return {(s.stream, s.count, s.block - blocks, round(s.start - time, 6)) for s in segments}


def _every(blueprint: Blueprint) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s for phase in blueprint.program for s in moved(phase)))
