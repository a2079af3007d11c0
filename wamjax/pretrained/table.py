"""A name table: where each tensor of a checkpoint family stands in our tree.

    Rule("blocks.{layer}.attn1.to_q.weight", "layers/qkv/kernel", "(h d) w -> w h d", slot=(2, 0))

reads: of every layer, the weight of `to_q`, turned as said, is index 0 of axis 2 of the leaf
`layers/qkv/kernel`, whose first axis is the layer. Where several of our leaves stand in one tensor,

    Rule("mlp/gate_and_up", "layers/mlp/up/kernel", "l s d f -> s l d f", part=(1, 2))

reads: of two parts, which lead the turned tensor, the second. A table is checked to be a bijection:
every tensor is used once, and every element of our tree is filled once (`wamjax.pretrained.moves`).
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import NamedTuple

PLACE = re.compile(r"\{(\w+)\}")


@dataclasses.dataclass(frozen=True)
class Rule:
    """Moves one tensor, or one of each layer.

    Attributes:
        theirs: its name, with {axis} where a number stands.
        ours: the path of a leaf, "/" between keys. An {axis} that is named in `theirs` only is a
            leading axis of the leaf, in the order of `theirs`; one that is named in both is a key.
        turn: an einops pattern from their axes to those of our slice; empty for the same.
        slot: (axis, index) of our slice in the leaf, counted without the layers; None for the whole
            leaf.
        part: (index, count) of what is taken of the leading axis of the turned tensor; None for all
            of it. All rules of one tensor turn it the same way.
    """

    theirs: str
    ours: str
    turn: str = ""
    slot: tuple[int, int] | None = None
    part: tuple[int, int] | None = None

    @property
    def stacked(self) -> tuple[str, ...]:
        """Axes that lead our leaf."""
        keys = {*PLACE.findall(self.ours)}
        return tuple(axis for axis in PLACE.findall(self.theirs) if axis not in keys)


class Idle(NamedTuple):
    """A tensor that nothing reads and that a reader of theirs wants to find.

    Attributes:
        theirs: its name.
        shape: of it.
        like: a tensor whose dtype it has.
    """

    theirs: str
    shape: tuple[int, ...]
    like: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """The rules of a family at one size.

    Attributes:
        rules: each tensor is moved by one.
        counts: how far each {axis} counts, from 0.
        sizes: of axes that patterns split, by their letter: {"h": 24}.
        ignored: regular expressions of names in files that are no weights (counters, tables).
        blank: tensors some of whose parts nothing reads: those are left out, and written as zeros.
        idle: tensors that nothing reads: left out where they are, and written as zeros.
    """

    rules: tuple[Rule, ...]
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    blank: tuple[str, ...] = ()
    idle: tuple[Idle, ...] = ()
