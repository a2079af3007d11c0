"""What a solver may know of the world: a velocity and two noise levels.

A state is a tree with one array [B, ...] per stream; levels are a tree of the same structure with
one scalar per stream, since streams may walk different grids side by side.
"""

from collections.abc import Callable

from wamjax.core.typing import PyTree

# (x, scalar sigma per stream) -> slope per stream
Velocity = Callable[[PyTree, PyTree], PyTree]
Step = Callable[[Velocity, PyTree, PyTree, PyTree], PyTree]
