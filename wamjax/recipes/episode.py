"""Chunk after chunk with a cache that is kept.

    open       the instruction -> cache, with a slot for each chunk that the window can still see
    observe    the slots are a chunk older, the oldest one leaves, and the newest holds what was
               seen and done since
    walk       a chunk behind all that; what its phases write are predictions, and go with it

    foresee    while a chunk is executed: forward dynamics imagine what it leads to, and that is
               written as a prediction behind what was observed
    walk       the chunk behind that one
    observe    the prediction leaves, and what was seen and done takes its place

A slot has its place in time from now on, so that the shapes are the same for every chunk, and an
episode is a scan. Slots in which nothing has been observed yet are not real.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import jax.numpy as jnp

from wamjax.core.typing import Array, Key, Params
from wamjax.model.cache import Cache, Origin, blank_cache, chosen, newest, older, without
from wamjax.model.segments import Segment
from wamjax.recipes.blueprint import Blueprint, Phase, Walk
from wamjax.recipes.network import network
from wamjax.recipes.noisy import denoised, share, shares, sources
from wamjax.recipes.parts import call
from wamjax.recipes.program import (
    Change,
    Supply,
    Written,
    as_it_stopped,
    branches,
    streams_from,
    tokens_of,
    unchanged,
    untold,
    walk,
)


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
    writes = tuple(segment for phase in _next(blueprint) for segment in phase.writes)
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
        options = {"wanted": streams_from(blueprint.program), "method": "extend"}
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

    It takes the place of what was foreseen of it.

    Args:
        supply: values of the past's segments, and which of them are real: none of the actions
            before the first one, for example.
    """
    pace = pace_of(blueprint)
    kept = [without(cache, "predicted") for cache in held]
    past = [older(blueprint.model, cache, pace.time, pace.blocks) for cache in kept]
    grown = _extended(blueprint, params, supply, past, pace.past, "observed")
    return tuple(newest(cache, pace.slots) for cache in grown)


def expected(
    blueprint: Blueprint, params: Params, supply: Supply, held: tuple[Cache, ...]
) -> tuple[Cache, ...]:
    """The caches with what will have been seen and done once the chunk under way is executed.

    Args:
        supply: values of the segments that the foreseeing phases write.

    Raises:
        ValueError: the program foresees nothing.
    """
    front, _ = halves(blueprint)
    segments = tuple(segment for phase in front.program for segment in phase.writes)
    return _extended(blueprint, params, supply, list(held), segments, "predicted")


def foreseen(
    blueprint: Blueprint,
    params: Params,
    supply: Supply,
    noise: Mapping[str, Array],
    held: tuple[Cache, ...],
    settings: Walk | None = None,
    steps: int | None = None,
    key: Key | None = None,
    wide: Change = unchanged,
    written: Written = as_it_stopped,
) -> tuple[tuple[Cache, ...], dict[str, Array]]:
    """(the caches with what the chunk under way is imagined to lead to, that imagination).

    Args:
        supply: values of the actions under way, where they are shown and where they are written.
        noise: of the whole program, see recipes.program.noise_for.
        settings, steps, key, wide, written: see recipes.program.walk.

    Raises:
        ValueError: the program foresees nothing.
    """
    front, _ = halves(blueprint)
    imagined = walk(
        front, params, supply, _noise_of(front, blueprint, noise), held=held,
        settings=settings, steps=steps, key=key, wide=wide, written=written,
    )  # fmt: skip
    (phase,) = front.program
    origin = dict(sources(phase))

    def shown(segment: Segment) -> tuple[Array, Array]:
        of = origin[segment]
        if of is None:
            return supply(segment)
        value, _ = written(segment, share(imagined[of.stream], of, phase.segments), 0.0)
        value = wide(segment, value)
        return value, jnp.ones(value.shape[:2], bool)

    return expected(blueprint, params, shown, held), imagined


def meanwhile(
    blueprint: Blueprint,
    params: Params,
    supply: Supply,
    noise: Mapping[str, Array],
    held: tuple[Cache, ...],
    settings: Walk | None = None,
    steps: int | None = None,
    key: Key | None = None,
    wide: Change = unchanged,
    written: Written = as_it_stopped,
) -> tuple[tuple[Cache, ...], dict[str, Array]]:
    """What is computed while a chunk is executed: (the caches with what it is imagined to lead to,
    the streams of the chunk behind it); arguments as in `foreseen`."""
    _, behind = halves(blueprint)
    caches, _ = foreseen(
        blueprint, params, supply, noise, held, settings, steps, key, wide, written
    )
    answers = walk(
        behind, params, supply, _noise_of(behind, blueprint, noise), held=caches,
        settings=settings, steps=steps, key=key, wide=wide, written=written,
    )  # fmt: skip
    return caches, answers


def _noise_of(half: Blueprint, whole: Blueprint, noise: Mapping[str, Array]) -> dict[str, Array]:
    order = denoised(whole)
    return {
        stream: shares(noise[stream], mine, order[stream])
        for stream, mine in denoised(half).items()
    }


def halves(blueprint: Blueprint) -> tuple[Blueprint, Blueprint]:
    """The phases that foresee, and those that sample the chunk behind, as blueprints.

    Raises:
        ValueError: there are none that foresee.
    """
    if not blueprint.foreseen:
        raise ValueError("the program foresees nothing: take a form that runs while a chunk does")
    program = blueprint.program
    front = dataclasses.replace(blueprint, program=program[: blueprint.foreseen], foreseen=0)
    return front, dataclasses.replace(blueprint, program=program[blueprint.foreseen :], foreseen=0)


def _next(blueprint: Blueprint) -> tuple[Phase, ...]:
    """The phases that write of the chunk right behind what was observed."""
    return blueprint.program[: blueprint.foreseen] or blueprint.program


def _extended(
    blueprint: Blueprint,
    params: Params,
    supply: Supply,
    held: Sequence[Cache],
    segments: tuple[Segment, ...],
    origin: Origin,
) -> tuple[Cache, ...]:
    """The caches with one group more."""
    model = network(blueprint)
    tokens = tokens_of([supply(segment) for segment in segments])
    options = {"wanted": streams_from(blueprint.program), "origin": origin, "method": "extend"}
    grown = []
    for cache in held:
        layout = dataclasses.replace(blueprint.training, segments=(*cache.segments, *segments))
        grown.append(call(model, params, layout, tokens, cache, **options))
    return tuple(grown)


def _places(
    segments: tuple[Segment, ...], time: float, blocks: int
) -> set[tuple[str, int, int, float]]:
    return {(s.stream, s.count, s.block - blocks, round(s.start - time, 6)) for s in segments}
