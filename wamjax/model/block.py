"""One layer: every expert norms, modulates and projects its own tokens; attention is shared.

    x <- x + gate_1 * W_o attention(modulate(norm(x)))          (keys and values of all experts)
    x <- x + gate_2 * W_o attention(modulate(norm(x)), memory)  (experts with cross-attention)
    x <- x + gate_3 * mlp(modulate(norm(x)))

Without modulation the norms have weights and the gates are 1. Without heads the first line is left
out. Experts with shared attention: arXiv 2411.04996.
"""

import functools
import operator
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import AnyArray, Array
from wamjax.model.attention import Seen
from wamjax.model.backends import attend
from wamjax.model.config import Expert, Stack, Ways
from wamjax.model.layers import Linear, Normed, standardised
from wamjax.model.modulation import Modulation, Noise, spread
from wamjax.model.rotary import rotate

HEADS = ("heads", "head_dim")


@flax.struct.dataclass
class KeyValue:
    """Rotated keys and values, float [..., B, M, key heads, head_dim]."""

    key: Array
    value: Array


@flax.struct.dataclass
class Sight:
    """What a stack's queries see.

    Attributes:
        angles: of the new tokens, see model.rotary.
        tokens: M of them, the cached ones, then the new ones.
        memory: name of a reading (`Expert.reads`) -> what its expert's tokens see of its memory.
        apart: what they see of `tokens` in layers where cameras do not meet; None where all layers
            are alike.
    """

    angles: AnyArray
    tokens: Seen
    memory: dict[str, Seen]
    apart: Seen | None = None


def joined(parts: list[KeyValue]) -> KeyValue:
    """Keys and values of tokens that stand one behind the other."""
    if len(parts) == 1:
        return parts[0]
    return jax.tree.map(lambda *arrays: jnp.concatenate(arrays, axis=1), *parts)


def linear(ways: Ways) -> dict[str, Any]:
    """Options of every `Linear` of a layer."""
    return {"dtype": jnp.dtype(ways.dtype), "quantize": ways.quantize}


def attentive(expert: Expert, ways: Ways) -> dict[str, Any]:
    """Options of every `Linear` of attention."""
    return {"bias": expert.bias and expert.attention_bias, **linear(ways)}


class HeadNorm(nn.Module):
    """RMS norm of queries or keys [B, N, heads, head_dim], per head or over all heads at once."""

    expert: Expert

    @nn.compact
    def __call__(self, x: Array) -> Array:
        one, eps = self.expert.from_one, self.expert.qk_eps
        match self.expert.qk_norm:
            case "none":
                return x
            case "head":
                return Normed("rms", "head_dim", eps=eps, from_one=one, name="norm")(x)
            case "full":
                flat = Normed("rms", "heads", eps=eps, from_one=one, name="norm")(
                    x.reshape(*x.shape[:2], x.shape[2] * x.shape[3])
                )
                return flat.reshape(x.shape)


def modulated(x: Array, expert: Expert, vectors: list[Array], name: str) -> Array:
    """norm(x), with its own weights, or scaled and shifted by `vectors` (shift, scale)."""
    e = expert
    if vectors:
        shift, scale = vectors
        return (standardised(x, e.norm, e.eps) * (1 + scale) + shift).astype(x.dtype)
    if e.norm_weights:
        return Normed(e.norm, eps=e.eps, from_one=e.from_one, name=name)(x)
    return standardised(x, e.norm, e.eps).astype(x.dtype)


def added(x: Array, change: Array, gate: list[Array]) -> Array:
    """x + gate * change."""
    change = change.astype(x.dtype)
    return x + (gate[0].astype(x.dtype) * change if gate else change)


class FeedForward(nn.Module):
    """The feed-forward part; the gated ones have two maps up."""

    expert: Expert
    ways: Ways

    @nn.compact
    def __call__(self, x: Array) -> Array:
        e = self.expert
        gates = {"geglu": jax.nn.gelu, "swiglu": jax.nn.silu}
        plain = {
            "gelu": jax.nn.gelu,
            "exact_gelu": functools.partial(jax.nn.gelu, approximate=False),
            "relu": jax.nn.relu,
            "silu": jax.nn.silu,
        }
        options = {"bias": e.bias, **linear(self.ways)}
        h = Linear((e.mlp,), ("embed", "mlp"), name="up", **options)(x)
        if e.activation in gates:
            gate = Linear((e.mlp,), ("embed", "mlp"), name="gate", **options)(x)
            h = gates[e.activation](gate) * h
        else:
            h = plain[e.activation](h)
        return Linear((e.width,), ("mlp", "embed"), name="down", **options)(h)


class ExpertIn(nn.Module):
    """Norm, modulate, project to query, key and value; and hand on the rest of the modulation."""

    expert: Expert
    stack: Stack
    ways: Ways

    @nn.compact
    def __call__(self, x: Array, noise: Noise) -> tuple[Array, Array, Array, list[Array]]:
        e, s = self.expert, self.stack
        vectors = [
            spread(vector.astype(x.dtype), noise.counts)
            for vector in Modulation(e, name="modulation")(noise.level, noise.shared)
        ]
        if not s.heads:
            return x, x, x, vectors[2:]
        h = modulated(x, e, vectors[:2], "norm")
        options = attentive(e, self.ways)
        if s.key_heads == s.heads:
            axes = ("embed", "heads", None, "head_dim")
            qkv = Linear((s.heads, 3, s.head_dim), axes, name="qkv", **options)(h)
            query, key, value = (qkv[:, :, :, place] for place in range(3))
        else:
            query = Linear((s.heads, s.head_dim), ("embed", *HEADS), name="q", **options)(h)
            axes = ("embed", None, None, "head_dim")
            kv = Linear((s.key_heads, 2, s.head_dim), axes, name="kv", **options)(h)
            key, value = kv[:, :, :, 0], kv[:, :, :, 1]
        query = HeadNorm(e, name="query_norm")(query)
        key = HeadNorm(e, name="key_norm")(key)
        return query, key, value, vectors[2:]


class MemoryKeys(nn.Module):
    """Keys and values of an expert's memory."""

    expert: Expert
    stack: Stack
    ways: Ways

    @nn.compact
    def __call__(self, memory: Array) -> KeyValue:
        e, s = self.expert, self.stack
        axes = ("embed", "heads", None, "head_dim")
        options = attentive(e, self.ways)
        kv = Linear((s.heads, 2, s.head_dim), axes, name="kv", **options)(memory)
        return KeyValue(HeadNorm(e, name="key_norm")(kv[:, :, :, 0]), kv[:, :, :, 1])


class ExpertOut(nn.Module):
    """Project attention back and add; attend to the memory; run the feed-forward part."""

    expert: Expert
    stack: Stack
    ways: Ways

    @nn.compact
    def __call__(
        self,
        x: Array,
        attended: Array | None,
        vectors: list[Array],
        memory: Mapping[str, KeyValue],
        sight: Mapping[str, Seen],
    ) -> Array:
        e, s = self.expert, self.stack
        options = attentive(e, self.ways)
        back = {"inputs": 2, **options}
        if attended is not None:
            out = Linear((e.width,), (*HEADS, "embed"), name="out", **back)(attended)
            x = added(x, out, vectors[:1])
        if e.cross is not None:
            own = vectors[1:4] if len(vectors) > 4 else []
            h = modulated(x, e, own[:2], "memory_norm") if own or e.cross.norm else x
            axes = ("embed", *HEADS)
            query = Linear((s.heads, s.head_dim), axes, name="memory_q", **options)(h)
            query = HeadNorm(e, name="memory_query_norm")(query)
            read = [
                attend(query, memory[name].key, memory[name].value, sight[name], self.ways)
                for name in e.reads
                if name in memory
            ]
            assert read, f"nothing has filled the memory {e.cross.memory}"
            heard = functools.reduce(operator.add, read)
            out = Linear((e.width,), (*HEADS, "embed"), name="memory_out", **back)(heard)
            x = added(x, out, own[2:])
        last = vectors[-3:]
        h = modulated(x, e, last[:2], "mlp_norm")
        return added(x, FeedForward(e, self.ways, name="mlp")(h), last[2:])


class Block(nn.Module):
    """A layer over the tokens of all experts present.

    Call:
        tokens: expert -> [B, N_e, D_e]; experts stand in the sequence in the stack's order.
        cache: keys and values of M_c tokens that stand before them (M_c may be 0).
        memory: name of a reading (`Expert.reads`) -> new tokens [B, M_e, W] of its memory.
        held: the same -> keys and values of what its memory had before.
        noise: expert -> levels of its segments; their counts sum to N_e.
        meets: whether cameras meet in this layer, where layers differ.
        Returns the new tokens, the keys and values of all N tokens, and those of `memory`.
    """

    stack: Stack
    ways: Ways = Ways()

    @nn.compact
    def __call__(
        self,
        tokens: dict[str, Array],
        cache: KeyValue,
        memory: Mapping[str, Array],
        held: Mapping[str, KeyValue],
        noise: Mapping[str, Noise],
        sight: Sight,
        meets: Array | None = None,
    ) -> tuple[dict[str, Array], KeyValue, dict[str, KeyValue]]:
        s = self.stack
        # A dict that went through a scan comes back sorted by name; the sequence has its own order.
        experts = {expert.name: expert for expert in s.experts if expert.name in tokens}
        readers = {name: e for e in experts.values() for name in e.reads}
        stored = {
            name: MemoryKeys(readers[name], s, self.ways, name=f"{name}_memory")(given)
            for name, given in memory.items()
        }
        known = {
            name: joined([part for part in (held.get(name), stored.get(name)) if part is not None])
            for name in {*held, *stored}
        }
        vectors: dict[str, list[Array]] = {}
        parts = []
        for name, expert in experts.items():
            module = ExpertIn(expert, s, self.ways, name=f"{name}_in")
            *projected, vectors[name] = module(tokens[name], noise[name])
            parts.append(projected)
        shares: list[Array | None] = [None] * len(experts)
        new = cache
        if s.heads and experts:
            query, key, value = (
                jnp.concatenate([part[place] for part in parts], axis=1) for place in range(3)
            )
            if s.rotary is not None:
                query = rotate(query, sight.angles, s.rotary.adjacent)
                key = rotate(key, sight.angles, s.rotary.adjacent)
            keys = jnp.concatenate([cache.key, key], axis=1)
            values = jnp.concatenate([cache.value, value], axis=1)

            def look(where: Seen) -> Array:
                return attend(query, keys, values, where, self.ways)

            if sight.apart is None or meets is None:
                attended = look(sight.tokens)
            else:
                sights = (sight.tokens, sight.apart)
                attended = jax.lax.cond(meets, *(functools.partial(look, one) for one in sights))
            new = KeyValue(key, value)
            ends = np.cumsum([tokens[name].shape[1] for name in experts])[:-1]
            shares = list(jnp.split(attended, ends.tolist(), axis=1))
        out = {
            name: ExpertOut(expert, s, self.ways, name=f"{name}_out")(
                tokens[name], share, vectors[name], known, sight.memory
            )
            for (name, expert), share in zip(experts.items(), shares, strict=True)
        }
        return out, new, stored
