"""What a checkpoint family is: names, our tree, licence."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from wamjax.core.typing import PyTree
from wamjax.pretrained.moves import Shapes, expand
from wamjax.pretrained.table import Table


class Beside(NamedTuple):
    """What a reader of theirs wants to find beside the weights.

    Attributes:
        config: our leaves by path -> what stands in its `config.json`.
        unknown: what weights do not tell it, in words.
    """

    config: Callable[[Shapes], dict[str, Any]]
    unknown: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """One part of one published size.

    Attributes:
        name: how `wamjax convert` calls it.
        about: what it is, in a few words.
        licence: of its weights, a key of `wamjax.pretrained.licences.LICENCES`.
        layouts: name of a layout -> the table of its names.
        target: our tree of shapes, nested dicts.
        recipe: whose whole tree that is, at full size; empty for a part.
        form: of that recipe; empty for the usual one.
        beside: name of a layout -> what is written beside weights of those names.
    """

    name: str
    about: str
    licence: str
    layouts: Mapping[str, Callable[[], Table]]
    target: Callable[[], PyTree]
    recipe: str = ""
    form: str = ""
    beside: Mapping[str, Beside] = dataclasses.field(default_factory=dict)

    def layout_of(self, names: Iterable[str]) -> str:
        """The layout that knows most of the names of a file, whatever stands before them.

        The first one of those that know as many.
        """
        parts = [name.split(".") for name in names]
        ends = {".".join(part[start:]) for part in parts for start in range(len(part))}
        known = {
            layout: len(ends & {move.theirs for move in expand(make())})
            for layout, make in self.layouts.items()
        }
        return max(known, key=lambda layout: known[layout])
