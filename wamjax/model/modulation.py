"""How the noise level acts on a layer: scale, shift and gate vectors per segment.

    adaln      W_l silu(c)                          per layer, zero start (arXiv 2212.09748)
    table      P silu(c) + T_l                      one projection for all layers, a table per layer
    low_rank   P silu(W f) + B_lp A_lp silu(c)      one shift, scale and gate for all parts p, plus
                                                    a low-rank map per layer and part (Cosmos)

f are features of the noise level, c its vector: W_2 silu(W f), or with low_rank the RMS norm of f.
P is shared by all layers and computed once, outside them. An expert that is told the length d of a
jump (arXiv 2410.12557) adds J (f(d) - f(0)) to W f: with d = 0 it is the expert that is not told.
One with vectors v of cameras adds v to c, and Q silu(v) to what P gives (arXiv 2508.05635).
"""

import itertools
from collections.abc import Sequence
from typing import assert_never

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array
from wamjax.model.config import Expert
from wamjax.model.layers import Linear, Normed, embedding, sigma_features


@flax.struct.dataclass
class Noise:
    """The noise levels of an expert's segments.

    Attributes:
        level, shared: c and what P gives, [B, S, C] and [B, S, n, D] (or None); see `Level`.
        counts: how many tokens, one behind the other, stand at each of the S levels.
    """

    level: Array
    shared: Array | None
    counts: tuple[int, ...] = flax.struct.field(pytree_node=False)

    def cut(self, sizes: Sequence[int]) -> list["Noise"]:
        """Runs of so many levels."""
        ends = itertools.accumulate(sizes, initial=0)
        return [
            Noise(
                self.level[:, start:end],
                None if self.shared is None else self.shared[:, start:end],
                self.counts[start:end],
            )
            for start, end in itertools.pairwise(ends)
        ]


def beside(parts: Sequence[Noise]) -> Noise:
    """The levels of one expert's runs, one behind the other."""
    shared = [part.shared for part in parts if part.shared is not None]
    return Noise(
        jnp.concatenate([part.level for part in parts], axis=1),
        jnp.concatenate(shared, axis=1) if shared else None,
        tuple(itertools.chain(*(part.counts for part in parts))),
    )


class Level(nn.Module):
    """sigma, step [B, S] -> (c [B, S, C], what P gives [B, S, n, D] or None).

    Where the expert has vectors of cameras, `view` int [S] tells whose each level is.
    """

    expert: Expert

    @nn.compact
    def __call__(self, sigma: Array, step: Array, view: np.ndarray) -> tuple[Array, Array | None]:
        e = self.expert
        features, low = sigma_features(sigma, e.clock), e.modulation == "low_rank"
        h = Linear((e.width,), (None, "embed"), bias=not low, name="in")(features)
        if e.jump is not None:
            away = sigma_features(step, e.jump) - sigma_features(jnp.zeros_like(step), e.jump)
            h = h + Linear((e.width,), (None, "embed"), bias=False, name="jump")(away)
        axes, h = ("embed", None, "mlp"), jax.nn.silu(h)
        if low:
            shared = Linear((3, e.width), axes, bias=False, name="shared")(h)
            return Normed("rms", axis=None, name="norm")(features), shared
        level = Linear((e.width,), ("embed", None), name="out")(h)
        if e.modulation == "table":
            wide = (3 * e.parts, e.width)
            shared = Linear(wide, axes, name="shared")(jax.nn.silu(level))
            if e.views:
                own = embedding(self, "view", (e.views, e.width), (None, "embed"))[view][None]
                level = level + own
                shared = shared + Linear(wide, axes, name="view_shared")(jax.nn.silu(own))
            return level, shared
        return level, None


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
                down = Linear((e.parts, e.rank), (None, None, None), bias=False, name="down")
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


class LowRank(nn.Module):
    """One shift and scale: (c [B, S, C], what P gives) -> [B, S, 2, D]; the latter at the start."""

    rank: int

    @nn.compact
    def __call__(self, level: Array, shared: Array) -> Array:
        low = Linear((self.rank,), (None, None), bias=False, name="down")(jax.nn.silu(level))
        axes = (None, None, "mlp")
        up = Linear((2, shared.shape[-1]), axes, zero=True, bias=False, name="up")
        return shared[:, :, :2] + up(low)


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
