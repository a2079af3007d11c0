"""FLOPs of a blueprint by counting: every weight is multiplied with every token that meets it.

    2 x (tokens that meet a weight) x (its elements)             all linear maps
    4 x queries x keys x heads x head_dim                        scores and their sum, every layer
    training: three times that; twice where what enters is data, for which there is no gradient

`train.flops` walks the traced program instead; the two agree within one percent. Scores are counted
for all keys of the sequence, hidden ones too, as a dense product computes them.
"""

import dataclasses
import functools
import math

import jax

from wamjax.core.typing import Params
from wamjax.model.config import Port, Stack
from wamjax.model.layout import seats
from wamjax.model.segments import Stream
from wamjax.recipes.blueprint import Blueprint
from wamjax.recipes.network import shapes


@dataclasses.dataclass(frozen=True)
class Census:
    """How many tokens there are, and where, in the training sequence of a blueprint."""

    blueprint: Blueprint

    @functools.cached_property
    def seated(self) -> dict[str, dict[str, int]]:
        """Stack -> expert -> its tokens there."""
        config, layout = self.blueprint.model, self.blueprint.training
        everything = range(len(layout.segments))
        return {
            stack.name: {
                name: share.stop - share.start
                for name, share in seats(config, stack, layout, everything).share.items()
            }
            for stack in config.stacks
        }

    @functools.cached_property
    def streams(self) -> dict[Stream, int]:
        """Stream -> its tokens."""
        segments = self.blueprint.training.segments
        streams: dict[Stream, None] = dict.fromkeys(segment.stream for segment in segments)
        return {name: sum(s.count for s in segments if s.stream == name) for name in streams}

    def segments(self, expert: str) -> int:
        """Segments that stand in an expert, those it takes over as well: each has a noise level."""
        config, layout = self.blueprint.model, self.blueprint.training
        stack = next(s for s in config.stacks if any(e.name == expert for e in s.experts))
        there = seats(config, stack, layout, range(len(layout.segments)))
        joined = (
            taken
            for place, taken in there.taken.items()
            if stack.takes[place].expert == expert and not stack.takes[place].add
        )
        return len(there.own[expert]) + sum(map(len, joined))

    def levels(self, clock: str) -> int:
        """Segments whose noise level one set of weights reads, by `WamConfig.clock`."""
        own = {
            self.blueprint.model.clock(port.into, port.stream): port
            for port in self.blueprint.model.ports
            if port.own_level
        }
        if clock in own:
            return self.told(own[clock].stream)
        others = [port for port in own.values() if port.into == clock]
        return self.segments(clock) - sum(self.told(port.stream) for port in others)

    def told(self, stream: Stream) -> int:
        """Segments of a stream."""
        return sum(s.stream == stream for s in self.blueprint.training.segments)

    def read(self, stream: Stream) -> int:
        """Tokens of a stream at which something is predicted, and how many make one prediction."""
        found = [s for s in self.blueprint.training.segments if s.stream == stream and s.predicted]
        return sum(segment.count for segment in found) // self.blueprint.model.port(stream).merge

    def memory(self, stack: Stack, reading: str) -> int:
        """Tokens of what is read under a name of `Expert.reads`."""
        config = self.blueprint.model
        cross = next(e.reads[reading] for e in stack.experts if reading in e.reads)
        if cross.memory in self.seated:
            first = config.stack(cross.memory)
            assert first is not None
            return self.seated[cross.memory][first.experts[0].name]
        return sum(
            count for stream, count in self.streams.items() if stream in config.feeds(cross.memory)
        )

    def taken(self, stack: Stack, place: int) -> int:
        """Tokens that a stack takes over by one of its `takes`."""
        kinds = stack.takes[place].kinds
        return sum(s.count for s in self.blueprint.training.segments if s.kind in kinds)

    def rows(self, path: list[str]) -> int:
        """Tokens (or noise levels) that meet the weight at a path of the tree."""
        config, top = self.blueprint.model, path[0]
        if top.startswith("stack_"):
            stack = config.stack(top.removeprefix("stack_"))
            assert stack is not None
            expert, _, part = path[2].rpartition("_")
            if part == "memory":
                return self.memory(stack, expert)
            if "modulation" in path:
                return self.segments(expert)
            return self.seated[stack.name][expert]
        if top.startswith("take_"):
            for stack in config.stacks:
                for place, take in enumerate(stack.takes):
                    if top == f"take_{stack.name}_{take.stack}_{place}":
                        return self.taken(stack, place)
        if top.startswith("level_"):
            return self.levels(top.removeprefix("level_"))
        port = self.port(top)
        if top.startswith("film_") or "modulation" in path:
            return 1
        return self.read(port.stream) if top.startswith("head_") else self.entering(port)

    def entering(self, port: Port) -> int:
        """Tokens that meet a port's own maps: its stream's, and those that go through it."""
        ports = self.blueprint.model.ports
        others = {p.stream for p in ports if (p.through, p.into) == (port.stream, port.into)}
        met = {port.stream, *others}
        return sum(count for stream, count in self.streams.items() if stream in met)

    def port(self, top: str) -> Port:
        """The port whose weights stand under a name at the top of the tree."""
        for port in self.blueprint.model.ports:
            names = (f"embed_{port.stream}", f"head_{port.stream}", f"film_{port.stream}")
            heads = tuple(f"head_{port.stream}_{place}" for place in range(port.heads))
            into = tuple(f"embed_{port.stream}_{to}" for to in (port.into, f"as_{port.through}"))
            if top in (*names, *into, *heads):
                return port
        raise KeyError(top)


def analytic_flops(
    blueprint: Blueprint, batch: int = 1, *, training: bool = True, weights: Params | None = None
) -> float:
    """FLOPs of a training step over `batch` examples, or of its forward pass alone.

    Args:
        weights: their shapes, if they are at hand (of a shorter sequence, too).
    """
    census, total = Census(blueprint), 0.0
    known = shapes(blueprint) if weights is None else weights
    for path, leaf in jax.tree_util.tree_leaves_with_path(known):
        words = jax.tree_util.keystr(path, simple=True, separator="/").split("/")
        if words[-1] != "kernel":
            continue
        size, edge = math.prod(leaf.shape), words[0].startswith(("embed_", "head_"))
        # One of the sets of weights of an edge with domains meets a token.
        if edge and "one" not in words and census.port(words[0]).domains:
            size //= leaf.shape[0] if words[1] in ("in", "out", "kernel") else 1
        times = (2 if words[0].startswith("embed_") else 3) if training else 1
        total += times * 2.0 * census.rows(words) * size
    for stack in blueprint.model.stacks:
        there = census.seated[stack.name]
        pairs = sum(there.values()) ** 2
        pairs += sum(
            there[expert.name] * census.memory(stack, name)
            for expert in stack.experts
            for name in expert.reads
        )
        scores = 4.0 * pairs * stack.heads * stack.head_dim * stack.depth
        total += scores * (3 if training else 1)
    return batch * total
