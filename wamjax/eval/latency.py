"""What a chunk costs: passes, FLOPs and bytes of a recipe's sampler program, and its least time.

    pass        prefill, a step of a phase, or the writing of its results
    bytes       weights that the pass reads (found by removing dead code; of word tables only the
                rows that are looked up) + keys and values that it attends to
    least time  sum over passes of max(FLOPs / peak, bytes / bandwidth)            (roofline)

Nothing of it needs weights: it is read off the traced program, at any size. Activations, norms and
softmax are left out, so a bound is a bound.
"""

import dataclasses
import math
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.interpreters import partial_eval

from wamjax.core.runtime import once_jit
from wamjax.core.typing import Array, Params
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.model.wam import Tokens
from wamjax.parallel.shardings import is_boxed
from wamjax.recipes.blueprint import Blueprint
from wamjax.recipes.network import initial, network, values_shape
from wamjax.recipes.program import moved, noise_for, walk
from wamjax.train.flops import count_flops


@dataclasses.dataclass(frozen=True)
class Device:
    """Peak of the matrix unit, FLOP/s, and memory bandwidth, bytes/s."""

    name: str
    flops: float
    bandwidth: float


# Dense bfloat16, vendor sheets.
DEVICES = (
    Device("NVIDIA H200", 989e12, 4.8e12),
    Device("NVIDIA H100 SXM", 989e12, 3.35e12),
    Device("TPU v6e", 920e12, 1.6e12),
)


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
        moved = (self.weights + self.cache) / device.bandwidth
        return self.count * max(self.flops / device.flops, moved)


def least_seconds(passes: list[Pass], device: Device) -> float:
    """The bound of a chunk."""
    return sum(one.least_seconds(device) for one in passes)


def in_type(blueprint: Blueprint, dtype: str) -> Blueprint:
    """The blueprint with another type of computation."""
    return dataclasses.replace(blueprint, model=dataclasses.replace(blueprint.model, dtype=dtype))


def _tokens(blueprint: Blueprint, layout: Layout, segments: tuple[Segment, ...], rows: int) -> Any:
    widths = dict(zip(layout.segments, values_shape(blueprint, layout), strict=True))
    shape: Any = jax.ShapeDtypeStruct
    values = tuple(shape((rows, *widths[segment]), jnp.float32) for segment in segments)
    count = sum(segment.count for segment in segments)
    return Tokens(values, shape((rows, count), jnp.bool_), shape((rows,), jnp.int32))


def _levels(streams: list[str], rows: int) -> dict[str, Any]:
    return {stream: jax.ShapeDtypeStruct((rows,), jnp.float32) for stream in streams}


def _noisy(segments: tuple[Segment, ...]) -> list[str]:
    return list(dict.fromkeys(s.stream for s in segments if s.copy == "noisy"))


def passes(blueprint: Blueprint, rows: int = 1, bytes_each: int = 2) -> list[Pass]:
    """The passes of a chunk.

    Args:
        blueprint: of any size; nothing is allocated.
        rows: chunks sampled at once.
        bytes_each: of a weight, a key or a value.
    """
    model = network(blueprint)
    boxed = jax.eval_shape(lambda key: initial(blueprint, key), jax.random.key(0))
    looked_up = [
        is_boxed(leaf) and "vocab" in leaf.names
        for leaf in jax.tree.leaves(boxed, is_leaf=is_boxed)
    ]
    params = nn.unbox(boxed)
    sizes = [
        0 if table else bytes_each * math.prod(leaf.shape)
        for table, leaf in zip(looked_up, jax.tree.leaves(params), strict=True)
    ]

    def cost(
        method: str, layout: Layout, wanted: tuple[str, ...], *arguments: Any
    ) -> tuple[float, float]:
        def run(params: Params, *arguments: Any) -> Any:
            return model.apply({"params": params}, layout, *arguments, wanted=wanted, method=method)

        closed = jax.make_jaxpr(run)(params, *arguments)
        jaxpr, used = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
        read = sum(size for size, is_used in zip(sizes, used, strict=False) if is_used)
        return count_flops(jaxpr), read

    def stored(cache: Any) -> float:
        held = jax.tree.leaves((cache.keys, cache.memory))
        return float(sum(bytes_each * math.prod(leaf.shape) for leaf in held))

    found: list[Pass] = []
    cache, given = None, blueprint.given
    wanted = tuple(dict.fromkeys(s for phase in blueprint.program for s in moved(phase)))
    if given:
        layout = dataclasses.replace(blueprint.training, segments=given)
        tokens, levels = _tokens(blueprint, layout, given, rows), _levels(_noisy(given), rows)
        flops, read = cost("prefill", layout, wanted, tokens, levels)
        cache = jax.eval_shape(
            lambda p, t, s: model.apply({"params": p}, layout, t, s, wanted, method="prefill"),
            params,
            tokens,
            levels,
        )
        found.append(Pass("prefill", 1, flops, read, 0.0))
    for place, phase in enumerate(blueprint.program):
        layout = blueprint.sampling(place)
        tokens = _tokens(blueprint, layout, phase.segments, rows)
        streams = [stream for stream, _, _ in phase.levels]

        flops, read = cost("denoise", layout, moved(phase), tokens, _levels(streams, rows), cache)
        held = 0.0 if cache is None else stored(cache)
        name = "read-out" if not phase.levels else "step of " + ", ".join(moved(phase))
        count = (phase.steps if phase.levels else 1) * phase.guidance
        found.append(Pass(name, count, flops, read, held))
        if phase.writes and place + 1 < len(blueprint.program):
            written = tuple(s for done in blueprint.program[: place + 1] for s in done.writes)
            layout = dataclasses.replace(blueprint.training, segments=(*given, *written))
            tokens = _tokens(blueprint, layout, phase.writes, rows)
            flops, read = cost("extend", layout, wanted, tokens, cache)
            found.append(Pass("writing", phase.guidance, flops, read, held))
            cache = jax.eval_shape(
                lambda p, t, c, layout=layout: model.apply(
                    {"params": p}, layout, t, c, None, wanted, method="extend"
                ),
                params,
                tokens,
                cache,
            )
    return found


def random_weights(blueprint: Blueprint, seed: int = 0) -> Params:
    """Weights of a small normal law in the blueprint's type, made on the device."""
    shapes = nn.unbox(jax.eval_shape(lambda key: initial(blueprint, key), jax.random.key(0)))
    dtype = jnp.dtype(blueprint.model.dtype)

    @once_jit
    def made(key: Array) -> Params:
        leaves, structure = jax.tree.flatten(shapes)
        keys = jax.random.split(key, len(leaves))
        drawn = [
            0.02 * jax.random.normal(key, leaf.shape, dtype)
            for key, leaf in zip(keys, leaves, strict=True)
        ]
        return jax.tree.unflatten(structure, drawn)

    return made(jax.random.key(seed))


@dataclasses.dataclass(frozen=True)
class Timing:
    """Milliseconds a chunk over `repeats` calls, and seconds to compile."""

    p50: float
    p95: float
    repeats: int
    compile_seconds: float


def measure(
    blueprint: Blueprint, *, rows: int = 1, steps: int | None = None, repeats: int = 50
) -> Timing:
    """Time the whole program, jitted, from the values of its inputs to its answers.

    Args:
        blueprint: random weights are made for it.
        rows: chunks sampled at once.
        steps: solver steps instead of the program's own.
        repeats: timed calls, behind three that are not.
    """
    params = random_weights(blueprint)
    rng = np.random.default_rng(0)
    phases = blueprint.program
    standing = [
        segment
        for segments in (blueprint.given, *(phase.segments for phase in phases))
        for segment in segments
        if segment.copy != "noisy"
    ]
    layout = dataclasses.replace(blueprint.training, segments=tuple(dict.fromkeys(standing)))
    widths = dict(blueprint.features)
    given: dict[Segment, Array] = {}
    for segment, shape in zip(layout.segments, values_shape(blueprint, layout), strict=True):
        words = blueprint.model.port(segment.stream).embed == "words"
        size = (rows, *shape)
        drawn = rng.integers(0, widths[segment.stream], size) if words else rng.normal(size=size)
        given[segment] = jnp.asarray(drawn, jnp.float32)
    denoised = {
        stream: blueprint.model.port(stream).out or width for stream, width in blueprint.features
    }
    noise = noise_for(blueprint, denoised, rows, jax.random.key(1))
    order = list(given)

    @once_jit
    def chunk(params: Params, values: list[Array], noise: dict[str, Array], key: Array) -> Any:
        told = dict(zip(order, values, strict=True))

        def supply(segment: Segment) -> tuple[Array, Array]:
            return told[segment], jnp.ones(told[segment].shape[:2], bool)

        def wide(segment: Segment, x: Array) -> Array:
            more = widths[segment.stream] - x.shape[-1]
            return jnp.pad(x, ((0, 0), (0, 0), (0, more)))

        return walk(blueprint, params, supply, noise, steps=steps, key=key, wide=wide)

    values, key = [given[segment] for segment in order], jax.random.key(2)
    started = time.monotonic()
    jax.block_until_ready(chunk(params, values, noise, key))
    compiling = time.monotonic() - started
    times = []
    for turn in range(repeats + 3):
        started = time.perf_counter()
        jax.block_until_ready(chunk(params, values, noise, key))
        if turn >= 3:
            times.append(1e3 * (time.perf_counter() - started))
    return Timing(
        float(np.percentile(times, 50)), float(np.percentile(times, 95)), repeats, compiling
    )


def own_device(name: str) -> Device:
    """This device's matrix product of 1024 in float32 and a copy of 256 MiB, the best of 5."""
    square = jnp.ones((1024, 1024), jnp.float32)
    product = once_jit(lambda x: x @ x)
    block = jnp.ones(2**26, jnp.float32)
    copy = once_jit(lambda x: x + 1.0)

    def fastest(run: Any, value: Array) -> float:
        jax.block_until_ready(run(value))
        best = math.inf
        for _ in range(5):
            started = time.perf_counter()
            jax.block_until_ready(run(value))
            best = min(best, time.perf_counter() - started)
        return best

    flops = 2 * 1024**3 / fastest(product, square)
    bandwidth = 2 * 4 * 2**26 / fastest(copy, block)
    return Device(f"{name}, measured", flops, bandwidth)
