"""What the first segments of a sequence leave for those behind them."""

import flax.struct
import jax.numpy as jnp

from wamjax.core.typing import Array, Bool
from wamjax.model.block import KeyValue


@flax.struct.dataclass
class Cache:
    """Keys and values, by stack and by memory.

    Attributes:
        keys: stack -> keys and values of its tokens, [depth, B, M, heads, head_dim].
        memory: expert -> keys and values of its memory, [depth, B, M_e, heads, head_dim].
        real: bool [B, M], all cached tokens in the order of the layout.
        groups: segments in each of the calls that filled it.
    """

    keys: dict[str, KeyValue]
    memory: dict[str, KeyValue]
    real: Bool[Array, "B M"]
    groups: tuple[int, ...] = flax.struct.field(pytree_node=False)


def blank_cache(batch: int) -> Cache:
    """A cache of nothing."""
    return Cache({}, {}, jnp.zeros((batch, 0), bool), ())


def appended(held: KeyValue | None, new: KeyValue) -> KeyValue:
    """Keys and values of all layers, `new` behind `held`."""
    if held is None:
        return new
    return KeyValue(
        jnp.concatenate([held.key, new.key], axis=2),
        jnp.concatenate([held.value, new.value], axis=2),
    )
