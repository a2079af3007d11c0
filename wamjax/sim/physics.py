"""One control tick: action -> commanded pose -> joint targets -> servos and physics substeps.

Joint targets are followed as a ramp over the tick with velocity feed-forward,

    torque = kp (ramp - q) + kd (speed of the ramp - dq/dt),

so that the arm is where it was told to be when the tick ends. Only positions, velocities and the
solver's warm start are carried from tick to tick; everything else in MuJoCo's data is recomputed.
"""

import flax.struct
import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Float, typed
from wamjax.sim import kinematics, rotations, scene, stepping
from wamjax.sim.control import ActionFrame, Command, find_frame, split
from wamjax.sim.dynamics import Dynamics
from wamjax.sim.kinematics import Pose
from wamjax.sim.robots.record import Arm
from wamjax.sim.robots.registry import find_robot
from wamjax.sim.scene import SceneSpec
from wamjax.sim.stepping import Motion, Resolved

LOWEST, FARTHEST = -0.05, 1.0
"""A block's centre lies above and nearer than this (m), or the world counts as diverged."""


@flax.struct.dataclass
class Body:
    """The moving part of a world.

    Attributes:
        motion: positions and velocities.
        command: what the R arms are told: poses [R], joints [R, J].
    """

    motion: Motion
    command: Command

    @property
    def position(self) -> Array:
        """MuJoCo's qpos, float32 [q]."""
        return self.motion.position


@typed
def start(
    spec: SceneSpec,
    joints: Float[Array, "R J"],
    opening: Float[Array, ""],
    blocks: Float[Array, "N 3"],
) -> Body:
    """A world at rest.

    Args:
        spec: what is on the table.
        joints: rad.
        opening: of all grippers, 0..1.
        blocks: x, y (m) and yaw (rad) of each block.
    """
    where, robot, model = scene.places(spec), find_robot(spec.robot), scene.build_model(spec)
    position = jnp.asarray(model.qpos0, jnp.float32)
    for index, arm in enumerate(robot.arms):
        position = position.at[where.arms[index]].set(joints[index])
        position = position.at[where.fingers[index]].set(slide_of(arm, opening))
    for index, address in enumerate(where.blocks):
        centre = jnp.append(blocks[index, :2], spec.blocks[index].half[2])
        free = jnp.concatenate([centre, rotations.about_z(blocks[index, 2])])
        position = position.at[address : address + 7].set(free)
    # Zeros that depend on the world: a carry that is batched from the start is traced once.
    still = jnp.zeros(model.nv) * joints[0, 0]
    poses = [kinematics.tip_pose(arm, joints[index]) for index, arm in enumerate(robot.arms)]
    target = jax.tree.map(lambda *leaves: jnp.stack(leaves), *poses)
    return Body(
        motion=Motion(position=position, velocity=still, warmstart=still),
        command=Command(target=target, joints=joints),
    )


def slide_of(arm: Arm, opening: Array) -> Array:
    """Finger slide position (m) for an opening of 0..1."""
    grip = arm.gripper
    return grip.shut + (grip.wide - grip.shut) * opening


@typed
def measured_joints(spec: SceneSpec, position: Float[Array, "q"]) -> Float[Array, "R J"]:
    """Joint angles, rad."""
    return jnp.stack([position[address] for address in scene.places(spec).arms])


@typed
def tips(spec: SceneSpec, position: Float[Array, "q"]) -> Pose:
    """Measured poses of the tips, [R, ...]."""
    joints = measured_joints(spec, position)
    arms = find_robot(spec.robot).arms
    poses = [kinematics.tip_pose(arm, joints[index]) for index, arm in enumerate(arms)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *poses)


@typed
def openings(spec: SceneSpec, position: Float[Array, "q"]) -> Float[Array, "R"]:
    """How far the grippers are open, 0..1."""
    where, out = scene.places(spec), []
    for index, arm in enumerate(find_robot(spec.robot).arms):
        grip = arm.gripper
        slide = jnp.sum(position[where.fingers[index]]) / 2
        out.append(jnp.clip((slide - grip.shut) / (grip.wide - grip.shut), 0.0, 1.0))
    return jnp.stack(out)


@typed
def blocks(spec: SceneSpec, position: Float[Array, "q"]) -> Pose:
    """Poses of the blocks, [N, ...]."""
    where = scene.places(spec).blocks
    if not where:
        return Pose(position=jnp.zeros((0, 3)), turn=jnp.zeros((0, 4)))
    return Pose(
        position=jnp.stack([position[address : address + 3] for address in where]),
        turn=jnp.stack([position[address + 3 : address + 7] for address in where]),
    )


@typed
def slides(spec: SceneSpec, position: Float[Array, "q"]) -> Float[Array, "S"]:
    """How far the drawers are out, m."""
    return position[scene.places(spec).slides]


def command_after(
    spec: SceneSpec, frame: ActionFrame, body: Body, action: Array
) -> tuple[Command, Array]:
    """(the next command of all arms, gripper openings [R]) of an action."""
    robot = find_robot(spec.robot)
    joints = measured_joints(spec, body.position)
    follow = find_frame(frame).follow
    told, grips = [], []
    for index, (numbers, grip) in enumerate(split(robot, frame, action)):
        own = jax.tree.map(lambda leaf, index=index: leaf[index], body.command)
        told.append(follow(robot.arms[index], robot.workspace, own, joints[index], numbers))
        grips.append(grip)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *told), jnp.stack(grips)


@typed
def describe(
    spec: SceneSpec, frame: ActionFrame, body: Body, action: Float[Array, "A"]
) -> Float[Array, "B"]:
    """The action in `frame` that leads where the ee_delta action `action` leads."""
    robot = find_robot(spec.robot)
    after, grips = command_after(spec, "ee_delta", body, action)
    parts = []
    for index in range(len(robot.arms)):
        pair = (
            jax.tree.map(lambda leaf, index=index: leaf[index], command)
            for command in (body.command, after)
        )
        parts += [find_frame(frame).describe(*pair), grips[index][None]]
    return jnp.concatenate(parts)


@typed
def advance(
    spec: SceneSpec,
    physics: Resolved,
    frame: ActionFrame,
    body: Body,
    action: Float[Array, "A"],
    fixtures: Float[Array, "F 7"],
    dynamics: Dynamics,
) -> Body:
    """The world one control tick later."""
    robot, where = find_robot(spec.robot), scene.places(spec)
    command, grips = command_after(spec, frame, body, action)
    shares = jnp.arange(1, scene.SUBSTEPS + 1, dtype=jnp.float32) / scene.SUBSTEPS
    controls = jnp.zeros((scene.SUBSTEPS, scene.build_model(spec).nu))
    for index, arm in enumerate(robot.arms):
        lead = jnp.asarray(arm.lead, jnp.float32) * scene.CONTROL_HZ
        before, after = body.command.joints[index], command.joints[index]
        ramp = before + (shares[:, None] + lead) * (after - before)
        controls = controls.at[:, where.arm_controls[index]].set(ramp)
        slide = slide_of(arm, grips[index])
        controls = controls.at[:, where.finger_controls[index]].set(slide)
    motion = stepping.substeps(physics, spec, body.motion, controls, fixtures, dynamics)
    return Body(motion=motion, command=command)


def is_sound(spec: SceneSpec, body: Body) -> Array:
    """Whether everything is finite and all blocks are on the table, bool []."""
    finite = jnp.array(True)
    for leaf in jax.tree.leaves(body):
        finite = finite & jnp.all(jnp.isfinite(leaf))
    places = blocks(spec, body.position).position
    on_table = jnp.all(places[:, 2] > LOWEST) & jnp.all(jnp.abs(places) < FARTHEST)
    return finite & on_table
