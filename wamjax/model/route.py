"""One pass of new segments through the stacks: what stands where, and what is known so far.

    embedded segments -> [stack: own tokens + taken tokens, behind the cached ones] -> segments

No weights here: the modules of `Wam` are called between `seat` and `cut`.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping

import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array
from wamjax.model.attention import Seen, seen
from wamjax.model.block import Sight
from wamjax.model.cache import Cache
from wamjax.model.config import Cross, Expert, Stack, WamConfig
from wamjax.model.layout import Layout, Seats, angles_of, counts_of, mask_of, seats
from wamjax.model.rotary import counted_angles
from wamjax.model.segments import Segment, Stream, token_table
from wamjax.model.transformer import Layered


def needed(config: WamConfig, wanted: tuple[Stream, ...] | None) -> list[Stack]:
    """The stacks that predictions of the wanted streams (None: all) depend on, in order."""
    if wanted is None:
        return list(config.stacks)
    ports = [config.port(stream) for stream in wanted]
    homes = {port.into for port in ports if not port.behind}
    names = {port.behind for port in ports if port.behind}
    late = {port.stream for port in ports if not port.behind}
    for stack in reversed(config.stacks):
        # A later stack that takes a wanted stream's tokens has its head's input, unless the head
        # reads before.
        taken = {kind.split("/")[0] for take in stack.takes for kind in take.kinds}
        own = {expert.name for expert in stack.experts}
        if stack.name in names or own & homes or taken & late:
            names |= {stack.name} | {take.stack for take in stack.takes}
            names |= {read.memory for e in stack.experts for read in e.reads.values()}
    return [stack for stack in config.stacks if stack.name in names]


def levels_of(segments: tuple[Segment, ...], sigma: Mapping[str, Array], batch: int) -> list[Array]:
    """The noise level of each segment, [B, 1], or [B, count] by token.

    Args:
        sigma: stream -> [B], or [B, S] for its S noisy segments, or [B, N] for their N tokens; for
            segments that are given, the same by kind ("video/clean"): those that are not named
            stand at 0.
    """
    out, used = [], []
    for segment in segments:
        name = segment.stream if segment.copy == "noisy" else segment.kind
        if segment.copy != "noisy" and name not in sigma:
            out.append(jnp.zeros((batch, 1)))
            continue
        mine = [s.count for s in segments if s.kind == segment.kind]
        before = [count for kind, count in used if kind == segment.kind]
        used.append((segment.kind, segment.count))
        level = sigma[name]
        if level.ndim == 1:
            out.append(level[:, None])
        elif level.shape[1] == len(mine):
            out.append(level[:, len(before) : len(before) + 1])
        else:
            assert level.shape[1] == sum(mine), (segment.stream, level.shape, mine)
            out.append(level[:, sum(before) : sum(before) + segment.count])
    return out


def led(
    config: WamConfig,
    segments: tuple[Segment, ...],
    levels: list[Array],
    told: Iterable[str],
) -> list[Array]:
    """The levels of segments, with those of given ones whose port says `level_of`.

    Args:
        levels: see `levels_of`; told: the names there, which are not replaced.
    """
    leading: dict[tuple[Stream, int], Array] = {}
    for segment, level in zip(segments, levels, strict=True):
        if segment.copy == "noisy":
            leading.setdefault((segment.stream, segment.block), level[:, :1])
    out = []
    for segment, level in zip(segments, levels, strict=True):
        by = config.port(segment.stream).level_of
        if by and segment.copy != "noisy" and segment.kind not in told:
            assert (by, segment.block) in leading, f"{segment.kind} must enter beside noisy {by}"
            level = leading[by, segment.block]
        out.append(level)
    return out


def shared_by(level: Array, count: int) -> tuple[int, ...]:
    """How many of a segment's `count` tokens stand at each of its levels."""
    return (count,) if level.shape[1] == 1 else (1,) * count


@dataclasses.dataclass(frozen=True)
class Seated:
    """An expert's tokens before a stack: [B, N, D], and the segments that they belong to."""

    tokens: Array
    segments: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Route:
    """A pass under way.

    Attributes:
        config, layout, cache: as given.
        real: bool [B, N], which tokens of the whole sequence are real.
        embedded: (segment, expert or memory) -> tokens [B, count, D].
        final: stack -> segment -> its tokens behind that stack; filled on the way.
        everywhere: stack -> its first expert's tokens behind every layer; filled on the way.
        outputs: segment -> its tokens behind its last stack; filled on the way.
    """

    config: WamConfig
    layout: Layout
    cache: Cache
    real: Array
    embedded: Mapping[tuple[int, str], Array]
    final: dict[str, dict[int, Array]] = dataclasses.field(default_factory=dict)
    everywhere: dict[str, Array] = dataclasses.field(default_factory=dict)
    outputs: dict[int, Array] = dataclasses.field(default_factory=dict)

    @property
    def spans(self) -> list[range]:
        """The segments of each cached group, and the new ones."""
        ends = np.cumsum([0, *(len(group.segments) for group in self.cache.groups)]).tolist()
        cached = [range(a, b) for a, b in itertools.pairwise(ends)]
        return [*cached, range(ends[-1], len(self.layout.segments))]

    def seats(self, stack: Stack) -> list[Seats]:
        """Where the tokens of each span stand in a stack."""
        return [seats(self.config, stack, self.layout, span) for span in self.spans]

    def seat(
        self, stack: Stack, expert: Expert, seat: Seats, take: Callable[[int, Array], Array]
    ) -> Seated | None:
        """The new tokens with which an expert begins; None if it has none.

        Args:
            take: (place of the Take in the stack, tokens) -> tokens of the expert's width.
        """
        segments = list(seat.own[expert.name])
        parts = [self.embedded[i, expert.name] for i in segments]
        extra = None
        for place, rule in enumerate(stack.takes):
            if rule.expert != expert.name or not seat.taken[place]:
                continue
            mapped = [take(place, self.final[rule.stack][i]) for i in seat.taken[place]]
            if rule.add:
                mean = jnp.concatenate(mapped, axis=1).mean(axis=1, keepdims=True)
                extra = mean if extra is None else extra + mean
            else:
                parts += mapped
                segments += list(seat.taken[place])
        if not parts:
            return None
        whole = jnp.concatenate([part.astype(self.config.dtype) for part in parts], axis=1)
        if extra is not None:
            whole = whole + extra.astype(whole.dtype)
        return Seated(whole, tuple(segments))

    def memory(self, cross: Cross) -> Array | Layered | None:
        """The new tokens of a memory; None if there are none."""
        source, span = self.config.stack(cross.memory), self.spans[-1]
        if source is None:
            parts = [self.embedded[i, cross.memory] for i in self._feeding(cross, span)]
        elif cross.layer == "same":
            kept = self.everywhere.get(source.name)
            return None if kept is None else Layered(kept)
        else:
            own = seats(self.config, source, self.layout, span).own[source.experts[0].name]
            parts = [self.final[source.name][i] for i in own] if source.name in self.final else []
        return jnp.concatenate(parts, axis=1) if parts else None

    def sight(self, stack: Stack, seated: list[Seats]) -> Sight:
        """What the new tokens see, in the stack and in the memories of its experts."""
        mask = mask_of(self.config, self.layout, stack)
        view = token_table(self.layout.segments).view
        apart = mask & (view[:, None] == view[None, :])
        if stack.by_view and not stack.meet_every:
            mask = apart
        queries = seated[-1].tokens
        columns = np.concatenate([seat.tokens for seat in seated])

        def of(rows: np.ndarray, places: np.ndarray) -> Seen:
            return seen(mask[np.ix_(rows, places)], self.real[:, places])

        memory = {
            name: of(
                queries[seated[-1].share[expert.name]],
                np.concatenate([self._memory_places(read, span) for span in self.spans]),
            )
            for expert in stack.experts
            for name, read in expert.reads.items()
        }
        angles = jnp.take(self._angles(stack, columns), queries, axis=-3)
        own = queries[:, None] == columns[None, :]
        grid, there = np.ix_(queries, columns), self.real[:, columns]
        meet = stack.by_view and stack.meet_every > 0
        return Sight(
            angles,
            seen(mask[grid], there, own),
            memory,
            seen(apart[grid], there, own) if meet else None,
        )

    def _angles(self, stack: Stack, there: np.ndarray) -> Array:
        """Rotary angles of the whole sequence, or of every row [B, N, ...] where tokens count those
        before them; `there` are the places of those that stand in the stack."""
        fixed = jnp.asarray(angles_of(self.config, stack, self.layout))
        counting = counts_of(self.config, self.layout)
        if stack.rotary is None or not counting[there].any():
            return fixed
        mine = np.isin(np.arange(len(counting)), there)
        made = counted_angles(self.real & mine, stack.head_dim, stack.rotary)
        return jnp.where(counting[:, None, None], made, fixed)

    def is_read_by_layer(self, stack: Stack) -> bool:
        """Whether a later stack reads this one's layers."""
        return any(
            read.memory == stack.name and read.layer == "same"
            for later in self.config.stacks
            for expert in later.experts
            for read in expert.reads.values()
        )

    def cut(self, stack: Stack, seated: Mapping[str, Seated], x: Mapping[str, Array]) -> None:
        """Note the stack's results, segment by segment."""
        here: dict[int, Array] = {}
        for name, seat in seated.items():
            if not seat.segments:
                continue
            counts = [self.layout.segments[i].count for i in seat.segments]
            parts = jnp.split(x[name], np.cumsum(counts)[:-1].tolist(), axis=1)
            here |= dict(zip(seat.segments, parts, strict=True))
        self.final[stack.name] = here
        self.outputs.update(here)

    def read(self, segment: int) -> Array | None:
        """What the heads of a segment read; None where it has not been."""
        behind = self.config.port(self.layout.segments[segment].stream).behind
        return (self.final.get(behind, {}) if behind else self.outputs).get(segment)

    def _feeding(self, cross: Cross, span: range) -> list[int]:
        feeds = self.config.feeds(cross.memory)
        return [i for i in span if self.layout.segments[i].stream in feeds]

    def _memory_places(self, cross: Cross, span: range) -> np.ndarray:
        """Places in the whole sequence of a memory's tokens in a group; of a stack, those of its
        first expert."""
        source = self.config.stack(cross.memory)
        if source is not None:
            seat = seats(self.config, source, self.layout, span)
            return seat.tokens[seat.share[source.experts[0].name]]
        starts = self.layout.starts()
        places = [np.arange(starts[i], starts[i + 1]) for i in self._feeding(cross, span)]
        return np.concatenate([np.zeros(0, int), *places])
