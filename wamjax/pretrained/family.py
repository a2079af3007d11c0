"""What a checkpoint family is: names, our tree, licence."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from wamjax.core.typing import PyTree
from wamjax.pretrained.moves import expand
from wamjax.pretrained.table import Table


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """One part of one published size.

    Attributes:
        name: how `wamjax convert` calls it.
        about: what it is, in a few words.
        licence: of its weights, a key of `wamjax.pretrained.licences.LICENCES`.
        layouts: name of a layout -> the table of its names.
        target: our tree of shapes, nested dicts.
        recipe: whose whole tree that is, at full size in its usual form; empty for a part.
    """

    name: str
    about: str
    licence: str
    layouts: Mapping[str, Callable[[], Table]]
    target: Callable[[], PyTree]
    recipe: str = ""

    def layout_of(self, names: Iterable[str]) -> str:
        """The layout that knows most of the names of a file, whatever stands before them."""
        parts = [name.split(".") for name in names]
        ends = {".".join(part[start:]) for part in parts for start in range(len(part))}
        known = {
            layout: len(ends & {move.theirs for move in expand(make())})
            for layout, make in self.layouts.items()
        }
        return max(known, key=lambda layout: known[layout])
