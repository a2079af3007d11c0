"""What is in a checkpoint, held against a family: check sums, names, and what was made of them."""

import hashlib
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from wamjax.core.progress import Progress
from wamjax.core.typing import PyTree
from wamjax.pretrained.bijection import Row, differences
from wamjax.pretrained.moved import MB, Megabytes
from wamjax.pretrained.moves import Shapes, expand
from wamjax.pretrained.table import Table
from wamjax.pretrained.tensors import Tensors

AT_ONCE = 2**24


def check_sums(files: Iterable[pathlib.Path]) -> dict[str, dict[str, Any]]:
    """Name -> {bytes, sha256} of each file."""
    told = {}
    listed = [*files]
    size = sum(file.stat().st_size for file in listed)
    with Progress("check sums", round(size / MB), "MB") as bar:
        done = 0
        for file in listed:
            digest = hashlib.sha256()
            with file.open("rb") as opened:
                while piece := opened.read(AT_ONCE):
                    digest.update(piece)
                    done += len(piece)
                    bar.advance(round(done / MB) - bar.count)
            told[file.name] = {"bytes": file.stat().st_size, "sha256": digest.hexdigest()}
    return told


def key_table(table: Table, target: PyTree, shapes: Shapes) -> tuple[list[str], list[Row]]:
    """(a line for each rule: its names, shape, dtype and leaf; what differs)."""
    rows = differences(table, target, shapes)
    lines = []
    for rule in table.rules:
        own = expand(Table(rules=(rule,), counts=table.counts, sizes=table.sizes))
        there = [shapes[move.theirs] for move in own if move.theirs in shapes]
        kinds = sorted({f"{x.dtype}{list(x.shape)}" for x in there}) or ["-"]
        turn = f"  ({rule.turn})" if rule.turn else ""
        lines.append(
            f"{rule.theirs}  {len(there)}/{len(own)}  {' '.join(kinds)}  ->  {rule.ours}{turn}"
        )
    return lines, rows


def unequal(tensors: Tensors, table: Table, made: Tensors) -> list[str]:
    """Names of tensors that are not, number for number, what a conversion made of them."""
    shapes, leaves = tensors.shapes, made.shapes
    moves = expand(table)
    wrong = []
    with Megabytes("compare", [shapes[move.theirs] for move in moves]) as bar:
        for move in moves:
            want = move.turned(tensors.read(move.theirs))
            got = made.read(move.ours)[move.index]
            # A cast is made again; bits are compared, so that NaNs are equal to themselves.
            cast = want.astype(leaves[move.ours].dtype, copy=False)
            bits = np.dtype(f"u{cast.dtype.itemsize}")
            if not np.array_equal(cast.view(bits), got.view(bits)):
                wrong.append(move.theirs)
            bar.moved(shapes[move.theirs])
    return wrong
