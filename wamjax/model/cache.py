"""What the first segments of a sequence leave for those behind them.

    context      stands for the whole episode (the instruction)
    predicted    what a phase of a program has written; forgotten once the chunk is executed
    observed     what was seen and done instead; the oldest fade out of the window

A group is what one call wrote. Groups leave without a trace: the keys of those behind stay as they
were, though they were made while the others stood there, as in a windowed sequence of all.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Bool
from wamjax.model.block import KeyValue
from wamjax.model.config import Positions, Rotary, WamConfig
from wamjax.model.rotary import rotary_angles, rotate
from wamjax.model.segments import Segment

Origin = Literal["context", "predicted", "observed"]


@dataclasses.dataclass(frozen=True)
class Group:
    """What one call wrote.

    Attributes:
        segments: in the order of the sequence.
        origin: what it stands for.
        keys: (stack, the segments whose tokens stand there, in their order there).
        memory: (name of a reading, see `Expert.reads`, tokens of its memory).
    """

    segments: tuple[Segment, ...]
    origin: Origin
    keys: tuple[tuple[str, tuple[Segment, ...]], ...]
    memory: tuple[tuple[str, int], ...]

    @property
    def count(self) -> int:
        """Tokens."""
        return sum(segment.count for segment in self.segments)

    def later(self, time: float, blocks: int) -> "Group":
        """The same at another place in time."""

        def moved(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
            return tuple(
                dataclasses.replace(s, start=s.start + time, block=s.block + blocks)
                for s in segments
            )

        keys = tuple((name, moved(segments)) for name, segments in self.keys)
        return dataclasses.replace(self, segments=moved(self.segments), keys=keys)


@flax.struct.dataclass
class Cache:
    """Keys and values, by stack and by memory.

    Attributes:
        keys: stack -> keys and values of its tokens, [depth, B, M, heads, head_dim].
        memory: name of a reading (`Expert.reads`) -> keys and values of its memory,
            [depth, B, M_e, heads, head_dim].
        real: bool [B, M], all cached tokens in the order of the layout.
        groups: what each of the calls that filled it wrote.
    """

    keys: dict[str, KeyValue]
    memory: dict[str, KeyValue]
    real: Bool[Array, "B M"]
    groups: tuple[Group, ...] = flax.struct.field(pytree_node=False)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """With which a layout of this cache begins."""
        return tuple(segment for group in self.groups for segment in group.segments)


def blank_cache(batch: int) -> Cache:
    """A cache of nothing."""
    return Cache({}, {}, jnp.zeros((batch, 0), bool), ())


def appended(held: KeyValue | None, new: KeyValue) -> KeyValue:
    """Keys and values of all layers, `new` behind `held`."""
    if held is None:
        return new
    return KeyValue(
        jnp.concatenate([held.key, new.key], axis=2),
        jnp.concatenate([held.value, new.value], axis=2),
    )


def chosen(cache: Cache, places: Sequence[int]) -> Cache:
    """The groups at `places`, in that order; one that is named twice stands there twice."""

    def of(array: Array, axis: int, sizes: list[int]) -> Array:
        parts = jnp.split(array, np.cumsum(sizes)[:-1].tolist(), axis=axis)
        return jnp.concatenate([parts[place] for place in places], axis=axis)

    def each(held: dict[str, KeyValue], size: Callable[[Group, str], int]) -> dict[str, KeyValue]:
        sizes = {name: [size(group, name) for group in cache.groups] for name in held}
        return {
            name: jax.tree.map(lambda array, name=name: of(array, 2, sizes[name]), value)
            for name, value in held.items()
        }

    return Cache(
        each(cache.keys, lambda group, name: sum(s.count for s in _there(group, name))),
        each(cache.memory, lambda group, name: sum(n for own, n in group.memory if own == name)),
        of(cache.real, 1, [group.count for group in cache.groups]),
        tuple(cache.groups[place] for place in places),
    )


def without(cache: Cache, origin: Origin) -> Cache:
    """The cache without the groups of an origin: predictions once they are executed."""
    places = [place for place, group in enumerate(cache.groups) if group.origin != origin]
    return chosen(cache, places)


def newest(cache: Cache, count: int) -> Cache:
    """The cache without its oldest observations beyond `count` of them."""
    observed = [p for p, group in enumerate(cache.groups) if group.origin == "observed"]
    gone = observed[: max(0, len(observed) - count)]
    return chosen(cache, [place for place in range(len(cache.groups)) if place not in gone])


def older(config: WamConfig, cache: Cache, time: float, blocks: int) -> Cache:
    """The cache seen from later: everything but the context has moved into the past.

    Keys depend on time through their angles alone, so they are turned back by those of `time`.

    Args:
        config: of the model that made it.
        time, blocks: by how much, in the units of a segment's `start` and `block`.

    Raises:
        ValueError: tokens count those before them as their position, which does not move with time.
    """
    if any(port.positions == "count" for port in config.ports):
        raise ValueError("positions that count tokens do not move with time; give a port a line")
    keys = dict(cache.keys)
    for stack in config.stacks:
        if stack.name not in keys or stack.rotary is None:
            continue
        rotary, sizes = stack.rotary, (stack.head_dim, stack.heads)
        angles = [_between(np.zeros((0, 3)), rotary, "grid", *sizes)]
        for group in cache.groups:
            far = 0.0 if group.origin == "context" else -time
            for segment in _there(group, stack.name):
                kind = config.port(segment.stream).positions
                place = np.tile(np.array([[far, 0.0, 0.0]]), (segment.count, 1))
                angles.append(_between(place, rotary, kind, *sizes))
        held, turn, adjacent = keys[stack.name], np.concatenate(angles), rotary.adjacent
        turned = jax.vmap(lambda key, turn=turn, adjacent=adjacent: rotate(key, turn, adjacent))
        keys[stack.name] = KeyValue(turned(held.key), held.value)
    groups = tuple(
        group if group.origin == "context" else group.later(-time, -blocks)
        for group in cache.groups
    )
    return Cache(keys, cache.memory, cache.real, groups)


def _between(
    step: np.ndarray, rotary: Rotary, kind: Positions, head_dim: int, heads: int
) -> np.ndarray:
    """What the angles change over steps [N, 3]."""
    there, here = (rotary_angles(x, head_dim, rotary, kind, heads) for x in (step, 0 * step))
    return there - here


def _there(group: Group, stack: str) -> tuple[Segment, ...]:
    return next((segments for name, segments in group.keys if name == stack), ())
