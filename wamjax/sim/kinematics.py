"""Forward kinematics of an arm and damped-least-squares inverse kinematics.

One step moves the joints by J^T (J J^T + d^2 I)^-1 e with e = (position error, rotation error in
the base frame), the geometric Jacobian J [6, J] and damping d (Nakamura and Hanafusa 1986). The
chain is a `lax.scan` over the joints, so that the program stays small.
"""

import flax.struct
import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Float, typed
from wamjax.sim import rotations
from wamjax.sim.robots.record import Arm

DAMPING = 0.03
LIMIT_MARGIN = 0.02


@flax.struct.dataclass
class Pose:
    """Where something is and how it is turned, in the world frame.

    Attributes:
        position: float32 [..., 3], m.
        turn: float32 [..., 4], unit quaternion wxyz; for a tip, x across the fingers, y along their
            slides, z out of the hand.
    """

    position: Array
    turn: Array

    def at(self, index: Array | int) -> "Pose":
        """One of several poses."""
        return Pose(position=self.position[index], turn=self.turn[index])


@typed
def link_frames(
    arm: Arm, joints: Float[Array, "J"]
) -> tuple[Float[Array, "J 3"], Float[Array, "J 4"], Float[Array, "J 3"]]:
    """(origins in m, turns as quaternions, joint axes) of an arm's links in the world frame."""

    def attach(carry: tuple[Array, Array], link: tuple[Array, Array, Array, Array]):
        place, turn = carry
        offset, fixed, local, angle = link
        place = place + rotations.rotate(turn, offset)
        turn = rotations.multiply(turn, fixed)
        axis = rotations.rotate(turn, local)
        half = 0.5 * angle
        spin = jnp.concatenate([jnp.cos(half)[None], jnp.sin(half) * local])
        turn = rotations.multiply(turn, spin)
        return (place, turn), (place, turn, axis)

    base = jnp.asarray(arm.base)
    links = (jnp.asarray(arm.offsets), jnp.asarray(arm.turns), jnp.asarray(arm.axes), joints)
    return jax.lax.scan(attach, (base[:3], base[3:]), links)[1]


def _tip_of(arm: Arm, origin: Array, turn: Array) -> Pose:
    """The tip's pose from the last link's frame."""
    return Pose(
        position=origin + rotations.rotate(turn, jnp.asarray(arm.tip_offset)),
        turn=rotations.multiply(turn, jnp.asarray(arm.tip_turn)),
    )


@typed
def tip_pose(arm: Arm, joints: Float[Array, "J"]) -> Pose:
    """The tip's pose for joint angles in rad."""
    origins, turns, _ = link_frames(arm, joints)
    return _tip_of(arm, origins[-1], turns[-1])


@typed
def solve(arm: Arm, target: Pose, joints: Float[Array, "J"], iterations: int) -> Float[Array, "J"]:
    """Joint angles (rad, inside the limits) that bring the tip near `target`.

    Args:
        arm: whose chain.
        target: wanted pose; out of reach gives the nearest the damping allows.
        joints: where to start.
        iterations: steps; three follow a target that moves a few centimetres.
    """
    low = jnp.asarray(arm.lower + LIMIT_MARGIN, jnp.float32)
    high = jnp.asarray(arm.upper - LIMIT_MARGIN, jnp.float32)

    def improve(angles: Array, _: None) -> tuple[Array, None]:
        origins, turns, axes = link_frames(arm, angles)
        pose = _tip_of(arm, origins[-1], turns[-1])
        wrong = rotations.multiply(target.turn, rotations.conjugate(pose.turn))
        error = jnp.concatenate([target.position - pose.position, rotations.to_vector(wrong)])
        jacobian = jnp.concatenate([jnp.cross(axes, pose.position - origins), axes], axis=1).T
        normal = jacobian @ jacobian.T + DAMPING**2 * jnp.eye(6)
        step = jacobian.T @ jnp.linalg.solve(normal, error)
        step = jnp.clip(step, -0.3, 0.3)
        return jnp.clip(angles + step, low, high), None

    return jax.lax.scan(improve, joints, None, length=iterations)[0]
