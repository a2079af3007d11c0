"""A blueprint's sampler program, walked: one pure function from what is given to what is answered.

    given segments -> cache, once
    each phase:  noise -> solver over the phase's levels, model(phase's segments | cache) a step
                 results written behind the cache for the phases that follow
    a phase without levels is one pass, and what is read out at its queries is the answer; with
    several steps it speaks: the word that is read behind each place goes in at the next one

A stream whose level does not change is held: it is seen, not moved, and no output is made for it.
One that stops above level 0 is no answer; what is written of it tells the model where it stopped.
What phases write are predictions, which go with the chunk; what is seen and done instead is written
between chunks, see recipes.episode, and what the last phase would write is left out.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import assert_never

import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Key, Params
from wamjax.flow.grid import edm_grid, sigma_grid
from wamjax.flow.guidance import guided
from wamjax.flow.path import Prediction, velocity_from_prediction
from wamjax.flow.prefix import continued, hold
from wamjax.flow.sampler import Velocity
from wamjax.flow.solvers import integrate
from wamjax.flow.variance_preserving import cosine_grid, spread
from wamjax.model.cache import Cache
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment, Stream
from wamjax.model.tokens import Tokens
from wamjax.model.wam import Wam
from wamjax.recipes.blueprint import Blueprint, Phase, Walk
from wamjax.recipes.network import network
from wamjax.recipes.noisy import denoised, noisy_of, share, shares, sources
from wamjax.recipes.parts import call

# Actions [B, K, A] that are executed meanwhile, and how many of them, int [B]
UnderWay = tuple[Array, Array]
# (segment) -> its values [B, N, width] and which of its tokens are real, bool [B, N]
Supply = Callable[[Segment], tuple[Array, Array]]
# (segment, denoised values) -> values as the model or a later phase reads them
Change = Callable[[Segment, Array], Array]


# (segment, values, the noise level they stopped at) -> values as the segment holds them, and theirs
Written = Callable[[Segment, Array, float], tuple[Array, float]]


def unchanged(segment: Segment, values: Array) -> Array:
    """Values are read as they were denoised."""
    del segment
    return values


def as_it_stopped(segment: Segment, values: Array, level: float) -> tuple[Array, float]:
    """Values are written as they were denoised."""
    del segment
    return values, level


def moved(phase: Phase) -> tuple[Stream, ...]:
    """The streams that a phase answers: those that walk, or its queries."""
    if phase.levels:
        return tuple(stream for stream, start, end in phase.levels if start != end)
    return tuple(dict.fromkeys(s.stream for s in phase.segments if s.copy == "query"))


def finished(phase: Phase) -> tuple[Stream, ...]:
    """The streams of `moved` whose end is an answer: clean, or read out."""
    stopped = {stream for stream, _, end in phase.levels if end > 0}
    return tuple(stream for stream in moved(phase) if stream not in stopped)


def told_by(segment: Segment) -> str:
    """The name that a written segment's noise level goes by, see `Wam.denoise`."""
    return segment.stream if segment.copy == "noisy" else segment.kind


def streams_from(phases: tuple[Phase, ...]) -> tuple[Stream, ...]:
    """The streams that any of some phases moves."""
    return tuple(dict.fromkeys(stream for phase in phases for stream in moved(phase)))


def walk(
    blueprint: Blueprint,
    params: Params,
    supply: Supply,
    noise: Mapping[str, Array],
    *,
    imagine: bool = False,
    settings: Walk | None = None,
    steps: int | None = None,
    key: Key | None = None,
    wide: Change = unchanged,
    written: Written = as_it_stopped,
    under_way: UnderWay | None = None,
    held: tuple[Cache, ...] | None = None,
    domain: Array | None = None,
) -> dict[str, Array]:
    """The streams at the end of the program, and what queries read out.

    Args:
        blueprint: whose.
        params: the model's weights.
        supply: values of every segment that is not denoised.
        noise: [B, N, width] of each noisy stream, over its noisy segments in their order (see
            `denoised`); of one that is held below noise, its values at that level. A phase whose
            noisy segments of a stream are those of the phase before goes on from there.
        imagine: walk the phases that show the future.
        settings: how they are walked; the blueprint's by default. Guidance is against an empty
            instruction (zeros), and costs nothing in a phase whose scales are all 1.
        steps: of every walk, instead of the phase's own, all of them evaluated.
        key: for a solver that draws.
        wide: puts beside the denoised values what the model also reads there.
        written: makes of a phase's results the values of the segments that it writes.
        under_way: the first actions of the chunk are known, see flow.prefix.
        held: what is kept from chunk to chunk, in place of what is given: a cache for each of
            `branches`.
        domain: int [B], for models with weights per domain; the first by default.
    """
    model = network(blueprint)
    settings = blueprint.walk if settings is None else settings
    phases = blueprint.phases(imagine)
    given = blueprint.known(imagine) if held is None else held[0].segments
    order = denoised(blueprint, imagine)
    state: dict[str, Array] = {}
    answers: dict[str, Array] = {}
    stands: dict[str, tuple[Segment, ...]] = {}
    scales = [guidance(phase, settings) for phase in phases]
    tellings = branches(blueprint, settings, imagine=imagine)
    every = streams_from(phases)

    def enter(segments: tuple[Segment, ...]) -> None:
        for stream, mine in noisy_of(segments).items():
            if stands.get(stream) != mine:
                stands[stream], state[stream] = mine, shares(noise[stream], mine, order[stream])

    def supplied(segments: tuple[Segment, ...], told: bool) -> Tokens:
        parts = [_standing(segment, supply, state, wide, told) for segment in segments]
        return tokens_of(parts, domain)

    caches: list[Cache | None] = [None for _ in tellings] if held is None else [*held]
    if given and held is None:
        enter(given)
        layout = dataclasses.replace(blueprint.training, segments=given)
        full = {s.stream: _level(1.0, state[s.stream]) for s in given if s.copy == "noisy"}
        caches = [
            call(model, params, layout, supplied(given, told), full, every, method="prefill")
            for told in tellings
        ]
    for place, phase in enumerate(phases):
        enter(phase.segments)
        before = tuple(s for done in phases[:place] for s in done.writes)
        layout = dataclasses.replace(
            blueprint.training, segments=(*given, *before, *phase.segments)
        )
        wanted = moved(phase)
        standing = [
            {
                segment: _standing(segment, supply, state, wide, told)
                for segment in phase.segments
                if segment.copy != "noisy"
            }
            for told in tellings
        ]
        ask = functools.partial(_ask, model, params, layout, phase, wide, wanted, settings, domain)
        if not phase.levels:
            answers |= _read_out(blueprint, phase, standing[0], caches[0], ask)
            continue
        levels = {
            stream: _grid(settings, stream, steps or phase.steps, start, end)
            for stream, start, end in phase.levels
            if start != end
        }
        still = {
            stream: (state[stream], start) for stream, start, end in phase.levels if start == end
        }
        velocity = _beside(functools.partial(ask, standing[0], caches[0]), still)
        if scales[place]:
            silent = _beside(functools.partial(ask, standing[1], caches[1]), still)
            velocity = guided(velocity, silent, scales[place])
        if under_way is not None and "action" in wanted:
            velocity = continued(velocity, *under_way)
        moving = {
            stream: _started(state[stream], grid, settings) for stream, grid in levels.items()
        }
        state |= integrate(
            velocity,
            moving,
            levels,
            settings.solver,
            key=key,
            clip=settings.clip,
            evaluated=() if steps else phase.evaluated,
        )
        if under_way is not None and "action" in wanted:
            state["action"] = hold(state["action"], *under_way)
        answers |= {stream: state[stream] for stream in finished(phase)}
        if phase.writes and place + 1 < len(phases):
            layout = dataclasses.replace(
                blueprint.training, segments=(*given, *before, *phase.writes)
            )
            ends = {stream: end for stream, _, end in phase.levels}
            parts, stopped = [], {}
            for to, of in sources(phase):
                if of is None:
                    parts.append(supply(to))
                    continue
                own = share(state[of.stream], of, phase.segments)
                value, level = written(to, own, ends[of.stream])
                value = wide(to, value)
                parts.append((value, jnp.ones(value.shape[:2], bool)))
                stopped[told_by(to)] = _level(level, value)
            tokens, later = tokens_of(parts, domain), streams_from(phases[place + 1 :])
            caches = [
                call(model, params, layout, tokens, cache, stopped, later, method="extend")
                for cache in caches
            ]
    return answers


def tokens_of(parts: list[tuple[Array, Array]], domain: Array | None = None) -> Tokens:
    """Values of segments, and which of their tokens are real; of the first domain by default."""
    real = jnp.concatenate([present for _, present in parts], axis=1)
    values = tuple(value for value, _ in parts)
    first = jnp.zeros(real.shape[0], jnp.int32)
    return Tokens(values, real, first if domain is None else domain)


def branches(
    blueprint: Blueprint, settings: Walk | None = None, *, imagine: bool = False
) -> tuple[bool, ...]:
    """Whether the instruction is told, for each of the caches that a walk needs."""
    settings = blueprint.walk if settings is None else settings
    guided = any(guidance(phase, settings) for phase in blueprint.phases(imagine))
    return (True, False) if guided else (True,)


def guidance(phase: Phase, settings: Walk) -> dict[str, float]:
    """The scale of every stream that the phase moves; empty where the phase is not guided."""
    asked = dict(settings.guidance)
    scales: dict[str, float] = {stream: asked.get(stream, 1.0) for stream in moved(phase)}
    guides = phase.levels and phase.guidance > 1 and any(scale != 1 for scale in scales.values())
    return scales if guides else {}


def _beside(velocity: Velocity, still: Mapping[str, tuple[Array, float]]) -> Velocity:
    """The velocity of the moving streams; the others are seen at their level."""

    def moving(x: dict[str, Array], sigma: dict[str, Array]) -> dict[str, Array]:
        held = {stream: value for stream, (value, _) in still.items()}
        levels = {stream: _level(level, value) for stream, (value, level) in still.items()}
        return velocity(held | x, levels | sigma)

    return moving


def _grid(settings: Walk, stream: Stream, steps: int, start: float, end: float) -> Array:
    """Noise levels of a stream that moves, float32 [steps + 1]."""
    match settings.grid:
        case "shifted":
            shift = dict(settings.shifts).get(stream, 1.0)
            return sigma_grid(steps, shift, start=start, end=end)
        case "cosine":
            return cosine_grid(steps)
        case "edm":
            return edm_grid(steps)
        case _:
            assert_never(settings.grid)


def _started(noise: Array, grid: Array, settings: Walk) -> Array:
    """The state at the start; a grid with levels of its own may begin a little below pure noise,
    where a state of unit variance has this spread."""
    return noise if settings.grid == "shifted" else noise * spread(grid[0])


def untold(values: Array, real: Array) -> tuple[Array, Array]:
    """An empty instruction: one token of zeros, since attention to nothing at all is undefined."""
    return jnp.zeros_like(values), jnp.zeros_like(real).at[:, 0].set(True)


def spoken(phase: Phase) -> Segment | None:
    """The queries of a phase that are read one after another; None if all are read in one pass."""
    if phase.levels or phase.steps == 1:
        return None
    return next(s for s in phase.segments if s.copy == "query" and s.count == phase.steps)


def _read_out(
    blueprint: Blueprint,
    phase: Phase,
    standing: Mapping[Segment, tuple[Array, Array]],
    cache: Cache | None,
    ask: Callable[..., dict[str, Array]],
) -> dict[str, Array]:
    """What queries read out, after as many passes as there are words to be spoken (greedily)."""
    run = spoken(phase)
    if run is None:
        return ask(standing, cache, {}, {})
    assert blueprint.model.port(run.stream).embed == "words"
    words, present = standing[run]

    def speak(words: Array, place: Array) -> tuple[Array, None]:
        out = ask({**standing, run: (words, present)}, cache, {}, {})
        said = jnp.argmax(out[run.stream][:, place], axis=-1)
        return words.at[:, place + 1, 0].set(said.astype(words.dtype), mode="drop"), None

    words, _ = jax.lax.scan(speak, words, jnp.arange(phase.steps - 1))
    return ask({**standing, run: (words, present)}, cache, {}, {})


def _level(level: float, like: Array) -> Array:
    return jnp.full(like.shape[:1], level)


def _standing(
    segment: Segment, supply: Supply, state: Mapping[str, Array], wide: Change, told: bool
) -> tuple[Array, Array]:
    """Values of a segment that does not move: supplied, or noise that stays noise.

    Args:
        told: with the instruction.
    """
    if segment.copy != "noisy":
        found = supply(segment)
        return found if told or segment.stream != "text" else untold(*found)
    own = state[segment.stream]
    start = segment.view * segment.count
    values = wide(segment, own[:, start : start + segment.count])
    return values, jnp.ones(values.shape[:2], bool)


def _ask(
    model: Wam,
    params: Params,
    layout: Layout,
    phase: Phase,
    wide: Change,
    wanted: tuple[Stream, ...],
    settings: Walk,
    domain: Array | None,
    standing: Mapping[Segment, tuple[Array, Array]],
    cache: Cache | None,
    x: Mapping[str, Array],
    sigma: Mapping[str, Array],
) -> dict[str, Array]:
    """Velocities of the streams that move, or what queries read out."""
    values, real = [], []
    for segment in phase.segments:
        if segment in standing:
            value, present = standing[segment]
        else:
            value = wide(segment, share(x[segment.stream], segment, phase.segments))
            present = jnp.ones(value.shape[:2], bool)
        values.append(value)
        real.append(present)
    tokens = tokens_of(list(zip(values, real, strict=True)), domain)
    out: dict[str, Array] = call(
        model, params, layout, tokens, sigma, cache, wanted, method="denoise"
    )
    if not x:
        return out
    predictions: dict[str, Prediction] = {**dict(settings.predictions)}
    return {
        stream: velocity_from_prediction(
            predictions.get(stream, "velocity"),
            out[stream],
            value,
            sigma[stream],
            settings.floor,
        )
        for stream, value in x.items()
        if stream in wanted
    }


def noise_for(
    blueprint: Blueprint,
    widths: Mapping[str, int],
    rows: int,
    key: Key,
    imagine: bool = False,
) -> dict[str, Array]:
    """Standard normal noise for every noisy stream of the program, [B, N, width].

    Args:
        widths: of the denoised values of each stream.
        rows: B.
        imagine: of the phases that show the future.
    """
    counts = {
        stream: sum(segment.count for segment in noisy)
        for stream, noisy in denoised(blueprint, imagine).items()
    }
    return {
        stream: jax.random.normal(jax.random.fold_in(key, place), (rows, count, widths[stream]))
        for place, (stream, count) in enumerate(sorted(counts.items()))
    }
