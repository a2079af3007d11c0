"""Is a name table a bijection between a file and a tree? If not, a table says where it is none.

Every tensor of the file is used once, every number of the tree is filled once, shapes are equal.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from einops import EinopsError

from wamjax.core.errors import UserError
from wamjax.core.tree import leaves_by_path
from wamjax.core.typing import PyTree
from wamjax.pretrained.moves import Move, Shapes, by_tensor, expand
from wamjax.pretrained.table import Table
from wamjax.pretrained.tensors import shown

SHOWN = 12
"""Rows of one kind that are printed."""


class Row(NamedTuple):
    """One thing that differs."""

    kind: str
    name: str
    note: str = ""


def shapes_of(tensors: Mapping[str, Any]) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and dtypes of arrays by name."""
    return {k: jax.ShapeDtypeStruct(x.shape, x.dtype) for k, x in tensors.items()}


def wanted(table: Table, shapes: Shapes) -> dict[str, jax.ShapeDtypeStruct]:
    """What is in a file but for what the table ignores, or nothing reads."""
    idle = (re.escape(tensor.theirs) for tensor in table.idle)
    ignored = [re.compile(pattern) for pattern in (*table.ignored, *idle)]
    return {k: x for k, x in shapes.items() if not any(p.fullmatch(k) for p in ignored)}


def differences(table: Table, target: PyTree, shapes: Shapes) -> list[Row]:
    """Why they are no bijection; empty if they are."""
    moves = expand(table)
    rows = [*unfilled(moves, target), *differing(moves, target, wanted(table, shapes))]
    return [*rows, *unread(moves, table.blank)]


def checked(table: Table, target: PyTree, shapes: Shapes) -> tuple[Move, ...]:
    """The moves from a file to a tree.

    Args:
        target: nested dicts of what has a shape.
        shapes: of the tensors in the file.

    Raises:
        UserError: they are no bijection; the rows of all that differs follow the sentence.
    """
    moves, rows = expand(table), differences(table, target, shapes)
    if rows:
        counts = Counter(row.kind for row in rows)
        told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        raise UserError(
            f"the tensors do not fit ({told}){_hint(moves, shapes)}: choose the family and size "
            f"that the file is of.\n{as_text(rows)}"
        )
    return moves


def filling(table: Table, tree: PyTree) -> tuple[Move, ...]:
    """The moves of a table that fills all of a tree.

    Raises:
        UserError: it does not.
    """
    moves = expand(table)
    rows = unfilled(moves, tree)
    if rows:
        raise UserError(
            f"the weights are not those of the family ({len(rows)} leaves differ): choose the one "
            f"they were converted from.\n{as_text(rows)}"
        )
    return moves


def unfilled(moves: Iterable[Move], target: PyTree) -> list[Row]:
    """Leaves of which some number is filled not once, and moves to where nothing is."""
    shapes = {path: tuple(leaf.shape) for path, leaf in leaves_by_path(target).items()}
    of_leaf: dict[str, list[Move]] = {path: [] for path in shapes}
    rows = []
    for move in moves:
        if move.ours in of_leaf:
            of_leaf[move.ours].append(move)
        else:
            rows.append(Row("no such leaf", move.ours, f"for {move.theirs}"))
    for path, found in of_leaf.items():
        rows.extend(_filled(path, shapes[path], found))
    return rows


def _filled(path: str, shape: tuple[int, ...], moves: list[Move]) -> list[Row]:
    # Axes that no move indexes are filled as a whole: one number stands for them.
    indexed = {axis for move in moves for axis, at in enumerate(move.index) if isinstance(at, int)}
    if indexed and max(indexed) >= len(shape):
        return [Row("no such axis", path, f"shape {shape}, index of {max(indexed) + 1} axes")]
    times = np.zeros([n if axis in indexed else 1 for axis, n in enumerate(shape)], np.int32)
    for move in moves:
        try:
            times[move.index] += 1
        except IndexError:
            return [Row("out of range", path, f"{move.theirs} at {move.index} of {shape}")]
    rows = []
    for kind, wrong in (("not filled", times == 0), ("filled twice", times > 1)):
        if wrong.any():
            first = tuple(int(place) for place in np.argwhere(wrong)[0]) if indexed else ()
            rows.append(Row(kind, path, f"{wrong.sum()} of {wrong.size} slices, first {first}"))
    return rows


def differing(moves: Iterable[Move], target: PyTree, shapes: Shapes) -> list[Row]:
    """Tensors that are missing, unexpected, used twice or of another shape."""
    leaves = leaves_by_path(target)
    moves = [*moves]
    uses = Counter(move.theirs for move in moves)
    parts = Counter((move.theirs, move.part) for move in moves)
    rows = [Row("used twice", name) for (name, _), count in parts.items() if count > 1]
    rows += [Row("missing", name) for name in uses if name not in shapes]
    rows += [Row("unexpected", k, str(x.shape)) for k, x in shapes.items() if k not in uses]
    for move in moves:
        if move.ours not in leaves or move.theirs not in shapes:
            continue
        there = tuple(shapes[move.theirs].shape)
        try:
            here = move.their_shape(tuple(leaves[move.ours].shape))
        except IndexError:
            continue  # told by `unfilled`
        except EinopsError as error:
            note = f"{move.ours} does not turn by {move.turn!r} ({str(error).splitlines()[-1]})"
            rows.append(Row("wrong shape", move.theirs, note))
            continue
        if here != there:
            rows.append(Row("wrong shape", move.theirs, f"{there} in the file, {here} expected"))
    return rows


def unread(moves: Iterable[Move], blank: Iterable[str]) -> list[Row]:
    """Parts of tensors that no move takes, but for those that may be blank."""
    rows = []
    for name, own in by_tensor(moves).items():
        taken = {move.part for move in own}
        count = max(part[1] if part else 1 for part in taken)
        whole = {(place, count) for place in range(count)} if None not in taken else {None}
        if taken - whole or (whole - taken and name not in blank):
            rows.append(Row("not read", name, f"{len(taken & whole)} of {count} parts are"))
    return rows


def as_text(rows: Iterable[Row]) -> str:
    """Rows by kind, the first ones of each."""
    by_kind: dict[str, list[Row]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row)
    lines = []
    for kind, own in by_kind.items():
        lines += [f"  {kind:<13} {shown(row.name)}  {row.note}".rstrip() for row in own[:SHOWN]]
        if len(own) > SHOWN:
            lines.append(f"  {kind:<13} ... and {len(own) - SHOWN} more")
    return "\n".join(lines)


def _hint(moves: Iterable[Move], shapes: Shapes) -> str:
    """A prefix under which most names stand."""
    prefixes = Counter(
        name.removesuffix(move.theirs)
        for move in list(moves)[:4]
        for name in shapes
        if name.endswith("." + move.theirs)
    )
    if not prefixes:
        return ""
    return f"; names with the prefix {prefixes.most_common(1)[0][0]!r} are there (--prefix)"
