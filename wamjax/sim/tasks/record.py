"""What a task is: a record of sampler, wording, success and expert over one shared scene.

The named cube is always cube 0; colours and places are drawn, so pictures do not tell.
"""

import dataclasses
from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Float, Key, typed
from wamjax.sim import rotations
from wamjax.sim.kinematics import Pose
from wamjax.sim.scene import CUBE_HALF

DOWN = (0.0, 1.0, 0.0, 0.0)
"""The hand's turn (wxyz) when it points straight down, fingers along the base's y axis."""
CANDIDATES = 64
STEP = 0.03
"""Longest translation of an expert's action, m per control tick."""


@flax.struct.dataclass
class Layout:
    """Where things are at the start of an episode, in the base frame.

    Attributes:
        cubes: float32 [2, 3], x, y (m) and yaw (rad) of the named cube and of the other.
        spot: float32 [2], m.
        tip: float32 [3], m.
    """

    cubes: Array
    spot: Array
    tip: Array


@flax.struct.dataclass
class Situation:
    """What an expert and a success test know: the true state, never pixels.

    Attributes:
        tip: measured pose of the tool point.
        opening: float32 [], 1 open, 0 closed.
        cubes: float32 [2, 3], centres (m).
        spot: float32 [2], m.
    """

    tip: Pose
    opening: Array
    cubes: Array
    spot: Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Attributes:
        name: as on the command line.
        horizon: control ticks after which an episode has failed.
        wordings: clean instructions, `{cube}` stands for "the red cube".
        sample: random key -> the layout of a world.
        distance: situation -> m, what success is about.
        radius: m, near enough.
        hold: control ticks in a row that the distance must stay below the radius.
        expert: situation -> action float32 [7].
        noise: factor on the noise of demonstrations that the expert copes with.
        spot: whether the marked spot is on the table.
    """

    name: str
    horizon: int
    wordings: tuple[str, ...]
    sample: Callable[[Key], Layout]
    distance: Callable[[Situation], Array]
    radius: float
    hold: int
    expert: Callable[[Situation], Array]
    noise: float
    spot: bool


@typed
def first_valid(candidates: Float[Array, "n k"], valid: Array) -> Float[Array, "k"]:
    """The first candidate that is valid; the last one if none is."""
    index = jnp.argmax(valid.at[-1].set(True))
    return candidates[index]


def uniform_candidates(key: Key, low: tuple[float, ...], high: tuple[float, ...]) -> Array:
    """CANDIDATES points in a box, float32 [n, k]."""
    return jax.random.uniform(
        key, (CANDIDATES, len(low)), minval=jnp.array(low), maxval=jnp.array(high)
    )


@typed
def action_towards(
    situation: Situation, goal: Float[Array, "3"], gripper: float
) -> Float[Array, "7"]:
    """The expert's step to `goal` (m), at most STEP long, turning the hand straight down.

    Returns:
        dx dy dz (m), rotation vector (rad, at most 0.15), gripper (1 open, 0 closed).
    """
    move = goal - situation.tip.position
    length = jnp.sqrt(jnp.sum(move**2) + 1e-12)
    move = move * jnp.minimum(1.0, STEP / length)
    down = jnp.array(DOWN)
    turn = rotations.to_vector(rotations.multiply(down, rotations.conjugate(situation.tip.turn)))
    angle = jnp.sqrt(jnp.sum(turn**2) + 1e-12)
    turn = turn * jnp.minimum(1.0, 0.15 / angle)
    return jnp.concatenate([move, turn, jnp.array([gripper])])


CUBE_TOP = 2 * CUBE_HALF
