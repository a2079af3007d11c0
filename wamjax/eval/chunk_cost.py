"""What a chunk costs: the passes of a recipe's sampler program, their FLOPs and bytes.

    prefill          once; twice where a phase is guided
    step of a phase  steps x evaluations of the solver; twice where the phase is guided
    word             each but the last of a run of queries that are read one after another
    read-out         a phase of queries, once
    writing          a phase's results, where a later phase sees them

Read off the traced program without making a weight, at any size. FLOPs are those of contractions;
bytes those of weights (of word tables only the rows that are looked up) and of cached keys and
values. Activations, norms and softmax are left out, so that a bound is a bound.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from wamjax.core.typing import Params
from wamjax.eval.bytes_read import bytes_read, live
from wamjax.eval.ceilings import Device
from wamjax.flow.solvers.integrate import method_of
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.model.tokens import Tokens
from wamjax.recipes.blueprint import Blueprint, Walk
from wamjax.recipes.network import network, shapes, values_shape
from wamjax.recipes.program import guidance, moved, spoken, streams_from, told_by
from wamjax.train.flops import count_flops


@dataclasses.dataclass(frozen=True)
class Pass:
    """A forward pass of the program.

    Attributes:
        name: what it is for.
        count: how often it runs for a chunk.
        flops: of the contractions, each time.
        weights, cache: bytes that it reads, each time.
    """

    name: str
    count: int
    flops: float
    weights: float
    cache: float

    def least_seconds(self, device: Device) -> float:
        """Its bound, all its turns together."""
        return self.count * device.least_seconds(self.flops, self.weights + self.cache)


def least_seconds(passes: list[Pass], device: Device) -> float:
    """The bound of a chunk, its passes one after the other."""
    return sum(one.least_seconds(device) for one in passes)


def in_type(blueprint: Blueprint, dtype: str) -> Blueprint:
    """The blueprint with another type of computation."""
    return dataclasses.replace(blueprint, model=dataclasses.replace(blueprint.model, dtype=dtype))


def weight_shapes(blueprint: Blueprint) -> Params:
    """Shapes of the weights in the blueprint's type, as a robot would load them."""
    dtype = jnp.dtype(blueprint.model.dtype)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), shapes(blueprint))


def _tokens(blueprint: Blueprint, layout: Layout, segments: tuple[Segment, ...], rows: int) -> Any:
    widths = dict(zip(layout.segments, values_shape(blueprint, layout), strict=True))
    shape: Any = jax.ShapeDtypeStruct
    values = tuple(shape((rows, *widths[segment]), jnp.float32) for segment in segments)
    count = sum(segment.count for segment in segments)
    return Tokens(values, shape((rows, count), jnp.bool_), shape((rows,), jnp.int32))


def _levels(streams: Sequence[str], rows: int) -> dict[str, Any]:
    return {stream: jax.ShapeDtypeStruct((rows,), jnp.float32) for stream in streams}


class _Passes:
    """The passes of one blueprint, traced with shapes alone."""

    def __init__(self, blueprint: Blueprint, rows: int, copies: int):
        self.blueprint, self.rows, self.copies = blueprint, rows, copies
        self.model, self.params = network(blueprint), weight_shapes(blueprint)

    def traced(
        self,
        method: str,
        layout: Layout,
        segments: tuple[Segment, ...],
        wanted: tuple[str, ...],
        levels: dict[str, Any],
        cache: Any = None,
    ) -> tuple[tuple[float, float, float], Any]:
        """((FLOPs, bytes of weights, bytes of cache), shapes of the result)."""
        tokens = _tokens(self.blueprint, layout, segments, self.rows)

        def run(params: Params, cache: Any, tokens: Tokens, levels: Any) -> Any:
            call = functools.partial(
                self.model.apply, {"params": params}, layout, wanted=wanted, method=method
            )
            if method == "prefill":
                return call(tokens, sigma=levels)
            ask = functools.partial(call, sigma=levels, cache=cache)
            if self.copies == 1:
                return ask(tokens)
            # What was denoised differs from copy to copy; what is given, and the levels, do not.
            own = tuple(None if segment.copy == "clean" else 0 for segment in segments)
            values = tuple(
                value if axis is None else jnp.repeat(value[None], self.copies, axis=0)
                for value, axis in zip(tokens.values, own, strict=True)
            )
            asked = jax.vmap(lambda values: ask(tokens.replace(values=values)), in_axes=(own,))
            return asked(values)

        closed, result = jax.make_jaxpr(run, return_shape=True)(self.params, cache, tokens, levels)
        words = ["weights"] * len(jax.tree.leaves(self.params))
        words += ["cache"] * len(jax.tree.leaves(cache))
        words += [None] * len(jax.tree.leaves((tokens, levels)))
        jaxpr, left = live(closed)
        read = bytes_read(jaxpr, [word for word, kept in zip(words, left, strict=True) if kept])
        weights, cached = (read.get(word, 0.0) for word in ("weights", "cache"))
        return (count_flops(jaxpr), weights, cached), result


def passes(
    blueprint: Blueprint,
    rows: int = 1,
    *,
    settings: Walk | None = None,
    steps: int | None = None,
    copies: int = 1,
) -> list[Pass]:
    """The passes of a chunk, in the order of the walk.

    Args:
        blueprint: of any size; nothing is allocated. Its type is that of weights and cache.
        rows: chunks sampled at once.
        settings: how it is walked; the blueprint's by default.
        steps: of every walk, instead of the phase's own.
        copies: that walk side by side from one prefill, see eval.chunk_plan.
    """
    settings = blueprint.walk if settings is None else settings
    own, given = _Passes(blueprint, rows, copies), blueprint.given
    guided = [bool(guidance(phase, settings)) for phase in blueprint.program]
    wanted = streams_from(blueprint.program)
    found: list[Pass] = []
    cache = None
    if given:
        layout = dataclasses.replace(blueprint.training, segments=given)
        noisy = list(dict.fromkeys(s.stream for s in given if s.copy == "noisy"))
        cost, cache = own.traced("prefill", layout, given, wanted, _levels(noisy, rows))
        found.append(Pass("prefill", 1 + any(guided), *cost))
    for place, phase in enumerate(blueprint.program):
        streams = [stream for stream, _, _ in phase.levels]
        layout, levels = blueprint.sampling(place), _levels(streams, rows)
        step = functools.partial(own.traced, "denoise", layout, phase.segments)
        cost, _ = step(moved(phase), levels, cache)
        if phase.levels:
            asked = steps or len(phase.evaluated) or phase.steps
            turns = asked * method_of(settings.solver).evaluations
            name = "step of " + ", ".join(moved(phase))
            found.append(Pass(name, turns * (1 + guided[place]), *cost))
        else:
            run = spoken(phase)
            if run is not None:
                word, _ = step((run.stream,), levels, cache)
                found.append(Pass("word", phase.steps - 1, *word))
            found.append(Pass("read-out", 1, *cost))
        if phase.writes and place + 1 < len(blueprint.program):
            behind = tuple(s for done in blueprint.program[: place + 1] for s in done.writes)
            layout = dataclasses.replace(blueprint.training, segments=(*given, *behind))
            later = streams_from(blueprint.program[place + 1 :])
            stopped = _levels([*dict.fromkeys(map(told_by, phase.writes))], rows)
            cost, cache = own.traced("extend", layout, phase.writes, later, stopped, cache)
            found.append(Pass("writing", 1 + any(guided[place + 1 :]), *cost))
    return found
