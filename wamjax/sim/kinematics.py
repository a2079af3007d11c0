"""Forward kinematics of the arm and damped-least-squares inverse kinematics.

One step moves the joints by J^T (J J^T + d^2 I)^-1 e with e = (position error, rotation error in
the base frame), the geometric Jacobian J [6, 7] and damping d (Nakamura and Hanafusa 1986). The
chain is a `lax.scan` over the seven joints, so that the program stays small.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Float, typed
from wamjax.sim import panda, rotations

DAMPING = 0.03
LIMIT_MARGIN = 0.02

_OFFSETS = np.array([link.offset for link in panda.LINKS], np.float32)
_TURNS = np.array([link.quaternion for link in panda.LINKS], np.float32)
_TURNS = _TURNS / np.linalg.norm(_TURNS, axis=1, keepdims=True)
_TIP = np.array([0.0, 0.0, panda.HAND_OFFSET[2] + panda.TIP_OFFSET], np.float32)
_HAND_TURN = np.array(panda.HAND_QUATERNION, np.float32)
_LOW = (panda.LOWER + LIMIT_MARGIN).astype(np.float32)
_HIGH = (panda.UPPER - LIMIT_MARGIN).astype(np.float32)


@flax.struct.dataclass
class Pose:
    """Where the tip is and how the hand is turned, in the base frame.

    Attributes:
        position: float32 [3], m.
        turn: float32 [4], unit quaternion wxyz; x right across the fingers' gap, z out of the hand.
    """

    position: Array
    turn: Array


@typed
def link_frames(
    joints: Float[Array, "7"],
) -> tuple[Float[Array, "7 3"], Float[Array, "7 4"], Float[Array, "7 3"]]:
    """(origins in m, turns as quaternions, joint axes) of the seven links in the base frame."""

    def attach(carry: tuple[Array, Array], link: tuple[Array, Array, Array]):
        place, turn = carry
        offset, fixed, angle = link
        place = place + rotations.rotate(turn, offset)
        turn = rotations.multiply(turn, fixed)
        axis = rotations.rotate(turn, jnp.array([0.0, 0.0, 1.0]))
        turn = rotations.multiply(turn, rotations.about_z(angle))
        return (place, turn), (place, turn, axis)

    start = (jnp.zeros(3), jnp.array([1.0, 0.0, 0.0, 0.0]))
    links = (jnp.asarray(_OFFSETS), jnp.asarray(_TURNS), joints)
    return jax.lax.scan(attach, start, links)[1]


def _tip_of(origin: Array, turn: Array) -> Pose:
    """The tip's pose from the last link's frame."""
    return Pose(
        position=origin + rotations.rotate(turn, jnp.asarray(_TIP)),
        turn=rotations.multiply(turn, jnp.asarray(_HAND_TURN)),
    )


@typed
def tip_pose(joints: Float[Array, "7"]) -> Pose:
    """The tip's pose for joint angles in rad."""
    origins, turns, _ = link_frames(joints)
    return _tip_of(origins[-1], turns[-1])


@typed
def solve(target: Pose, joints: Float[Array, "7"], iterations: int) -> Float[Array, "7"]:
    """Joint angles (rad, inside the limits) that bring the tip near `target`.

    Args:
        target: wanted pose; out of reach gives the nearest the damping allows.
        joints: where to start.
        iterations: steps; three follow a target that moves a few centimetres.
    """

    def improve(angles: Array, _: None) -> tuple[Array, None]:
        origins, turns, axes = link_frames(angles)
        pose = _tip_of(origins[-1], turns[-1])
        wrong = rotations.multiply(target.turn, rotations.conjugate(pose.turn))
        error = jnp.concatenate([target.position - pose.position, rotations.to_vector(wrong)])
        jacobian = jnp.concatenate([jnp.cross(axes, pose.position - origins), axes], axis=1).T
        normal = jacobian @ jacobian.T + DAMPING**2 * jnp.eye(6)
        step = jacobian.T @ jnp.linalg.solve(normal, error)
        step = jnp.clip(step, -0.3, 0.3)
        return jnp.clip(angles + step, _LOW, _HIGH), None

    return jax.lax.scan(improve, joints, None, length=iterations)[0]
