"""Long blocks that two arms grip: which way they lie and where a gripper holds them.

A stick is a block whose x axis is its long one. It looks the same turned by half a turn, so its
direction `u` is the one of the two along that axis that points to the right arm (the world's x).
"""

import flax.struct
import jax
import jax.numpy as jnp

from wamjax.core.typing import Array
from wamjax.sim import rotations
from wamjax.sim.kinematics import Pose
from wamjax.sim.robots import viperx
from wamjax.sim.scene import Block
from wamjax.sim.tasks.moves import (
    HOVER,
    LEVEL,
    OPEN,
    SHUT,
    action_towards,
    hand_yaw,
    wrapped,
)
from wamjax.sim.tasks.record import Situation

LEFT, RIGHT = 0, 1
TRAVEL = 2 * (viperx.WIDE - viperx.SHUT)
"""Between the faces of the open fingers, m."""


def arm_of(situation: Situation, index: int) -> tuple[Pose, Array]:
    """(tip, opening 0..1) of one arm."""
    return jax.tree.map(lambda leaf: leaf[index], situation.tips), situation.openings[index]


def block_of(situation: Situation, index: int = 0) -> Pose:
    """Pose of one block."""
    return jax.tree.map(lambda leaf: leaf[index], situation.blocks)


def direction(stick: Pose) -> Array:
    """u, float32 [3]."""
    axis = rotations.rotate(stick.turn, jnp.array([1.0, 0.0, 0.0]))
    return jnp.where(axis[0] < 0, -axis, axis)


def stick_yaw(stick: Pose) -> Array:
    """Turn of u about the vertical, within a quarter turn of 0, rad."""
    u = direction(stick)
    return wrapped(jnp.arctan2(u[1], u[0]), jnp.pi)


def point_on(stick: Pose, along: Array | float) -> Pose:
    """The place on the stick's axis `along` (m) from its middle towards the right arm."""
    return Pose(position=stick.position + along * direction(stick), turn=stick.turn)


def gap_to(tip: Pose, stick: Pose, shape: Block) -> Array:
    """Distance from the tip to the nearest point of the stick's axis, m."""
    u, offset = direction(stick), tip.position - stick.position
    along = jnp.clip(jnp.dot(offset, u), -shape.half[0], shape.half[0])
    return jnp.linalg.norm(offset - along * u)


@flax.struct.dataclass
class Hold:
    """How a gripper holds a stick.

    Attributes:
        held: bool [], the fingers are about as far apart as the stick is wide.
        firm: bool [], they have touched it for sure; held and no longer firm is a stick that turns.
        along: m from the middle towards the right arm, where the tip is.
    """

    held: Array
    firm: Array
    along: Array


def hold_of(tip: Pose, opening: Array, stick: Pose, shape: Block) -> Hold:
    """Whether and where the fingers are closed on the stick, anywhere along it."""
    u, offset = direction(stick), tip.position - stick.position
    along = jnp.dot(offset, u)
    beside = offset - along * u
    near = (jnp.linalg.norm(beside) < 0.02) & (jnp.abs(along) < shape.half[0])
    share = 2 * shape.half[1] / TRAVEL
    held = near & (opening < share + 0.06) & (opening > share - 0.2)
    return Hold(held=held, firm=held & (opening < share + 0.015), along=along)


def pick_stick(tip: Pose, stick: Pose, along: Array | float) -> Array:
    """Open, over the place `along` (m) on the stick, down, close; exact only across the stick."""
    place, yaw = point_on(stick, along).position, stick_yaw(stick)
    offset = tip.position - place
    ahead = jnp.array([jnp.cos(yaw), jnp.sin(yaw)])
    beyond = jnp.abs(jnp.dot(offset[:2], ahead))
    beside = jnp.abs(offset[0] * ahead[1] - offset[1] * ahead[0])
    askew = jnp.abs(wrapped(hand_yaw(tip) - yaw, jnp.pi))
    lined = (beyond < 0.02) & (beside < 0.014) & (askew < 0.12)
    lost = (beyond > 0.03) | (beside > 0.02)
    rise = jnp.append(tip.position[:2], place[2] + HOVER + 0.01)
    above = place + jnp.array([0.0, 0.0, HOVER])
    goal = jnp.where((offset[2] < 0.055) & lost, rise, above)
    goal = jnp.where(lined, place, goal)
    close = ~lost & (jnp.abs(offset[2]) < LEVEL)
    # Closing fingers centre the stick between them; sideways steps would fight them.
    goal = jnp.where(close, jnp.append(tip.position[:2], place[2]), goal)
    return action_towards(tip, goal, jnp.where(close, SHUT, OPEN), yaw)
