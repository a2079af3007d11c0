"""Randomness has names, not positions: adding a draw never changes the others."""

import zlib

import jax

from wamjax.core.typing import Key


def named_keys(key: Key, *names: str) -> dict[str, Key]:
    """One key per name, each a function of `key` and its own name only.

    Raises:
        ValueError: a name is given twice.
    """
    if len(set(names)) != len(names):
        raise ValueError(f"names of random draws must differ, got {names}")
    return {name: jax.random.fold_in(key, zlib.crc32(name.encode())) for name in names}
