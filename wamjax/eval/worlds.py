"""What the evaluation asks of a simulator, and the worlds of one task.

A world is an environment in one variant. A variant is a pytree of int32 with a field `seed`; the
same variant is the same world for every policy, so that policies are compared in pairs.
"""

import dataclasses
from typing import Any, Protocol

import jax
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.records import Observation
from wamjax.core.typing import Array, PyTree

CLEAN = "clean"
AXES = ("camera", "robot", "language", "light", "background", "noise", "layout")
BONUS = ("dynamics",)
"""Perturbed like the axes, reported beside them and counted in none of their means."""


class Env(Protocol):
    """An environment, unbatched and traceable; `state.metrics` has success, distance, diverged,
    mode and other (see `Outcome`)."""

    @property
    def cameras(self) -> tuple[str, ...]: ...
    def reset_variant(self, variant: Any) -> Any: ...
    def step(self, state: Any, action: Array) -> Any: ...
    def observe(self, state: Any) -> Observation: ...
    def render(self, state: Any, camera: Any, size: int) -> Array: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Worlds:
    """The worlds in which every policy is tried on one task.

    Attributes:
        env: the environment of the task.
        variants: pytree of int32 [E].
        axes: per world "clean" or one of AXES or BONUS.
        rows: per world the manifest's row (plain values), copied into the episode records.
        horizon: control steps per episode.
        modes: names of the ways to solve the task, as the metric "mode" numbers them.
        settings: whatever else decides the worlds, in words (such as the physics).
    """

    env: Env
    variants: PyTree
    axes: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    horizon: int
    modes: tuple[str, ...] = ()
    settings: str = ""

    def __post_init__(self) -> None:
        count = len(self.axes)
        if count == 0:
            raise UserError("there are no worlds to evaluate in; ask for at least one.")
        sizes = {np.shape(leaf)[0] for leaf in jax.tree.leaves(self.variants)}
        if sizes != {count} or len(self.rows) != count:
            raise UserError(
                f"the manifest names {count} worlds but {sorted(sizes)} variants and "
                f"{len(self.rows)} rows were given; build them from one manifest."
            )
        unknown = sorted(set(self.axes) - {CLEAN, *AXES, *BONUS})
        if unknown:
            raise UserError(f"{unknown[0]!r} is not a perturbation axis; use {', '.join(AXES)}.")


def take(variants: PyTree, places: np.ndarray) -> PyTree:
    """The variants at `places`, as NumPy arrays."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[places], variants)
