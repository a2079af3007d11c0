"""One layer: every expert norms, modulates and projects its own tokens; attention is shared.

    x <- x + gate_1 * W_o attention(modulate(norm(x)))          (keys and values of all experts)
    x <- x + gate_2 * mlp(modulate(norm(x)))

Scale, shift and gate come from the noise level of the token's segment (adaptive layer norm with
gates that start at zero, arXiv 2212.09748). Experts with shared attention: arXiv 2411.04996.
"""

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import AnyArray, Array
from wamjax.model.attention import attention
from wamjax.model.config import WamConfig
from wamjax.model.layers import Linear, norm
from wamjax.model.rotary import rotate


@flax.struct.dataclass
class KeyValue:
    """Rotated keys and values, float [..., B, M, heads, head_dim]."""

    key: Array
    value: Array


def spread(values: Array, counts: tuple[int, ...]) -> Array:
    """[B, S, D] -> [B, N, D]: the value of segment s for each of its `counts[s]` tokens.

    Broadcasts, because the gradient of an indexed copy is a scatter, which is slow on CPUs.
    """
    batch, _, width = values.shape
    parts = [
        jnp.broadcast_to(values[:, place : place + 1], (batch, count, width))
        for place, count in enumerate(counts)
    ]
    return jnp.concatenate(parts, axis=1)


class ExpertIn(nn.Module):
    """Norm, modulate, project to query, key and value; and hand on the second half's modulation."""

    config: WamConfig
    width: int

    @nn.compact
    def __call__(self, x: Array, level: Array, counts: tuple[int, ...]) -> tuple[Array, ...]:
        c, dtype = self.config, jnp.dtype(self.config.dtype)
        modulation = Linear((6, self.width), ("embed", None, "mlp"), zero=True, name="modulation")(
            jax.nn.silu(level)
        )
        # One modulation per segment, spread over its tokens: far fewer products than per token.
        shift, scale, gate, *rest = (
            spread(modulation[:, :, place].astype(x.dtype), counts) for place in range(6)
        )
        h = norm(x) * (1 + scale) + shift
        axes = ("embed", None, "heads", "head_dim")
        qkv = Linear((3, c.heads, c.head_dim), axes, dtype=dtype, name="qkv")(h)
        return qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2], gate, *rest


class ExpertOut(nn.Module):
    """Project attention back, add, and run the gated feed-forward part."""

    config: WamConfig
    width: int

    @nn.compact
    def __call__(self, x: Array, attended: Array, modulation: tuple[Array, ...]) -> Array:
        dtype = jnp.dtype(self.config.dtype)
        gate, mlp_shift, mlp_scale, mlp_gate = modulation
        out = Linear(
            (self.width,), ("heads", "head_dim", "embed"), inputs=2, dtype=dtype, name="out"
        )(attended)
        x = x + gate * out.astype(x.dtype)
        h = norm(x) * (1 + mlp_scale) + mlp_shift
        hidden = self.width * self.config.mlp_ratio
        h = Linear((hidden,), ("embed", "mlp"), dtype=dtype, name="up")(h)
        h = Linear((self.width,), ("mlp", "embed"), dtype=dtype, name="down")(
            jax.nn.gelu(h, approximate=True)
        )
        return x + mlp_gate * h.astype(x.dtype)


class Block(nn.Module):
    """A layer over the tokens of all experts present.

    Call:
        tokens: expert -> [B, N_e, D_e]; experts stand in the sequence in this order.
        cache: keys and values of M_c tokens that stand before them (M_c may be 0).
        level: expert -> [B, S_e, D_e], noise-level vector of each segment.
        counts: expert -> number of tokens of each of its segments; they sum to N_e.
        angles: [N, head_dim / 2]; visible: bool [B, N, M_c + N].
        Returns the new tokens, and the keys and values of all N tokens.
    """

    config: WamConfig

    @nn.compact
    def __call__(
        self,
        tokens: dict[str, Array],
        cache: KeyValue,
        level: dict[str, Array],
        counts: dict[str, tuple[int, ...]],
        angles: AnyArray,
        visible: Array,
    ) -> tuple[dict[str, Array], KeyValue]:
        widths = self.config.experts()
        # A dict that went through a scan comes back sorted by name; the sequence has its own order.
        present = [name for name in widths if name in tokens]
        parts = {
            name: ExpertIn(self.config, widths[name], name=f"{name}_in")(
                tokens[name], level[name], counts[name]
            )
            for name in present
        }
        query, key, value = (
            jnp.concatenate([part[place] for part in parts.values()], axis=1) for place in range(3)
        )
        query, key = rotate(query, angles), rotate(key, angles)
        attended = attention(
            query,
            jnp.concatenate([cache.key, key], axis=1),
            jnp.concatenate([cache.value, value], axis=1),
            visible,
        )
        ends = np.cumsum([tokens[name].shape[1] for name in present])[:-1]
        shares = jnp.split(attended, ends.tolist(), axis=1)
        out = {
            name: ExpertOut(self.config, widths[name], name=f"{name}_out")(
                tokens[name], share, parts[name][3:]
            )
            for name, share in zip(present, shares, strict=True)
        }
        return out, KeyValue(key, value)
