"""How streams enter experts and memories, and how predictions leave: one module each.

    linear        W v                           mlp      W_2 gelu(W_1 v)
    timed_linear  W [v, f(sigma)]               timed    W_2 silu(W_1 [W_0 v, f(sigma)])
    words         table[v], scaled: sqrt(D) table[v]     as_is    v
    normed_mlp    norm(W_2 gelu(W_1 norm(v)))            relu_mlp  W_2 relu(W_1 v)
    silu_mlp      W_3 silu(W_2 silu(W_1 v))

    modulated     W (norm(x) (1 + scale) + shift),  scale and shift from the level, zero start
    table         the same with  level + learned table  in the place of a linear map (Wan)
    low_rank      the same with the shared vectors + a low-rank map (Cosmos)
    plain         W norm(x)
    linear        W x
    relu_mlp      W_2 relu(W_1 x)
    residual      relu layers with residuals between two norms (OpenVLA-OFT 2502.19645)

    film          x (1 + scale) + shift,  scale and shift from the mean of another stream's tokens,
                  zero start (arXiv 1709.07871)

With `domains` every linear map and every table at the edge has weights per domain (X-VLA
2510.10274).
"""

import functools
import math
from typing import Any, assert_never

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.core.typing import Array
from wamjax.model.config import Clock, Expert, Norm, Port
from wamjax.model.layers import Linear, Normed, embedding, sigma_features, standardised
from wamjax.model.modulation import LowRank, Noise, spread

LEVELLED = ("modulated", "table", "low_rank")
"""Heads that read the noise level."""


class Edge(nn.Module):
    """A linear map, or one per domain: (x [B, N, in], domain int [B]) -> [B, N, out]."""

    features: int
    axes: tuple[str | None, str | None]
    domains: int = 0
    zero: bool = False
    bias: bool = True

    @nn.compact
    def __call__(self, x: Array, domain: Array | None) -> Array:
        if not self.domains:
            options = {"zero": self.zero, "bias": self.bias, "name": "one"}
            return Linear((self.features,), self.axes, **options)(x)
        assert domain is not None, "this model has weights per domain: Tokens.domain is needed"
        kernel = nn.initializers.variance_scaling(
            1.0, "fan_in", "truncated_normal", in_axis=1, out_axis=2, batch_axis=(0,)
        )
        zeros = nn.initializers.zeros
        start = nn.with_logical_partitioning(zeros if self.zero else kernel, (None, *self.axes))
        weight: Any = self.param("kernel", start, (self.domains, x.shape[-1], self.features))
        y = jnp.einsum("BNi,Bio->BNo", x, weight[domain])
        if not self.bias:
            return y
        shift = nn.with_logical_partitioning(zeros, (None, self.axes[1]))
        bias: Any = self.param("bias", shift, (self.domains, self.features))
        return y + bias[domain][:, None]


class PortIn(nn.Module):
    """Values of one segment to tokens [B, N, width].

    Attributes:
        features: width of the values; the size of the vocabulary for words.
        axis: logical name of the values' axis.
    """

    port: Port
    width: int
    features: int
    axis: str
    clock: Clock

    @nn.compact
    def __call__(self, value: Array, sigma: Array, domain: Array | None) -> Array:
        p, width = self.port, self.width
        axes = (self.axis, "embed")
        edge = functools.partial(Edge, width, axes, p.domains, bias=p.bias, name="in")
        match p.embed:
            case "linear":
                return edge()(value, domain)
            case "mlp":
                h = edge()(value, domain)
                h = jax.nn.gelu(h, approximate=True)
                return Linear((width,), ("embed", None), name="out")(h)
            case "relu_mlp":
                wide = (self.axis, None)
                h = Edge(p.hidden, wide, p.domains, bias=p.bias, name="in")(value, domain)
                return Linear((width,), (None, "embed"), name="out")(jax.nn.relu(h))
            case "silu_mlp":
                h = jax.nn.silu(edge()(value, domain))
                h = jax.nn.silu(Linear((width,), ("embed", None), name="mix")(h))
                return Linear((width,), (None, "embed"), name="out")(h)
            case "normed_mlp":
                # Norms with PyTorch's own epsilon, as Wan has them here.
                h = Normed("layer", None, 1e-5, name="norm")(value)
                wide = (self.axis, None)
                h = Edge(self.features, wide, p.domains, bias=p.bias, name="in")(h, domain)
                h = jax.nn.gelu(h, approximate=False)
                h = Linear((width,), (None, "embed"), name="out")(h)
                return Normed("layer", eps=1e-5, name="norm_out")(h)
            case "timed_linear":
                timed = jnp.concatenate([value, self._time(value, sigma)], axis=-1)
                return edge()(timed, domain)
            case "timed":
                h = edge()(value, domain)
                h = jnp.concatenate([h, self._time(value, sigma)], axis=-1)
                h = jax.nn.silu(Linear((width,), (None, "embed"), name="mix")(h))
                return Linear((width,), ("embed", None), name="out")(h)
            case "as_is":
                return value
            case "words":
                rows = self.features * max(1, p.domains)
                table = embedding(self, "table", (rows, width), ("vocab", "embed"))
                word = value[..., 0].astype(jnp.int32)
                if p.domains:
                    assert domain is not None, "this model has words per domain: give Tokens.domain"
                    word = word + self.features * domain[:, None]
                return table[word] * math.sqrt(width) if p.scaled else table[word]
            case _:
                assert_never(p.embed)

    def _time(self, value: Array, sigma: Array) -> Array:
        # One level for the segment, or one for each of its tokens.
        features = sigma_features(sigma, self.port.clock or self.clock)
        return jnp.broadcast_to(features, (*value.shape[:2], features.shape[-1]))


class Film(nn.Module):
    """Tokens [B, N, D], scaled and shifted by the mean of the real ones of [B, M, E]; no change at
    the start."""

    @nn.compact
    def __call__(self, x: Array, told: Array, real: Array) -> Array:
        kept = jnp.where(real[..., None], told.astype(jnp.float32), 0)
        mean = kept.sum(1) / jnp.maximum(real.sum(1), 1)[:, None]
        width = x.shape[-1]
        vectors = Linear((2, width), ("embed", None, "mlp"), zero=True, name="modulation")(mean)
        scale, shift = vectors[:, None, 0], vectors[:, None, 1]
        return (x.astype(jnp.float32) * (1 + scale) + shift).astype(x.dtype)


class PortOut(nn.Module):
    """Tokens [B, N, D] of all predicted segments of a stream to predictions [B, N, features]."""

    port: Port
    features: int
    expert: Expert

    @nn.compact
    def __call__(
        self, x: Array, noise: Noise, domain: Array | None, table: Array | None = None
    ) -> Array:
        merge, width = self.port.merge, x.shape[-1]
        if merge > 1:
            x = x.reshape(x.shape[0], x.shape[1] // merge, merge * width)
        x = x.astype(jnp.float32)
        match self.port.head:
            case "modulated":
                vectors = Linear((2, width), ("embed", None, "mlp"), zero=True, name="modulation")(
                    jax.nn.silu(noise.level)
                )
                return self._edge(zero=True)(self._moved(x, vectors, noise), domain)
            case "table":
                own = shift_and_scale(self, "table", width) if table is None else table
                vectors = noise.level[:, :, None] + own
                return self._edge()(self._moved(x, vectors, noise), domain)
            case "low_rank":
                assert noise.shared is not None
                low = LowRank(self.expert.rank, name="modulation")
                vectors = low(noise.level, noise.shared)
                return self._edge()(self._moved(x, vectors, noise), domain)
            case "plain":
                e = self.expert
                norm = Normed(self._norm, eps=e.eps, from_one=e.from_one, name="norm")
                return self._edge()(norm(x), domain)
            case "linear":
                return self._edge()(x, domain)
            case "relu_mlp":
                h = Linear((self.port.hidden,), ("embed", None), name="in")(x)
                return self._edge()(jax.nn.relu(h), domain)
            case "residual":
                h = Linear((width,), ("embed", None), name="first")(Normed("layer", name="norm")(x))
                h = jax.nn.relu(h)
                for place in range(2):
                    inner = Normed("layer", name=f"norm_{place}")(h)
                    inner = Linear((width,), ("embed", None), name=f"layer_{place}")(inner)
                    h = h + jax.nn.relu(inner)
                return self._edge()(Normed("layer", name="norm_out")(h), domain)
            case "none":
                return x
            case _:
                assert_never(self.port.head)

    @property
    def _norm(self) -> Norm:
        return self.port.norm or self.expert.norm

    def _moved(self, x: Array, vectors: Array, noise: Noise) -> Array:
        """norm(x), shifted and scaled by vectors [B, S, 2, D]."""
        shift, scale = (spread(vectors[:, :, place], noise.counts) for place in range(2))
        return standardised(x, self._norm, self.expert.eps) * (1 + scale) + shift

    def _edge(self, zero: bool = False) -> Edge:
        p = self.port
        width, axes = p.out or self.features, ("embed", "patch")
        return Edge(width, axes, p.domains, zero, p.bias, name="out")


def shift_and_scale(module: nn.Module, name: str, width: int) -> Array:
    """A learned table [2, D] that is added to the noise level's vector."""
    init = nn.with_logical_partitioning(nn.initializers.normal(width**-0.5), (None, "embed"))
    table: Any = module.param(name, init, (2, width))
    return table


def needs_level(expert: Expert, heads: set[str]) -> bool:
    """Whether anything in the expert reads the noise level's vector."""
    return expert.modulation != "none" or not heads.isdisjoint(LEVELLED)
