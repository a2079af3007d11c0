"""Steps of the scripted experts: towards a pose, and the phases of picking and placing.

Experts have no memory: the phase is read off the state, so that an expert that is pushed off its
path takes it up again wherever it is. All of them act in the frame ee_delta.
"""

import flax.struct
import jax.numpy as jnp

from wamjax.core.typing import Array, Float, typed
from wamjax.sim import rotations
from wamjax.sim.control import DOWN
from wamjax.sim.kinematics import Pose

STEP = 0.03
"""Longest translation of an expert's action, m per control tick."""
TURN = 0.15
"""Largest rotation of an expert's action, rad per control tick."""
HOVER = 0.075
ALIGNED, LEVEL = 0.012, 0.012
OPEN, SHUT = 1.0, 0.0
CLEAR = 0.07
"""The tip is this far (m) from a block that it has let go before it goes elsewhere."""


@typed
def action_towards(
    tip: Pose, goal: Float[Array, "3"], gripper: Array | float, yaw: Array | float = 0.0
) -> Float[Array, "7"]:
    """The expert's step to `goal` (m), at most STEP long, the hand turning straight down.

    Args:
        tip: where the tool point is.
        goal: m.
        gripper: 1 open, 0 closed.
        yaw: rad, of the hand about the vertical, 0 with the fingers along the base's y axis.

    Returns:
        dx dy dz (m), rotation vector (rad, at most TURN), gripper.
    """
    move = goal - tip.position
    length = jnp.sqrt(jnp.sum(move**2) + 1e-12)
    move = move * jnp.minimum(1.0, STEP / length)
    wanted = rotations.multiply(rotations.about_z(jnp.asarray(yaw, jnp.float32)), jnp.array(DOWN))
    turn = rotations.to_vector(rotations.multiply(wanted, rotations.conjugate(tip.turn)))
    angle = jnp.sqrt(jnp.sum(turn**2) + 1e-12)
    turn = turn * jnp.minimum(1.0, TURN / angle)
    return jnp.concatenate([move, turn, jnp.asarray(gripper, jnp.float32).reshape(1)])


def yaw_of(turn: Array) -> Array:
    """Turn about the vertical of something that stands upright, rad."""
    return rotations.to_roll_pitch_yaw(turn)[..., 2]


def face_yaw(turn: Array) -> Array:
    """Turn about the vertical of a cube on whichever face it lies, within 45 degrees of 0, rad."""
    axes = rotations.to_matrix(turn)
    level = jnp.argmin(jnp.abs(axes[2]))
    return wrapped(jnp.arctan2(axes[1, level], axes[0, level]), jnp.pi / 2)


def hand_yaw(tip: Pose) -> Array:
    """The hand's turn about the vertical, 0 with the fingers along the base's y axis, rad."""
    return yaw_of(rotations.multiply(tip.turn, rotations.conjugate(jnp.array(DOWN))))


def wrapped(angle: Array, period: float) -> Array:
    """The same angle within half a period of zero."""
    return angle - period * jnp.round(angle / period)


def side_of(taste: Array) -> Array:
    """0 or 1, the expert's choice between two ways, int32 []."""
    return (taste > 0.5).astype(jnp.int32)


@flax.struct.dataclass
class Grasp:
    """How a gripper stands to a block.

    Attributes:
        yaw: rad, the hand's turn that grasps it.
        held: whether it is held now.
    """

    yaw: Array
    held: Array


def grasp_of(
    tip: Pose, opening: Array, block: Pose, width: float, side: Array, travel: float = 0.08
) -> Grasp:
    """How the gripper stands to a block of square section.

    Args:
        tip: of the gripper.
        opening: 0..1.
        block: its pose.
        width: m, between the faces that are grasped.
        side: 0 or 1, which pair of faces the expert prefers.
        travel: m between the open fingers.
    """
    own = face_yaw(block.turn)
    other = own - jnp.sign(own + 1e-9) * jnp.pi / 2
    offset = tip.position - block.position
    near = (jnp.linalg.norm(offset[:2]) < 0.02) & (jnp.abs(offset[2]) < 0.025)
    share = width / travel
    held = near & (opening < share + 0.06) & (opening > share - 0.2)
    return Grasp(yaw=jnp.where(side > 0, other, own), held=held)


def pick(tip: Pose, block: Pose, grasp: Grasp) -> Array:
    """Open, over it, down, close."""
    offset = tip.position - block.position
    aside = jnp.linalg.norm(offset[:2])
    askew = jnp.abs(wrapped(hand_yaw(tip) - grasp.yaw, jnp.pi))
    lined = (aside < ALIGNED) & (askew < 0.12)
    down = offset[2] < 0.055
    above = block.position + jnp.array([0.0, 0.0, HOVER])
    rise = jnp.append(tip.position[:2], block.position[2] + HOVER + 0.01)
    goal = jnp.where(down & ~lined & (aside > 0.02), rise, above)
    goal = jnp.where(lined, block.position, goal)
    close = (aside < ALIGNED) & (jnp.abs(offset[2]) < LEVEL)
    # Closing fingers centre the block between them; sideways steps would fight them.
    goal = jnp.where(close, jnp.append(tip.position[:2], block.position[2]), goal)
    return action_towards(tip, goal, jnp.where(close, SHUT, OPEN), grasp.yaw)


def carry(tip: Pose, block: Pose, goal: Array, high: float, yaw: Array) -> Array:
    """A held block over `goal` (its centre's place, m) at a height of `high` (m), then down."""
    hang = tip.position - block.position
    away = jnp.linalg.norm(block.position[:2] - goal[:2])
    over = jnp.append(goal[:2], high) + hang
    low = block.position[2] < high - 0.02
    up = jnp.append(tip.position[:2], high + hang[2])
    wanted = jnp.where((away > 0.04) & low, up, over)
    wanted = jnp.where(away < 0.012, goal + hang, wanted)
    return action_towards(tip, wanted, SHUT, yaw)


def leave(tip: Pose, opening: Array, high: float) -> Array:
    """Let go, then straight up to `high` (m)."""
    free = opening > 0.85
    up = jnp.append(tip.position[:2], jnp.where(free, high, tip.position[2]))
    return action_towards(tip, up, OPEN, hand_yaw(tip))


def is_at(block: Pose, goal: Array, aside: float, level: float) -> Array:
    """Whether a block's centre is within `aside` (m) and `level` (m) of `goal`."""
    gap = block.position - goal
    return (jnp.linalg.norm(gap[:2]) < aside) & (jnp.abs(gap[2]) < level)


def pick_and_place(
    tip: Pose,
    opening: Array,
    block: Pose,
    goal: Array,
    *,
    width: float,
    side: Array,
    high: float,
) -> tuple[Array, Array]:
    """(action, whether the block is placed and the hand is away from it).

    Args:
        tip: of the gripper.
        opening: 0..1.
        block: what is moved.
        goal: m, where its centre shall rest.
        width: m, between the grasped faces.
        side: 0 or 1, which pair of faces.
        high: m, the height at which it is carried.
    """
    grasp = grasp_of(tip, opening, block, width, side)
    there = is_at(block, goal, 0.018, 0.008)
    clear = jnp.linalg.norm(tip.position - block.position) > CLEAR
    action = jnp.where(
        grasp.held, carry(tip, block, goal, high, hand_yaw(tip)), pick(tip, block, grasp)
    )
    away = leave(tip, opening, high)
    return jnp.where(there, away, action), there & clear
