"""How long a recipe takes for a chunk on this device: the whole walk as one program.

From the values of its inputs (latents, features, words, state) to its answers; encoders and codecs
that stand outside a recipe are not part of it. The weights are random.
"""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Params
from wamjax.eval.chunk_cost import weight_shapes
from wamjax.eval.latency import Latency, latency
from wamjax.model.segments import Segment
from wamjax.recipes.blueprint import Blueprint
from wamjax.recipes.network import values_shape
from wamjax.recipes.program import noise_for, walk

BLOCK = 2**20
"""Draws that stand in every leaf."""


def random_weights(blueprint: Blueprint, seed: int = 0) -> Params:
    """Weights of a small normal law in the blueprint's type, drawn on the host.

    A block of draws is repeated through every leaf: nothing is compiled for a shape, and billions
    of weights take seconds.
    """
    rng = np.random.default_rng(seed)
    block = (0.02 * rng.standard_normal(BLOCK)).astype(np.float32)

    def draw(leaf: jax.ShapeDtypeStruct) -> Array:
        begun = np.roll(block, rng.integers(BLOCK)).astype(leaf.dtype)
        return jax.device_put(np.resize(begun, leaf.shape))

    return jax.tree.map(draw, weight_shapes(blueprint))


def random_values(blueprint: Blueprint, rows: int, seed: int = 0) -> dict[Segment, Array]:
    """Values of every segment that is not denoised, [B, N, width]."""
    rng, program = np.random.default_rng(seed), blueprint.program
    everything = (*blueprint.given, *(s for phase in program for s in phase.segments))
    standing = tuple(dict.fromkeys(s for s in everything if s.copy != "noisy"))
    layout = dataclasses.replace(blueprint.training, segments=standing)
    widths = dict(blueprint.features)
    found: dict[Segment, Array] = {}
    for segment, shape in zip(standing, values_shape(blueprint, layout), strict=True):
        words = blueprint.model.port(segment.stream).embed == "words"
        size = (rows, *shape)
        drawn = rng.integers(0, widths[segment.stream], size) if words else rng.normal(size=size)
        found[segment] = jnp.asarray(drawn, jnp.float32)
    return found


def chunk(
    blueprint: Blueprint,
    params: Params,
    values: list[Array],
    noise: dict[str, Array],
    key: Array,
    *,
    standing: tuple[Segment, ...],
    steps: int | None = None,
) -> dict[str, Array]:
    """The walk as a function of arrays alone.

    Args:
        values: of the `standing` segments, in their order.
        noise: see `recipes.program.noise_for`.
        key: for a solver that draws.
    """
    told = dict(zip(standing, values, strict=True))

    def supply(segment: Segment) -> tuple[Array, Array]:
        return told[segment], jnp.ones(told[segment].shape[:2], bool)

    wide = functools.partial(padded, blueprint)
    return walk(blueprint, params, supply, noise, steps=steps, key=key, wide=wide)


def padded(blueprint: Blueprint, segment: Segment, x: Array) -> Array:
    """Denoised values, and zeros for what stands beside them."""
    width = dict(blueprint.features)[segment.stream]
    return jnp.pad(x, ((0, 0), (0, 0), (0, width - x.shape[-1])))


def inputs(blueprint: Blueprint, rows: int) -> tuple[tuple[Segment, ...], tuple[Any, ...]]:
    """(standing segments, (their values, noise, key)): what `chunk` takes behind the weights."""
    values = random_values(blueprint, rows)
    widths = {s: blueprint.model.port(s).out or width for s, width in blueprint.features}
    noise = noise_for(blueprint, widths, rows, jax.random.key(1))
    return tuple(values), (list(values.values()), noise, jax.random.key(2))


def chunk_time(
    blueprint: Blueprint, *, rows: int = 1, steps: int | None = None, repeats: int = 50
) -> tuple[Latency, float]:
    """(latency of a chunk, seconds to compile).

    Args:
        blueprint: random weights are made for it, in its type.
        rows: chunks sampled at once.
        steps: solver steps instead of the program's own.
        repeats: timed calls, behind three that are not.

    Raises:
        RuntimeError: an answer is not finite; nothing was timed.
    """
    params = random_weights(blueprint)
    standing, given = inputs(blueprint, rows)

    def run(params: Params, *given: Any) -> dict[str, Array]:
        return chunk(blueprint, params, *given, standing=standing, steps=steps)

    return compiled_time(run, params, given, repeats)


def compiled_time(
    run: Callable[..., Any], params: Params, given: tuple[Any, ...], repeats: int
) -> tuple[Latency, float]:
    """(latency of a function of weights and what is given, seconds to compile).

    Raises:
        RuntimeError: an answer is not finite; nothing was timed.
    """
    begun = time.perf_counter()
    program = jax.jit(run).lower(params, *given).compile()
    compiling = time.perf_counter() - begun
    answers = program(params, *given)
    if not all(bool(jnp.isfinite(value).all()) for value in jax.tree.leaves(answers)):
        raise RuntimeError("an answer of the walk is not finite")
    return latency(program, params, *given, repeats=repeats), compiling
