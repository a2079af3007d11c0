"""What a solver may know of the world: a slope, two noise levels, and what it chose to remember.

A state is a tree with one array [B, ...] per stream; levels are a tree of the same structure with
one scalar per stream, since streams may walk different grids side by side.

`integrate` evaluates the velocity once at the start of a step and hands it over as the slope, so
that it can also hand over an older one (velocity reuse). What a step returns beside the new state
is its memory, which comes back at the next step: the slopes of a multistep method, a random key, a
fixed noise. A solver without a past remembers None.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from wamjax.core.typing import Array, Key, PyTree

# (x, scalar sigma per stream) -> slope per stream
Velocity = Callable[[PyTree, PyTree], PyTree]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where in the grid a step stands.

    Attributes:
        now, after: noise levels at both ends of the step, one scalar per stream.
        index: int32 scalar, 0 at the first step. last: whether this is the last one.
    """

    now: PyTree
    after: PyTree
    index: Array
    last: Array


class Step(Protocol):
    """One step of a solver; `velocity` is there for those that evaluate more than the slope."""

    def __call__(
        self, velocity: Velocity, slope: PyTree, place: Place, x: PyTree, memory: Any, /
    ) -> tuple[PyTree, Any]:
        """The state at `place.after`, and the memory for the next step."""
        ...


@dataclasses.dataclass(frozen=True)
class Method:
    """A solver.

    Attributes:
        init: (state at the start of the grid, its levels, random key or None) -> first memory.
        step: see `Step`.
        evaluations: of the velocity in a step, the slope included.
    """

    init: Callable[[PyTree, PyTree, Key | None], Any]
    step: Step
    evaluations: int = 1


def nothing(noise: PyTree, level: PyTree, key: Key | None) -> None:
    """The memory of a solver that has none."""
