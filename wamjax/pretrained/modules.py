"""PyTorch's modules as rows of a table: what a module holds, and where that stands in our tree.

    ("attn1.to_q", "self_attn.q", "video_in/qkv", TO_HEADS, 0)

reads: the module of that name in either layout is number 0 of several in our leaf.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wamjax.pretrained.table import Rule


class Part(NamedTuple):
    """A tensor of a module.

    Attributes:
        theirs: the end of its name.
        ours: the end of our path.
        turn: an einops pattern from their axes to those of our slice; empty for the same.
        several: the axis of our leaf in which modules stand side by side.
    """

    theirs: str
    ours: str
    turn: str = ""
    several: int | None = None


Held = tuple[Part, ...]
# The name in each layout, our path, what it holds, which of several in our leaf (or None).
Module = tuple[str, str, str, Held, int | None]

BIAS = Part(".bias", "/bias")
MATRIX = (Part(".weight", "/kernel", "o i -> i o"),)
LINEAR = (*MATRIX, BIAS)
# The axis of several stands before that of a head: [width, heads, several, head].
HEADS = (Part(".weight", "/kernel", "(h d) w -> w h d", 2),)
TO_HEADS = (*HEADS, Part(".bias", "/bias", "(h d) -> h d", 1))
BACK = (Part(".weight", "/kernel", "w (h d) -> h d w"),)
FROM_HEADS = (*BACK, BIAS)
# Vectors one behind the other, s of them.
VECTORS = (Part(".weight", "/kernel", "(s o) i -> i s o"),)
SIX = (*VECTORS, Part(".bias", "/bias", "(s o) -> s o"))
SCALE = (Part(".weight", "/scale"),)
AFFINE = (*SCALE, BIAS)


def rules(
    modules: Iterable[Module], layout: int, theirs: str = "", ours: str = ""
) -> Iterator[Rule]:
    """The rules of modules in one of the layouts, below `theirs` and `ours`."""
    for *names, path, held, slot in modules:
        for part in held:
            at = None if slot is None or part.several is None else (part.several, slot)
            yield Rule(
                f"{theirs}{names[layout]}{part.theirs}", f"{ours}{path}{part.ours}", part.turn, at
            )
