"""How the noise level acts on a layer: scale, shift and gate vectors per segment.

    adaln      W_l silu(c)                          per layer, zero start (arXiv 2212.09748)
    table      P silu(c) + T_l                      one projection for all layers, a table per layer
    low_rank   P silu(c) + B_lp A_lp silu(c)        one shift, scale and gate for all parts p, plus
                                                    a low-rank map per layer and part

c is the noise level's vector; P is shared by all layers and computed once, outside them. An expert
that is told the length d of a jump (arXiv 2410.12557) adds J (f(d) - f(0)) inside c: with d = 0 it
is the expert that is not told.
"""

import itertools
from typing import assert_never

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.core.typing import Array
from wamjax.model.config import Expert
from wamjax.model.layers import Linear, sigma_features


class Level(nn.Module):
    """sigma, step [B, S] -> (c [B, S, D], P silu(c) [B, S, n, D] or None)."""

    expert: Expert

    @nn.compact
    def __call__(self, sigma: Array, step: Array) -> tuple[Array, Array | None]:
        e = self.expert
        h = Linear((e.width,), (None, "embed"), name="in")(sigma_features(sigma, e.clock))
        if e.jump is not None:
            away = sigma_features(step, e.jump) - sigma_features(jnp.zeros_like(step), e.jump)
            h = h + Linear((e.width,), (None, "embed"), bias=False, name="jump")(away)
        level = Linear((e.width,), ("embed", None), name="out")(jax.nn.silu(h))
        match e.modulation:
            case "table" | "low_rank":
                count = 3 if e.modulation == "low_rank" else 3 * e.parts
                shared = Linear((count, e.width), ("embed", None, "mlp"), name="shared")
                return level, shared(jax.nn.silu(level))
            case "none" | "adaln":
                return level, None
            case _:
                assert_never(e.modulation)


class Modulation(nn.Module):
    """One layer's vectors: (level, shared) -> 3 arrays [B, S, D] for each part of the layer."""

    expert: Expert

    @nn.compact
    def __call__(self, level: Array, shared: Array | None) -> list[Array]:
        e = self.expert
        axes, count = ("embed", None, "mlp"), 3 * e.parts
        match e.modulation:
            case "none":
                return []
            case "adaln":
                wide = Linear((count, e.width), axes, zero=True, name="own")(jax.nn.silu(level))
            case "table":
                init = nn.initializers.normal(e.width**-0.5)
                table = self.param(
                    "table",
                    nn.with_logical_partitioning(init, (None, "embed")),
                    (count, e.width),
                )
                assert shared is not None
                wide = shared + jnp.asarray(table)
            case "low_rank":
                assert shared is not None
                down = Linear((e.parts, e.rank), ("embed", None, None), bias=False, name="down")
                low = down(jax.nn.silu(level))
                up_axes = (None, None, "mlp")
                ups = [
                    Linear((3, e.width), up_axes, zero=True, bias=False, name=f"up_{part}")
                    for part in range(e.parts)
                ]
                parts = [shared + up(low[:, :, part]) for part, up in enumerate(ups)]
                wide = jnp.concatenate(parts, axis=2)
            case _:
                assert_never(e.modulation)
        return [wide[:, :, place] for place in range(count)]


def spread(values: Array, counts: tuple[int, ...]) -> Array:
    """[B, S, D] -> [B, N, D]: the value of level s for each of its `counts[s]` tokens.

    Broadcasts, because the gradient of an indexed copy is a scatter, which is slow on CPUs.
    """
    batch, _, width = values.shape
    parts, start = [], 0
    for count, run in itertools.groupby(counts):
        places = len([*run])
        own = values[:, start : start + places, None]
        wide = jnp.broadcast_to(own, (batch, places, count, width))
        parts.append(wide.reshape(batch, places * count, width))
        start += places
    return jnp.concatenate(parts, axis=1) if parts else jnp.zeros((batch, 0, width), values.dtype)
