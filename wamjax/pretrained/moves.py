"""A name table turned into single moves: one tensor of theirs is one slice of one of our leaves.

    leaf[index] = rearrange(tensor, turn)        tensor = rearrange(leaf[index], turn backwards)

or several such slices, stacked and turned backwards.

Moves copy numbers and change none, so that both directions together are the identity.
"""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import EllipsisType

import flax.traverse_util
import jax
import numpy as np
from einops import rearrange

from wamjax.core.tree import leaves_by_path
from wamjax.core.typing import Params, PyTree
from wamjax.pretrained.table import PLACE, Rule, Table

Index = tuple[int | slice | EllipsisType, ...]
Shapes = Mapping[str, jax.ShapeDtypeStruct]

AXIS = re.compile(r"[A-Za-z]\w*")


@dataclasses.dataclass(frozen=True)
class Move:
    """One tensor.

    Attributes:
        theirs: its name.
        ours: the path of a leaf.
        index: of the slice in the leaf.
        turn: an einops pattern from their axes to those of the slice; empty for the same.
        sizes: of axes in the pattern.
        part: (index, count) on the leading axis behind the turn; None for the whole tensor.
    """

    theirs: str
    ours: str
    index: Index
    turn: str = ""
    sizes: tuple[tuple[str, int], ...] = ()
    part: tuple[int, int] | None = None

    def turned(self, tensor: np.ndarray) -> np.ndarray:
        """Our slice; a view where strides allow it.

        Raises:
            einops.EinopsError: the shape does not fit the pattern.
        """
        whole = rearrange(tensor, self.turn, **dict(self.sizes)) if self.turn else tensor
        return whole if self.part is None else whole[self.part[0]]

    def returned(self, whole: np.ndarray) -> np.ndarray:
        """Their tensor of our slice, or of all parts, stacked; a view where strides allow it.

        Raises:
            einops.EinopsError: the shape does not fit the pattern.
        """
        if not self.turn:
            return whole
        before, after = self.turn.split("->")
        return rearrange(whole, f"{after} -> {before}", **dict(self.sizes))

    def their_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Of the tensor, for a leaf of `shape`; no memory is needed.

        Raises:
            IndexError, einops.EinopsError: the slice or the pattern does not fit.
        """
        # All numbers of a broadcast scalar are one: axes are split and joined without a copy.
        own = np.broadcast_to(np.int8(0), shape)[self.index]
        if self.part is not None:
            own = np.broadcast_to(own, (self.part[1], *own.shape))
        return self.returned(own).shape


def by_tensor(moves: Iterable[Move]) -> dict[str, list[Move]]:
    """Name of a tensor of theirs -> the moves of its parts, or the one of all of it."""
    found: dict[str, list[Move]] = {}
    for move in moves:
        found.setdefault(move.theirs, []).append(move)
    return found


def their_tensor(moves: Sequence[Move], read: Callable[[str], np.ndarray]) -> np.ndarray:
    """A tensor of theirs; zeros where no move has a part.

    Args:
        moves: all of that tensor.
        read: path -> our leaf.
    """
    first, slices = moves[0], [read(move.ours)[move.index] for move in moves]
    if first.part is None:
        return first.returned(slices[0])
    whole = np.zeros((first.part[1], *slices[0].shape), slices[0].dtype)
    for move, own in zip(moves, slices, strict=True):
        assert move.part is not None
        whole[move.part[0]] = own
    return first.returned(whole)


def expand(table: Table) -> tuple[Move, ...]:
    """All moves of a table, in its order.

    Raises:
        KeyError: a rule counts an axis of which the table does not say how far.
    """
    return tuple(itertools.chain.from_iterable(_moves(rule, table) for rule in table.rules))


def _moves(rule: Rule, table: Table) -> list[Move]:
    axes = tuple(dict.fromkeys(PLACE.findall(rule.theirs)))
    sizes = tuple((axis, table.sizes[axis]) for axis in _letters(rule.turn) if axis in table.sizes)
    slot: Index = ()
    if rule.slot is not None:
        slot = (*[slice(None)] * rule.slot[0], rule.slot[1])
    moves = []
    for numbers in itertools.product(*(range(table.counts[axis]) for axis in axes)):
        at = dict(zip(axes, numbers, strict=True))
        # Ends with ... so that a number, too, is a slice of its leaf.
        index = (*(at[axis] for axis in dict.fromkeys(rule.stacked)), *slot, ...)
        name, path = rule.theirs.format(**at), rule.ours.format(**at)
        moves.append(Move(name, path, index, rule.turn, sizes, rule.part))
    return moves


def _letters(turn: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(AXIS.findall(turn)))


def their_shapes(table: Table, target: PyTree) -> dict[str, jax.ShapeDtypeStruct]:
    """Name -> shape and dtype of all tensors of a file; nothing of full size is made.

    Args:
        target: nested dicts of what has a shape and a dtype.

    Raises:
        KeyError, IndexError, einops.EinopsError: the table is not one of this tree, see
            `wamjax.pretrained.bijection`.
    """
    leaves = leaves_by_path(target)
    made = {
        move.theirs: jax.ShapeDtypeStruct(
            move.their_shape(tuple(leaves[move.ours].shape)), leaves[move.ours].dtype
        )
        for move in expand(table)
    }
    for idle in table.idle:
        made[idle.theirs] = jax.ShapeDtypeStruct(idle.shape, made[idle.like].dtype)
    return made


def ours(table: Table, tensors: Mapping[str, np.ndarray], target: PyTree) -> Params:
    """Our tree of their tensors, in the dtypes of `target`; all in memory.

    Raises:
        UserError: they are not those of the table, see `wamjax.pretrained.bijection.checked`.
    """
    from wamjax.pretrained.bijection import checked, shapes_of

    leaves = leaves_by_path(target)
    made = {path: np.empty(leaf.shape, leaf.dtype) for path, leaf in leaves.items()}
    for move in checked(table, target, shapes_of(tensors)):
        made[move.ours][move.index] = move.turned(tensors[move.theirs])
    return flax.traverse_util.unflatten_dict(made, sep="/")


def theirs(table: Table, params: Params) -> dict[str, np.ndarray]:
    """Their tensors of our tree; the inverse of `ours`."""
    leaves = {path: np.asarray(leaf) for path, leaf in leaves_by_path(params).items()}
    made = {
        name: np.array(their_tensor(moves, leaves.__getitem__), order="C")
        for name, moves in by_tensor(expand(table)).items()
    }
    return made | {idle.theirs: np.zeros(idle.shape, made[idle.like].dtype) for idle in table.idle}
