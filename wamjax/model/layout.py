"""A sequence with its visibility, and where its tokens stand in each stack.

A stack's sequence holds, expert by expert, the segments whose port leads to that expert, in the
order of the layout, and behind them the tokens that it takes over from earlier stacks. A cache
grows by groups of segments (the context first, then perhaps one time block after another), each
laid out like that behind the last.

One visibility table serves all stacks, unless a stack has one of its own: tokens that are taken
over may see other tokens there than where they came from.
"""

import dataclasses
import functools

import numpy as np

from wamjax.model.config import Stack, WamConfig
from wamjax.model.rotary import rotary_angles
from wamjax.model.segments import Segment, token_table
from wamjax.model.visibility import Visibility, visibility_mask


@dataclasses.dataclass(frozen=True)
class Layout:
    """The segments of a sequence with its visibility table; hashable, so static under jit.

    Attributes:
        segments: those that are given stand first.
        table: who sees whom.
        window: hide time blocks further away than this, see model.visibility.
        own: (stack, the table that takes the place of `table` in it).
    """

    segments: tuple[Segment, ...]
    table: Visibility
    window: int | None = None
    own: tuple[tuple[str, Visibility], ...] = ()

    def context(self) -> "Layout":
        """The leading segments that are given, not predicted."""
        return self.first(self.context_count())

    def context_count(self) -> int:
        predicted = [segment.predicted for segment in self.segments]
        return predicted.index(True) if True in predicted else len(predicted)

    def first(self, count: int) -> "Layout":
        """The first `count` segments."""
        return dataclasses.replace(self, segments=self.segments[:count])

    def starts(self) -> np.ndarray:
        """First token of each segment, and the end: int [segments + 1]."""
        return np.cumsum([0, *(segment.count for segment in self.segments)])


@dataclasses.dataclass(frozen=True)
class Seats:
    """The tokens of a group of segments in one stack.

    Attributes:
        own: expert -> segments whose ports lead to it.
        taken: (place of the Take in the stack, segments).
        tokens: place in the whole sequence of each of the stack's tokens, int [N].
        order: the segment of each run of those N.
        share: expert -> slice of those N.
    """

    own: dict[str, tuple[int, ...]]
    taken: dict[int, tuple[int, ...]]
    tokens: np.ndarray
    order: tuple[int, ...]
    share: dict[str, slice]


def home(config: WamConfig, segment: Segment) -> str:
    """The expert in which the segment's tokens live, or the first memory that they fill."""
    return config.port(segment.stream).into


def seats(config: WamConfig, stack: Stack, layout: Layout, group: range) -> Seats:
    """Where the segments of `group` stand in `stack`."""
    starts = layout.starts()
    own: dict[str, tuple[int, ...]] = {}
    taken: dict[int, tuple[int, ...]] = {}
    tokens: list[np.ndarray] = [np.zeros(0, int)]
    order: list[int] = []
    share: dict[str, slice] = {}
    end = 0
    for expert in stack.experts:
        begin = end
        own[expert.name] = tuple(
            i for i in group if home(config, layout.segments[i]) == expert.name
        )
        present = list(own[expert.name])
        for place, take in enumerate(stack.takes):
            if take.expert == expert.name:
                taken[place] = tuple(i for i in group if layout.segments[i].kind in take.kinds)
                present += [] if take.add else taken[place]
        for i in present:
            tokens.append(np.arange(starts[i], starts[i + 1]))
            order.append(i)
            end += layout.segments[i].count
        share[expert.name] = slice(begin, end)
    return Seats(own, taken, np.concatenate(tokens), tuple(order), share)


@functools.lru_cache(maxsize=256)
def mask_of(config: WamConfig, layout: Layout, stack: Stack | None = None) -> np.ndarray:
    """The visibility of the whole sequence, bool [N, N].

    Args:
        stack: where; None for the table that serves every stack without one of its own.

    Raises:
        ValueError: the table hides everything from a token that stands there, or a table is that
            of no stack.
    """
    own = dict(layout.own)
    if strangers := {*own} - {known.name for known in config.stacks}:
        raise ValueError(f"no stack has the name of the table for {', '.join(sorted(strangers))}")
    if stack is None or stack.name not in own:
        table = layout.table
        silent = {s.kind for s in layout.segments if config.expert(home(config, s)) is None}
    else:
        table = own[stack.name]
        there = seats(config, stack, layout, range(len(layout.segments)))
        present = {i for group in (*there.own.values(), *there.taken.values()) for i in group}
        silent = {s.kind for i, s in enumerate(layout.segments) if i not in present}
    return visibility_mask(layout.segments, table, window=layout.window, silent=frozenset(silent))


@functools.lru_cache(maxsize=256)
def angles_of(config: WamConfig, stack: Stack, layout: Layout) -> np.ndarray:
    """Rotary angles of every token of the sequence in `stack`, float32, see model.rotary.

    Those of tokens whose position is a count (see `counts_of`) mean nothing.
    """
    if stack.rotary is None or not stack.heads:
        return np.zeros((int(layout.starts()[-1]), 1, stack.head_dim // 2), np.float32)
    table = token_table(layout.segments)
    parts = [
        rotary_angles(
            table.position[table.segment == place],
            stack.head_dim,
            stack.rotary,
            config.port(segment.stream).positions,
            stack.heads,
        )
        for place, segment in enumerate(layout.segments)
    ]
    return np.concatenate(parts)


@functools.lru_cache(maxsize=256)
def counts_of(config: WamConfig, layout: Layout) -> np.ndarray:
    """Which tokens of the sequence have a count of real ones as their position, bool [N]."""
    counts = [config.port(s.stream).positions == "count" for s in layout.segments]
    return np.repeat(counts, [s.count for s in layout.segments])
