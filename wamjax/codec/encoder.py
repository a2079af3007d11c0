"""The layers of published encoders: all tokens attend to all, then a feed-forward part.

    before   x <- x + s_1 attention(norm x)        after   x <- norm(x + attention x)
             x <- x + s_2 mlp(norm x)                      x <- norm(x + mlp x)

T5 (arXiv 1910.10683) and vision transformers (2010.11929) norm before, BERT (1810.04805) after;
the scales s of LayerScale (2103.17239) are 1 elsewhere. Weights of all layers are stacked, and the
layers scanned. What adds up is held in float32, products are computed in `dtype`.
"""

import dataclasses
import math
from typing import Literal

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from wamjax.codec.parameters import bias, kernel, scale
from wamjax.core.typing import Array, Bool, Float, Int, typed

HEADS = ("heads", "head_dim")
ACTIVATIONS = {
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "relu": jax.nn.relu,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layers:
    """The shape of a stack of layers.

    Attributes:
        depth: how many.
        width: D of the tokens.
        heads, head_dim: of attention; T5's need not make up D.
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
    """

    depth: int
    width: int
    heads: int
    head_dim: int
    mlp: int
    activation: Literal["gelu", "gelu_tanh", "relu"] = "gelu"
    gated: bool = False
    norm: Literal["layer", "rms"] = "layer"
    eps: float = 1e-6
    order: Literal["before", "after"] = "before"
    bias: bool = True
    divided: bool = True
    layer_scale: bool = False
    buckets: int = 0


@flax.struct.dataclass
class Sight:
    """What attention knows besides the tokens, the same in every layer; None for nothing.

    Attributes:
        mask: bool [B, M], which keys are real; in a row without any, all weigh the same.
        added: float [heads, N, M], added to the scores.
        bucket: int [N, M], the row of each layer's own table that is added.
        rotation: (cosines, sines), float [N, head_dim], of pairs of neighbours.
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

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = x.astype(jnp.float32)
        if self.kind == "layer":
            x = x - x.mean(-1, keepdims=True)
        unit = x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + self.eps)
        unit = unit * self.param("scale", *scale(x.shape[-1:], ("embed",)))
        if self.kind == "layer":
            unit = unit + self.param("bias", *bias(x.shape[-1:], ("embed",)))
        return unit


@typed
def turned(
    x: Float[Array, "B N heads d"], cosine: Float[Array, "N d"], sine: Float[Array, "N d"]
) -> Float[Array, "B N heads d"]:
    """Pairs (x_2i, x_2i+1) turned by the angles; the two of a pair may have different ones."""
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    across = jnp.stack([-pairs[..., 1], pairs[..., 0]], axis=-1).reshape(x.shape)
    return x * cosine[:, None].astype(x.dtype) + across * sine[:, None].astype(x.dtype)


@typed
def attention(
    query: Float[Array, "B N heads d"],
    key: Float[Array, "B M heads d"],
    value: Float[Array, "B M heads d"],
    factor: float,
    mask: Bool[Array, "B M"] | None = None,
    added: Float[Array, "heads N M"] | None = None,
) -> Float[Array, "B N heads d"]:
    """softmax(factor q k^T + added) v over real keys; scores and softmax in float32."""
    score = jnp.einsum("BNhd,BMhd->BhNM", query, key, preferred_element_type=jnp.float32) * factor
    if added is not None:
        score = score + added
    if mask is not None:
        score = jnp.where(mask[:, None, None], score, jnp.finfo(jnp.float32).min)
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
        features = (3, s.heads, s.head_dim)
        qkv = Linear(features, ("embed", None, *HEADS), name="qkv", **options)(x)
        query, key, value = (qkv[:, :, place] for place in range(3))
        if sight.rotation is not None:
            query, key = (turned(part, *sight.rotation) for part in (query, key))
        added = sight.added
        if s.buckets:
            assert sight.bucket is not None
            added = from_table(self, s.buckets, s.heads, sight.bucket)
        factor = s.head_dim**-0.5 if s.divided else 1.0
        out = attention(query, key, value, factor, sight.mask, added)
        return Linear((s.width,), (*HEADS, "embed"), inputs=2, name="out", **options)(out)

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
    """x behind all layers, which are scanned; within a compact method, whose "layers" they are."""

    def step(layer: Layer, x: Array, _: None) -> tuple[Array, None]:
        return layer(x, sight), None

    scanned = nn.scan(
        step,
        variable_axes={"params": 0},
        split_rngs={"params": True},
        length=shape.depth,
        metadata_params={nn.PARTITION_NAME: "layer"},
    )
    return scanned(Layer(shape, dtype, name="layers"), x, None)[0]
