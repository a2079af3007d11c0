"""The layers of published encoders: tokens attend to tokens, then a feed-forward part.

    before   x <- x + s_1 attention(norm x)        after   x <- norm(x + attention x)
             x <- x + s_2 mlp(norm x)                      x <- norm(x + mlp x)

T5 (arXiv 1910.10683) and vision transformers (2010.11929) norm before, BERT (1810.04805) after;
the scales s of LayerScale (2103.17239) are 1 elsewhere. Weights of all layers are stacked, and the
layers scanned. What adds up is held in float32, products are computed in `dtype`.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal, TypeVar, assert_never

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from wamjax.codec.parameters import bias, kernel, scale
from wamjax.core.typing import Array, Bool, Float, Int, typed

HEADS = ("heads", "head_dim")
Pairs = Literal["neighbours", "halves"]
Carry = TypeVar("Carry")
ACTIVATIONS = {
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layers:
    """The shape of a stack of layers.

    Attributes:
        depth: how many.
        width: D of the tokens.
        heads, head_dim: of attention; T5's need not make up D.
        kv_heads: of keys and values, each read by heads / kv_heads neighbours; 0 for `heads`.
        head_norm: queries and keys are normed over a head.
        mlp: F, width of the feed-forward part.
        activation: its bend; "gelu" is the exact one.
        gated: a second map up is multiplied with what was bent.
        norm: "layer" has a bias, "rms" takes no mean off.
        eps: of the norms, added to the variance.
        order: whether parts are normed before them, or what they were added to after them.
        bias: of all linear maps.
        divided: scores are divided by sqrt(head_dim).
        layer_scale: parts are scaled by learned vectors.
        buckets: rows of a table of relative positions of each layer's own, 0 for none.
        pairs: which numbers of a head are turned together: (0, 1), (2, 3), ... or the i-th of the
            first half and of the second.
    """

    depth: int
    width: int
    heads: int
    head_dim: int
    mlp: int
    kv_heads: int = 0
    head_norm: bool = False
    activation: Literal["gelu", "gelu_tanh", "relu", "silu"] = "gelu"
    gated: bool = False
    norm: Literal["layer", "rms"] = "layer"
    eps: float = 1e-6
    order: Literal["before", "after"] = "before"
    bias: bool = True
    divided: bool = True
    layer_scale: bool = False
    buckets: int = 0
    pairs: Pairs = "neighbours"


@flax.struct.dataclass
class Sight:
    """What attention knows besides the tokens, the same in every layer; None for nothing.

    Attributes:
        mask: bool [B, M], which keys are seen, or [B, N, M], by which query; where there are none,
            all weigh the same.
        added: float [heads, N, M], added to the scores.
        bucket: int [N, M], the row of each layer's own table that is added.
        rotation: (cosines, sines), float [N, head_dim] or [B, N, head_dim], of `Layers.pairs`.
    """

    mask: Array | None = None
    added: Array | None = None
    bucket: Array | None = None
    rotation: tuple[Array, Array] | None = None


class Linear(nn.Module):
    """x W + b over the last axes.

    Attributes:
        features: shape of the result's last axes.
        axes: logical names of the weight's axes, inputs first.
        inputs: how many axes of x are summed over.
    """

    features: tuple[int, ...]
    axes: tuple[str | None, ...]
    inputs: int = 1
    bias: bool = True
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        summed = x.shape[x.ndim - self.inputs :]
        weight = self.param(
            "kernel", *kernel((*summed, *self.features), self.axes, fan_in=math.prod(summed))
        )
        y = jnp.tensordot(x.astype(self.dtype), weight.astype(self.dtype), axes=self.inputs)
        if self.bias:
            offset = self.param("bias", *bias(self.features, self.axes[self.inputs :]))
            y = y + offset.astype(self.dtype)
        return y


class Norm(nn.Module):
    """Layer norm or RMS norm of the last axis, with weights, in float32."""

    kind: Literal["layer", "rms"] = "layer"
    eps: float = 1e-6
    axis: str = "embed"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = x.astype(jnp.float32)
        if self.kind == "layer":
            x = x - x.mean(-1, keepdims=True)
        unit = x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + self.eps)
        unit = unit * self.param("scale", *scale(x.shape[-1:], (self.axis,)))
        if self.kind == "layer":
            unit = unit + self.param("bias", *bias(x.shape[-1:], (self.axis,)))
        return unit


@typed
def turned(
    x: Float[Array, "B N heads d"],
    cosine: Float[Array, "*rows N d"],
    sine: Float[Array, "*rows N d"],
    pairs: Pairs = "neighbours",
) -> Float[Array, "B N heads d"]:
    """Pairs (x_2i, x_2i+1), or as halves (x_i, x_i+d/2), turned by the angles.

    Angles are of all rows or of each; the two of a pair may have different ones.
    """
    match pairs:
        case "neighbours":
            split = x.reshape(*x.shape[:-1], -1, 2)
            across = jnp.stack([-split[..., 1], split[..., 0]], axis=-1).reshape(x.shape)
        case "halves":
            first, second = jnp.split(x, 2, axis=-1)
            across = jnp.concatenate([-second, first], axis=-1)
        case _:
            assert_never(pairs)
    cosine, sine = (part[..., None, :].astype(x.dtype) for part in (cosine, sine))
    return x * cosine + across * sine


@typed
def attention(
    query: Float[Array, "B N heads d"],
    key: Float[Array, "B M kv_heads d"],
    value: Float[Array, "B M kv_heads d"],
    factor: float,
    mask: Bool[Array, "B *queries M"] | None = None,
    added: Float[Array, "heads N M"] | None = None,
) -> Float[Array, "B N heads d"]:
    """softmax(factor q k^T + added) v over keys that are seen; scores and softmax in float32.

    Keys and values of fewer heads are read by several heads each, which are neighbours.
    """
    readers = query.shape[2] // key.shape[2]
    key, value = (jnp.repeat(part, readers, axis=2) for part in (key, value))
    score = jnp.einsum("BNhd,BMhd->BhNM", query, key, preferred_element_type=jnp.float32) * factor
    if added is not None:
        score = score + added
    if mask is not None:
        seen = mask if mask.ndim == 3 else mask[:, None]
        score = jnp.where(seen[:, None], score, jnp.finfo(jnp.float32).min)
    weight = jax.nn.softmax(score, axis=-1).astype(value.dtype)
    return jnp.einsum("BhNM,BMhd->BNhd", weight, value)


class Layer(nn.Module):
    """One layer."""

    shape: Layers
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B N D"], sight: Sight) -> Float[Array, "B N D"]:
        for part in (self._attention, self._mlp):
            name = part.__name__.strip("_")
            norm = Norm(self.shape.norm, self.shape.eps, name=f"{name}_norm")
            if self.shape.order == "before":
                x = x + self._scaled(name, part(norm(x), sight))
            else:
                x = norm(x + self._scaled(name, part(x, sight)))
        return x

    def _scaled(self, name: str, change: Array) -> Array:
        change = change.astype(jnp.float32)
        if not self.shape.layer_scale:
            return change
        return change * self.param(f"{name}_scale", *scale((self.shape.width,), ("embed",)))

    def _attention(self, x: Array, sight: Sight) -> Array:
        s = self.shape
        options = {"bias": s.bias, "dtype": self.dtype}
        query, key, value = self._heads(x, options)
        if s.head_norm:
            query, key = (
                Norm(s.norm, s.eps, "head_dim", name=f"{name}_norm")(part).astype(self.dtype)
                for name, part in {"query": query, "key": key}.items()
            )
        if sight.rotation is not None:
            query, key = (turned(part, *sight.rotation, s.pairs) for part in (query, key))
        added = sight.added
        if s.buckets:
            assert sight.bucket is not None
            added = from_table(self, s.buckets, s.heads, sight.bucket)
        factor = s.head_dim**-0.5 if s.divided else 1.0
        out = attention(query, key, value, factor, sight.mask, added)
        return Linear((s.width,), (*HEADS, "embed"), inputs=2, name="out", **options)(out)

    def _heads(self, x: Array, options: dict) -> tuple[Array, Array, Array]:
        """Queries, keys and values."""
        s = self.shape
        if not s.kv_heads:
            features = (3, s.heads, s.head_dim)
            qkv = Linear(features, ("embed", None, *HEADS), name="qkv", **options)(x)
            return qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        query = Linear((s.heads, s.head_dim), ("embed", *HEADS), name="q", **options)(x)
        # Few heads need not divide among devices.
        axes = ("embed", None, None, "head_dim")
        kv = Linear((s.kv_heads, 2, s.head_dim), axes, name="kv", **options)(x)
        return query, kv[:, :, :, 0], kv[:, :, :, 1]

    def _mlp(self, x: Array, _: Sight) -> Array:
        s = self.shape
        options = {"bias": s.bias, "dtype": self.dtype}
        bend = ACTIVATIONS[s.activation]
        up = Linear((s.mlp,), ("embed", "mlp"), name="up", **options)(x)
        if s.gated:
            up = bend(Linear((s.mlp,), ("embed", "mlp"), name="gate", **options)(x)) * up
        else:
            up = bend(up)
        return Linear((s.width,), ("mlp", "embed"), name="down", **options)(up)


def from_table(
    module: nn.Module, buckets: int, heads: int, bucket: Int[Array, "N M"]
) -> Float[Array, "heads N M"]:
    """What a learned table "relative" adds to the scores of each head."""
    table = module.param("relative", *kernel((buckets, heads), (None, "heads"), fan_in=1))
    return jnp.moveaxis(table.astype(jnp.float32)[bucket], -1, 0)


def through(
    shape: Layers, dtype: jnp.dtype, x: Float[Array, "B N D"], sight: Sight
) -> Float[Array, "B N D"]:
    """x behind all layers; within a compact method, whose "layers" they are."""
    return stepped(shape, dtype, x, lambda layer, x, _: layer(x, sight))


def stepped(
    shape: Layers, dtype: jnp.dtype, carry: Carry, step: Callable[[Layer, Carry, Array], Carry]
) -> Carry:
    """What is carried behind all layers, which are scanned; otherwise as `through`.

    Args:
        step: (layer, what is carried, number of the layer, from 0) to what is carried on.
    """
    scanned = nn.scan(
        lambda layer, carry, place: (step(layer, carry, place), None),
        variable_axes={"params": 0},
        split_rngs={"params": True},
        length=shape.depth,
        metadata_params={nn.PARTITION_NAME: "layer"},
    )
    return scanned(Layer(shape, dtype, name="layers"), carry, jnp.arange(shape.depth))[0]
