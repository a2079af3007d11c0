"""A tree on disk: safetensors files of whole leaves, written tensor by tensor, and back.

    OUT/conversion.json                      what was asked for
    OUT/weights-00001-of-00003.safetensors   leaves by their path ("stack_video/layers/...")
    OUT/weights.safetensors.index.json       path -> file; written last: then the tree is whole

No leaf is held in memory: each tensor is written to its slice of the mapped file. A file is there
when it is whole, so that a conversion that was ended goes on behind the last one; the same bytes
come out. (Orbax writes trees that are in memory. What is written here any reader of safetensors
opens, and `load` brings it to a mesh.)
"""

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import flax.traverse_util
import jax
import numpy as np

from wamjax.core.config import difference
from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json
from wamjax.core.tree import leaves_by_path
from wamjax.core.typing import PyTree
from wamjax.pretrained.bijection import checked, filling
from wamjax.pretrained.load import leaf_dtypes
from wamjax.pretrained.moved import Megabytes, bytes_of
from wamjax.pretrained.moves import Move, Shapes, by_tensor, their_shapes, their_tensor
from wamjax.pretrained.safetensors_file import INDEX, SafetensorsFile, sharded, write
from wamjax.pretrained.table import Rule, Table
from wamjax.pretrained.tensors import Tensors

REQUEST, OURS, THEIRS = "conversion.json", "weights", "model"
CONFIG = "config.json"
AT_MOST = 4 * 10**9
"""Bytes of a file, unless one tensor has more."""

Fill = Callable[[str, Callable[[], np.ndarray]], None]


def convert(
    tensors: Tensors,
    table: Table,
    target: PyTree,
    out: pathlib.Path,
    request: Mapping[str, Any],
    *,
    dtype: Any = None,
    at_most: int = AT_MOST,
) -> None:
    """Write the tree of `target` with the numbers of a checkpoint.

    Args:
        out: a folder, which need not exist; what an ended conversion left there is gone on with.
        request: what is asked for, as JSON: another one is refused there.
        dtype: of what is made from floating numbers; by default as they are stored.
        at_most: bytes of a file.

    Raises:
        UserError: the tensors are not those of the tree, or the folder has no room or belongs to
            another conversion.
    """
    shapes = tensors.shapes
    moves = checked(table, target, shapes)
    dtypes = leaf_dtypes(moves, shapes, dtype)
    made = {
        path: jax.ShapeDtypeStruct(leaf.shape, dtypes[path])
        for path, leaf in leaves_by_path(target).items()
    }
    by_leaf: dict[str, list[Move]] = {path: [] for path in made}
    for move in moves:
        by_leaf[move.ours].append(move)
    with Megabytes("convert", (shapes[move.theirs] for move in moves)) as bar:

        def fill(path: str, place: Callable[[], np.ndarray]) -> None:
            for move in by_leaf[path]:
                place()[move.index] = move.turned(tensors.read(move.theirs))
                bar.moved(shapes[move.theirs])

        def had(path: str) -> None:
            for move in by_leaf[path]:
                bar.moved(shapes[move.theirs])

        _write(out, OURS, made, fill, had, request, at_most)


def export(
    tensors: Tensors,
    table: Table,
    out: pathlib.Path,
    request: Mapping[str, Any],
    *,
    at_most: int | None = AT_MOST,
) -> None:
    """Write a tree under their names; the inverse of `convert`.

    Args:
        tensors: our leaves by path.
        table: the names to write; see `own_names` for ours.
        out, request: see `convert`.
        at_most: bytes of a file; None for one file, `model.safetensors`, and no index.

    Raises:
        UserError: the table is not one of this tree, or the folder has no room or belongs to
            another conversion.
    """
    leaves = tensors.shapes
    tree = flax.traverse_util.unflatten_dict(dict(leaves), sep="/")
    moves = by_tensor(filling(table, tree))
    shapes = their_shapes(table, tree)
    with Megabytes("export", shapes.values()) as bar:

        def fill(name: str, place: Callable[[], np.ndarray]) -> None:
            place()[...] = their_tensor(moves[name], tensors.read) if name in moves else 0
            bar.moved(shapes[name])

        _write(out, THEIRS, shapes, fill, lambda name: bar.moved(shapes[name]), request, at_most)


def write_config(out: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Write what a reader of theirs wants beside the weights; one that is there stays.

    Raises:
        UserError: the folder has no room.
    """
    try:
        if not (out / CONFIG).exists():
            write_json(out / CONFIG, content)
    except OSError as error:
        raise _no_room(out, error) from error


def own_names(tree: PyTree) -> Table:
    """The table of a tree's own paths."""
    return Table(rules=tuple(Rule(path, path) for path in leaves_by_path(tree)))


def _write(
    out: pathlib.Path,
    stem: str,
    shapes: Shapes,
    fill: Fill,
    had: Callable[[str], None],
    request: Mapping[str, Any],
    at_most: int | None,
) -> None:
    files = _planned(stem, shapes, at_most)
    try:
        begun(out, request)
        for file, own in files.items():
            if (out / file).exists() and _same(SafetensorsFile(out / file).shapes, own):
                for name in own:
                    had(name)
            else:
                write(out / file, own, fill, {"format": "pt"})
        if at_most is None:
            return
        homes = {name: file for file, own in files.items() for name in own}
        size = sum(map(bytes_of, shapes.values()))
        index = {"metadata": {"total_size": size}, "weight_map": homes}
        write_json(out / f"{stem}{INDEX}", index)
    except OSError as error:
        raise _no_room(out, error) from error


def _no_room(out: pathlib.Path, error: OSError) -> UserError:
    return UserError(
        f"{out} cannot be written ({error.strerror or error}): make room or make it writable, "
        "the same command goes on."
    )


def _planned(
    stem: str, shapes: Shapes, at_most: int | None
) -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
    if at_most is None:
        return {f"{stem}.safetensors": dict(shapes)}
    parts: list[dict[str, jax.ShapeDtypeStruct]] = [{}]
    size = 0
    for name, x in shapes.items():
        if parts[-1] and size + bytes_of(x) > at_most:
            parts.append({})
            size = 0
        parts[-1][name] = x
        size += bytes_of(x)
    count = len(parts)
    return {f"{stem}-{n + 1:05}-of-{count:05}.safetensors": own for n, own in enumerate(parts)}


def _same(one: Shapes, other: Shapes) -> bool:
    return [*one.items()] == [*other.items()]


def begun(out: pathlib.Path, request: Mapping[str, Any]) -> None:
    """Make the folder of a conversion, or go on with it.

    Raises:
        UserError: it belongs to another conversion, or holds something else.
    """
    file = out / REQUEST
    # What a kill left of the two files that are written through a temporary one.
    for left in (*out.glob(f".{REQUEST}.*"), *out.glob(f".*{INDEX}.*")):
        left.unlink()
    asked = json.loads(json.dumps(request))
    if file.exists():
        rows = difference(read_json(file), asked)
        if rows:
            path, there, here = rows[0]
            raise UserError(
                f"{out} belongs to another conversion ({path}: {there!r} there, {here!r} here): "
                "choose another --out."
            )
    elif out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty and holds no conversion: choose another --out.")
    else:
        write_json(file, asked)


def converted(out: pathlib.Path) -> tuple[dict[str, Any], Tensors]:
    """(what was asked for, leaves by path) of a finished conversion.

    Raises:
        UserError: there is none, or it was not finished.
    """
    index = out / f"{OURS}{INDEX}"
    if not index.exists():
        raise UserError(f"{out} holds no finished conversion: start `wamjax convert` there again.")
    return read_json(out / REQUEST), sharded(index)
