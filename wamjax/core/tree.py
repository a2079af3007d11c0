"""Trees of weights by path: counts, bytes, and one hash that names a set of weights."""

import hashlib

import jax
import numpy as np

from wamjax.core.typing import PyTree


def leaves_by_path(tree: PyTree) -> dict[str, jax.Array | np.ndarray]:
    """Leaves keyed by their path ("model/trunk/query/kernel"), sorted."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in flat}
    return dict(sorted(named.items()))


def count_parameters(tree: PyTree) -> int:
    """Number of scalars in all leaves."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def weights_sha256(tree: PyTree) -> str:
    """SHA-256 over path, dtype, shape and bytes of every leaf, in the order of the paths."""
    digest = hashlib.sha256()
    for path, leaf in leaves_by_path(tree).items():
        array = np.asarray(jax.device_get(leaf))
        digest.update(f"{path}:{array.dtype}:{array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
