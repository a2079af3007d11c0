"""Attention by the splash kernel of JAX: blocks of the table that hide everything are passed over.

The kernel knows a mask that is known beforehand and an integer for every query and key, which must
be equal. What a query sees here is

    (table and the key is real) or (the key is itself)

A query that is padding sees itself and real keys, which no choice of one integer says. So the keys
that may be seen for being the query itself stand there twice:

    keys             mask            integer, 0 for every query
    all              table or own    0 where real
    once more        own             0 where not real

The same sets of keys, with one block more in every row of blocks. Kernel: jax.experimental.pallas,
ops/tpu/splash_attention.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.pallas.ops.tpu.splash_attention import (
    BlockSizes,
    MultiHeadMask,
    NumpyMask,
    SegmentIds,
    make_splash_mha,
)

from wamjax.core.typing import Array
from wamjax.model.attention import Table
from wamjax.parallel.activations import platform

BLOCKS = (512, 256, 128)
"""Lengths of blocks, multiples of a register's 128 lanes."""
WASTE = 8
"""Padding to whole blocks may add one in so many tokens, unless blocks are the smallest."""


def block_for(length: int) -> tuple[int, int]:
    """(length of blocks, length padded to whole ones)."""
    for block in BLOCKS:
        padded = -(-length // block) * block
        if (padded - length) * WASTE <= length or block == BLOCKS[-1]:
            return block, padded
    raise AssertionError


class OneMask(NumpyMask):
    """A mask that is hashed once and equal to itself at sight: a kernel asks for every head of
    every pass, and the table of 16,000 tokens has a quarter of a gigabyte.
    """

    @functools.cached_property
    def _hash(self) -> int:
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other) is True

    def __hash__(self) -> int:
        return self._hash


@functools.lru_cache(maxsize=4)
def mask_of(table: Table, own: Table | None) -> tuple[OneMask, int]:
    """The kernel's mask, padded to whole blocks; and the first of the keys that stand there again.

    The same for equal tables, so that no trace compares it with that of the trace before.
    """
    mask, (count, keys) = table.array, table.array.shape
    first = keys
    if own is not None:
        # Queries are the newest tokens, so that this is a slice.
        first = int(own.array.any(axis=0).argmax())
        mask = np.concatenate([mask | own.array, own.array[:, first:]], axis=1)
    height, width = (block_for(length)[1] for length in mask.shape)
    # Queries of the padding see what the last one sees: a row must not be empty.
    mask = np.pad(mask, ((0, height - count), (0, 0)), mode="edge")
    return OneMask(np.pad(mask, ((0, 0), (0, width - mask.shape[1])))), first


def splash(
    query: Array, key: Array, value: Array, real: Array, *, table: Table, own: Table | None
) -> Array:
    """Shapes as `model.attention.attention`; interpreted, and slow, where there is no TPU.

    Args:
        query: [B, N, heads, head_dim].
        key, value: [B, M, key_heads, head_dim].
        real: bool [B, M].
        table, own: [N, M], see `model.attention.Seen`.
    """
    count, heads, head_dim = query.shape[1:]
    (mask, first), same = mask_of(table, own), ~real
    if own is not None:
        key, value = (jnp.concatenate([part, part[:, first:]], axis=1) for part in (key, value))
        same = jnp.concatenate([~real, real[:, first:]], axis=1)
    (rows, height), (columns, width) = block_for(count), block_for(key.shape[1])
    kernel: Any = make_splash_mha(
        MultiHeadMask([mask] * heads),
        block_sizes=BlockSizes(
            block_q=rows,
            block_kv=columns,
            block_kv_compute=columns,
            block_q_dkv=rows,
            block_kv_dkv=columns,
            block_kv_dkv_compute=columns,
            block_q_dq=rows,
            block_kv_dq=columns,
        ),
        head_shards=1,
        q_seq_shards=1,
        interpret=platform() != "tpu",
    )

    def lined(x: Array, length: int) -> Array:
        x = jnp.pad(x, ((0, 0), (0, length - x.shape[1]), (0, 0), (0, 0)))
        return jnp.swapaxes(x, 1, 2)

    scaled = (query.astype(jnp.float32) * head_dim**-0.5).astype(query.dtype)
    numbers = SegmentIds(
        q=jnp.zeros((query.shape[0], height), jnp.int32),
        kv=jnp.pad(same.astype(jnp.int32), ((0, 0), (0, width - same.shape[1]))),
    )
    run = jax.vmap(kernel)
    out = run(lined(scaled, height), lined(key, width), lined(value, width), numbers)
    return jnp.swapaxes(out, 1, 2)[:, :count]
