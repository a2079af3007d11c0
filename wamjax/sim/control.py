"""What the numbers of an action mean: four frames, each from an action to servo targets and back.

    ee_delta        dx dy dz (m), rotation vector in the base frame (rad), gripper   (the default,
                    Open X-Embodiment's convention)
    ee_absolute     x y z (m), roll pitch yaw (rad) relative to the clean hand, gripper
    joint_delta     joint steps (rad), gripper
    joint_absolute  joint angles (rad), gripper

Per arm, one after the other; gripper 1 is open, 0 closed. Targets are commanded, not measured:
a delta adds to the last target, which is kept within LEASH (m, rad) of the measured pose, so that a
blocked arm does not wind it up. In all frames the target stays inside the workspace and the joints
keep their limits and speeds; end-effector frames move at most LONGEST_STEP and LARGEST_TURN a tick.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import flax.struct
import jax
import jax.numpy as jnp

from wamjax.core.errors import UserError
from wamjax.core.typing import Array, Float, typed
from wamjax.sim import kinematics, rotations, scene
from wamjax.sim.kinematics import Pose
from wamjax.sim.robots.record import Arm, Robot

ActionFrame = Literal["ee_delta", "ee_absolute", "joint_delta", "joint_absolute"]
ACTION_FRAMES: tuple[ActionFrame, ...] = get_args(ActionFrame)
DOWN = (0.0, 1.0, 0.0, 0.0)
"""The hand's turn (wxyz) when it points straight down, fingers along the base's y axis."""
LONGEST_STEP = 0.05
LARGEST_TURN = 0.2
LEASH = 0.07
LEASH_TURN = 0.3
LEASH_JOINT = 0.5
IK_ITERATIONS = 3
EDGE = 0.001
"""What inverse kinematics may miss the edge of the workspace by, m."""


@flax.struct.dataclass
class Command:
    """What one arm is told.

    Attributes:
        target: pose of the tip.
        joints: float32 [J], rad.
    """

    target: Pose
    joints: Array


class Frame(NamedTuple):
    """One meaning of an action.

    Attributes:
        width: numbers per arm without the gripper, from its joint count.
        follow: (arm, workspace, command, measured joints, numbers) -> the next command.
        describe: (command before, command after) -> the numbers that lead there.
    """

    width: Callable[[int], int]
    follow: Callable[[Arm, tuple, Command, Array, Array], Command]
    describe: Callable[[Command, Command], Array]


@typed
def next_target(
    workspace: tuple, target: Pose, measured: Pose, move: Float[Array, "3"], turn: Float[Array, "3"]
) -> Pose:
    """The commanded pose after a step of the end effector.

    Args:
        workspace: m, lowest and highest corner.
        target: commanded so far.
        measured: where the tip is.
        move: m; cut at LONGEST_STEP per axis.
        turn: rotation vector in the base frame (rad); cut at LARGEST_TURN per axis.
    """
    move = jnp.clip(move, -LONGEST_STEP, LONGEST_STEP)
    turn = jnp.clip(turn, -LARGEST_TURN, LARGEST_TURN)
    wanted = target.position + move
    wanted = measured.position + jnp.clip(wanted - measured.position, -LEASH, LEASH)
    wanted = jnp.clip(wanted, jnp.array(workspace[0]), jnp.array(workspace[1]))
    turned = rotations.multiply(rotations.from_vector(turn), target.turn)
    lead = rotations.to_vector(rotations.multiply(turned, rotations.conjugate(measured.turn)))
    lead = lead * jnp.minimum(1.0, LEASH_TURN / jnp.sqrt(jnp.sum(lead**2) + 1e-12))
    turned = rotations.multiply(rotations.from_vector(lead), measured.turn)
    return Pose(position=wanted, turn=turned / jnp.linalg.norm(turned))


def _towards(arm: Arm, command: Command, target: Pose) -> Command:
    """Inverse kinematics, limited to the arm's joint speeds."""
    joints = kinematics.solve(arm, target, command.joints, IK_ITERATIONS)
    return Command(target=target, joints=_limited(arm, command.joints, joints))


def _limited(arm: Arm, before: Array, after: Array) -> Array:
    reach = jnp.asarray(arm.speed / scene.CONTROL_HZ, jnp.float32)
    low, high = jnp.asarray(arm.lower, jnp.float32), jnp.asarray(arm.upper, jnp.float32)
    return jnp.clip(before + jnp.clip(after - before, -reach, reach), low, high)


def _ee_delta(arm: Arm, workspace: tuple, command: Command, joints: Array, x: Array) -> Command:
    measured = kinematics.tip_pose(arm, joints)
    target = next_target(workspace, command.target, measured, x[:3], x[3:])
    return _towards(arm, command, target)


def _ee_absolute(arm: Arm, workspace: tuple, command: Command, joints: Array, x: Array) -> Command:
    measured = kinematics.tip_pose(arm, joints)
    wanted = rotations.multiply(rotations.from_roll_pitch_yaw(x[3:]), jnp.array(DOWN))
    turn = rotations.multiply(wanted, rotations.conjugate(command.target.turn))
    move = x[:3] - command.target.position
    target = next_target(workspace, command.target, measured, move, rotations.to_vector(turn))
    return _towards(arm, command, target)


def _beyond(workspace: tuple, place: Array) -> Array:
    """How far (m) a place lies outside the workspace, at least EDGE."""
    low, high = jnp.array(workspace[0]), jnp.array(workspace[1])
    return jnp.max(jnp.maximum(jnp.maximum(low - place, place - high), EDGE))


def _joints_to(
    arm: Arm, workspace: tuple, command: Command, measured: Array, joints: Array
) -> Command:
    """The joints as told; where the tip would leave the workspace, those that bring it to the edge,
    and where three steps of inverse kinematics cannot, the last ones."""
    joints = measured + jnp.clip(joints - measured, -LEASH_JOINT, LEASH_JOINT)
    joints = _limited(arm, command.joints, joints)
    tip = kinematics.tip_pose(arm, joints)
    inside = jnp.clip(tip.position, jnp.array(workspace[0]), jnp.array(workspace[1]))
    edge = kinematics.solve(arm, Pose(position=inside, turn=tip.turn), joints, IK_ITERATIONS)
    edge = _limited(arm, command.joints, edge)
    joints = jnp.where(jnp.any(inside != tip.position), edge, joints)
    reached = kinematics.tip_pose(arm, joints)
    before = kinematics.tip_pose(arm, command.joints)
    lost = _beyond(workspace, reached.position) > _beyond(workspace, before.position)
    kept = Command(target=before, joints=command.joints)
    moved = Command(target=reached, joints=joints)
    return jax.tree.map(lambda old, new: jnp.where(lost, old, new), kept, moved)


def _joint_delta(arm: Arm, workspace: tuple, command: Command, joints: Array, x: Array) -> Command:
    return _joints_to(arm, workspace, command, joints, command.joints + x)


def _joint_absolute(
    arm: Arm, workspace: tuple, command: Command, joints: Array, x: Array
) -> Command:
    return _joints_to(arm, workspace, command, joints, x)


def _describe_ee_delta(before: Command, after: Command) -> Array:
    turn = rotations.multiply(after.target.turn, rotations.conjugate(before.target.turn))
    move = after.target.position - before.target.position
    return jnp.concatenate([move, rotations.to_vector(turn)])


def _describe_ee_absolute(before: Command, after: Command) -> Array:
    del before
    turn = rotations.multiply(after.target.turn, rotations.conjugate(jnp.array(DOWN)))
    return jnp.concatenate([after.target.position, rotations.to_roll_pitch_yaw(turn)])


FRAMES: dict[ActionFrame, Frame] = {
    "ee_delta": Frame(lambda joints: 6, _ee_delta, _describe_ee_delta),
    "ee_absolute": Frame(lambda joints: 6, _ee_absolute, _describe_ee_absolute),
    "joint_delta": Frame(
        lambda joints: joints, _joint_delta, lambda before, after: after.joints - before.joints
    ),
    "joint_absolute": Frame(
        lambda joints: joints, _joint_absolute, lambda before, after: after.joints
    ),
}


def find_frame(name: ActionFrame) -> Frame:
    """The frame called `name`.

    Raises:
        UserError: there is none.
    """
    if name not in FRAMES:
        raise UserError(f"action frame {name!r} does not exist; known: {', '.join(FRAMES)}.")
    return FRAMES[name]


def action_size(robot: Robot, frame: ActionFrame) -> int:
    """Numbers of an action of all arms, grippers included."""
    return sum(find_frame(frame).width(len(arm.joints)) + 1 for arm in robot.arms)


def split(robot: Robot, frame: ActionFrame, action: Array) -> list[tuple[Array, Array]]:
    """Per arm (numbers, gripper 0..1)."""
    parts, start = [], 0
    for arm in robot.arms:
        width = find_frame(frame).width(len(arm.joints))
        grip = jnp.clip(action[start + width], 0.0, 1.0)
        parts.append((action[start : start + width], grip))
        start += width + 1
    return parts
