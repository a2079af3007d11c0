"""The network of a blueprint: its shapes, its weights, its size."""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Key, Params
from wamjax.model.layout import Layout
from wamjax.model.tokens import Tokens
from wamjax.model.wam import Wam
from wamjax.recipes.blueprint import Blueprint, Recipe


def network(blueprint: Blueprint) -> Wam:
    """The model with the ports of the training sequence."""
    return Wam(blueprint.model, blueprint.training, blueprint.features)


def values_shape(blueprint: Blueprint, layout: Layout) -> list[tuple[int, int]]:
    """(tokens, width of their values) of every segment; words are integers of width 1."""
    widths = dict(blueprint.features)
    ports = [blueprint.model.port(segment.stream) for segment in layout.segments]
    return [
        (segment.count, 1 if port.embed == "words" else widths[segment.stream])
        for segment, port in zip(layout.segments, ports, strict=True)
    ]


def blank(blueprint: Blueprint, layout: Layout, batch: int = 1) -> tuple[Tokens, dict[str, Array]]:
    """Tokens of zeros for `layout`, and noise levels of zero."""
    values = tuple(
        jnp.zeros((batch, count, width)) for count, width in values_shape(blueprint, layout)
    )
    real = jnp.ones((batch, sum(segment.count for segment in layout.segments)), bool)
    noisy = {segment.stream for segment in layout.segments if segment.copy == "noisy"}
    tokens = Tokens(values, real, jnp.zeros(batch, jnp.int32))
    return tokens, {stream: jnp.zeros(batch) for stream in sorted(noisy)}


def initial(blueprint: Blueprint, key: Key) -> Params:
    """Fresh weights, boxed with their logical axes."""
    tokens, sigma = blank(blueprint, blueprint.training)
    return network(blueprint).init(key, blueprint.training, tokens, sigma, method="denoise")[
        "params"
    ]


@functools.cache
def shapes(blueprint: Blueprint) -> Any:
    """The tree of weights as shapes, without making them; of any size."""
    return nn.unbox(jax.eval_shape(lambda key: initial(blueprint, key), jax.random.key(0)))


def parameters(blueprint: Blueprint) -> int:
    """How many weights there are."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes(blueprint)))


def compared(recipe: Recipe, blueprint: Blueprint) -> int:
    """How many weights are held against the published count: built, + outside, - beyond."""
    tree = shapes(blueprint)
    left_out = [tree[name] for name in recipe.beyond]
    beyond = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(left_out))
    return parameters(blueprint) + sum(part.parameters for part in recipe.outside) - beyond
