"""Tensors of a file to their shards on a mesh, one tensor at a time.

A leaf that many tensors share (stacked layers) is made on its devices, and each tensor is written
into it in place (the leaf is donated to the program that does so). Host memory holds, of one
tensor, the mapped pages and the parts for this host's devices: at most twice the largest tensor,
never a leaf and never the tree. Device memory holds the tree and one tensor.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from wamjax.core.errors import UserError
from wamjax.core.tree import leaves_by_path
from wamjax.core.typing import Array, Params, PyTree
from wamjax.pretrained.bijection import checked
from wamjax.pretrained.moved import Megabytes
from wamjax.pretrained.moves import Move, Shapes
from wamjax.pretrained.table import Table
from wamjax.pretrained.tensors import Tensors


def load(
    tensors: Tensors,
    table: Table,
    target: PyTree,
    shardings: PyTree | None = None,
    *,
    dtype: Any = None,
    label: str = "load",
) -> Params:
    """The tree of `target` with the numbers of a checkpoint.

    Args:
        target: nested dicts of what has a shape.
        shardings: the same tree of NamedSharding; by default the first device holds all.
        dtype: of what is made from floating numbers; by default as they are stored.
        label: of the progress that is shown.

    Raises:
        UserError: the tensors are not those of the tree, or stored in dtypes that do not agree.
    """
    shapes = tensors.shapes
    moves = checked(table, target, shapes)
    dtypes = leaf_dtypes(moves, shapes, dtype)
    leaves = leaves_by_path(target)
    places: dict[str, Any] = {} if shardings is None else leaves_by_path(shardings)
    whole = SingleDeviceSharding(jax.devices()[0])
    by_leaf: dict[str, list[Move]] = {path: [] for path in leaves}
    for move in moves:
        by_leaf[move.ours].append(move)
    made: dict[str, Array] = {}
    with Megabytes(label, [shapes[move.theirs] for move in moves]) as bar:
        for path, own in by_leaf.items():
            sharding = places.get(path, whole)
            shape, kind = tuple(leaves[path].shape), dtypes[path]
            for move in own:
                turned = move.turned(tensors.read(move.theirs))
                if move.index == (...,):
                    made[path] = placed(turned, sharding, kind)
                else:
                    if path not in made:
                        made[path] = jnp.zeros(shape, kind, device=sharding)
                    made[path] = written(made[path], turned, move)
                # Else parts would wait for their devices in host memory.
                made[path].block_until_ready()
                bar.moved(shapes[move.theirs])
    return flax.traverse_util.unflatten_dict(made, sep="/")


def leaf_dtypes(moves: tuple[Move, ...], shapes: Shapes, dtype: Any) -> dict[str, np.dtype]:
    """Of every leaf: as stored, or `dtype` for floating numbers.

    Raises:
        UserError: tensors of one leaf are stored in several dtypes, and none is asked for.
    """
    found: dict[str, np.dtype] = {}
    for move in moves:
        stored = np.dtype(shapes[move.theirs].dtype)
        if dtype is not None and jnp.issubdtype(stored, jnp.floating):
            stored = np.dtype(dtype)
        if found.setdefault(move.ours, stored) != stored:
            raise UserError(
                f"{move.ours} is made of tensors in {found[move.ours]} and in {stored} "
                f"({move.theirs}): say by --dtype what it shall be."
            )
    return found


def placed(array: np.ndarray, sharding: Sharding, dtype: np.dtype) -> Array:
    """An array, cast, on its devices; each part is copied from the mapped file once."""
    parts: dict[tuple[tuple[int | None, int | None], ...], np.ndarray] = {}

    def part(index: tuple[slice, ...] | None) -> np.ndarray:
        assert index is not None
        key = tuple((axis.start, axis.stop) for axis in index)
        if key not in parts:
            # A copy, else the device's memory could be that of the file.
            parts[key] = np.array(array[index], dtype, order="C")
        return parts[key]

    return jax.make_array_from_callback(array.shape, sharding, part)


def written(leaf: Array, part: np.ndarray, move: Move) -> Array:
    """The leaf, whose memory is taken over, with one slice of it replaced."""
    index = move.index[:-1]
    at = [x if isinstance(x, int) else 0 for x in index] + [0] * (leaf.ndim - len(index))
    single = tuple(axis for axis, x in enumerate(index) if isinstance(x, int))
    sharding = leaf.sharding
    if isinstance(sharding, NamedSharding):
        spec = [*sharding.spec, *[None] * (leaf.ndim - len(sharding.spec))]
        of_part = [None if axis in single else split for axis, split in enumerate(spec)]
        here = NamedSharding(sharding.mesh, PartitionSpec(*of_part))
    else:
        here = sharding
    new = placed(np.expand_dims(part, single), here, leaf.dtype)
    return _put(leaf.sharding)(leaf, new, np.array(at, np.int32))


@functools.cache
def _put(sharding: Sharding) -> Callable[[Array, Array, np.ndarray], Array]:
    return jax.jit(jax.lax.dynamic_update_slice, donate_argnums=0, out_shardings=sharding)
