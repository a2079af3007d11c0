"""Weights under another implementation's names as a tree of Orbax, the way openpi keeps them.

    OUT/conversion.json    what was asked for
    OUT/params             {"params": tree}, as openpi's `restore_params` reads it

Orbax writes trees that are in memory: ours are mapped from their files, and only tensors that are
put together out of several of our leaves are made. It renames the folder when it is whole.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import flax.traverse_util
import orbax.checkpoint as ocp

from wamjax.core.errors import UserError
from wamjax.pretrained.bijection import filling
from wamjax.pretrained.convert import begun
from wamjax.pretrained.moves import by_tensor, their_tensor
from wamjax.pretrained.orbax_tree import ITEM, WRAPPED
from wamjax.pretrained.table import Table
from wamjax.pretrained.tensors import Tensors


def export_tree(
    tensors: Tensors, table: Table, out: pathlib.Path, request: Mapping[str, Any]
) -> None:
    """Write a tree under their names, which have "/" between keys.

    Args:
        tensors: our leaves by path.
        table: the names to write.
        out: a folder, which need not exist. request: see `convert`.

    Raises:
        UserError: the table is not one of this tree, or the folder has no room or belongs to
            another conversion.
    """
    ours = flax.traverse_util.unflatten_dict(dict(tensors.shapes), sep="/")
    moves = by_tensor(filling(table, ours))
    made = (out / ITEM).resolve()
    try:
        begun(out, request)
        if made.exists():
            return
        arrays = {name: their_tensor(own, tensors.read) for name, own in moves.items()}
        tree = {WRAPPED: flax.traverse_util.unflatten_dict(arrays, sep="/")}
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as writer:
            writer.save(made, args=ocp.args.PyTreeSave(tree))
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror or error}): make room or make it writable."
        ) from error
