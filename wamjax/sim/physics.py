"""One control tick: action -> target pose -> joint targets -> servo and MJX substeps.

The target pose is commanded, not measured: target' = target + action, kept inside the workspace
and within LEASH (m) and LEASH_TURN (rad) of the measured pose, so that a blocked arm does not wind
it up. Joint targets come from inverse kinematics, limited to the
arm's joint speeds, and are followed as a ramp over the tick with velocity feed-forward,

    torque = kp (ramp - q) + kd (speed of the ramp - dq/dt),

so that the arm is where it was told to be when the tick ends. Only positions, velocities and the
solver's warm start are carried from tick to tick; everything else in MJX's data is recomputed.
"""

import functools

import flax.struct
import jax
import jax.numpy as jnp
import mujoco

from wamjax.core.typing import Array, Float, typed
from wamjax.sim import kinematics, panda, rotations, scene
from wamjax.sim.kinematics import Pose
from wamjax.sim.simulators import mjx

WORKSPACE_LOW = (0.28, -0.40, 0.022)
WORKSPACE_HIGH = (0.76, 0.40, 0.50)
LONGEST_STEP = 0.05
LARGEST_TURN = 0.2
LEASH = 0.07
LEASH_TURN = 0.3
IK_ITERATIONS = 3
LOWEST, FARTHEST = -0.05, 1.0
"""A cube's centre lies above and nearer than this (m), or the world counts as diverged."""


@flax.struct.dataclass
class Body:
    """The moving part of a world.

    Attributes:
        position: float32 [23], MuJoCo's qpos.
        velocity: float32 [21], MuJoCo's qvel.
        warmstart: float32 [21], the solver's last accelerations.
        target: commanded tip pose.
        joints: float32 [7], commanded joint angles (rad).
    """

    position: Array
    velocity: Array
    warmstart: Array
    target: Pose
    joints: Array


@functools.cache
def _mjx_model() -> tuple[mjx.Model, mjx.Data]:
    """The model and blank data, as constants of whatever program uses them."""
    model = scene.build_physics_model()
    data = mujoco.MjData(model)
    with jax.ensure_compile_time_eval():
        return mjx.put_model(model, impl="jax"), mjx.put_data(model, data, impl="jax")


@typed
def start(joints: Float[Array, "7"], cubes: Float[Array, "2 3"]) -> Body:
    """A world at rest with an open gripper.

    Args:
        joints: rad.
        cubes: x, y (m) and yaw (rad) of each cube.
    """
    where = scene.places()
    position = jnp.asarray(scene.build_model().qpos0, jnp.float32)
    position = position.at[where.arm].set(joints)
    position = position.at[where.fingers].set(panda.FINGER_TRAVEL)
    for cube, address in enumerate(where.cubes):
        centre = jnp.append(cubes[cube, :2], scene.CUBE_HALF)
        free = jnp.concatenate([centre, rotations.about_z(cubes[cube, 2])])
        position = position.at[address : address + 7].set(free)
    # Zeros that depend on the world: a carry that is batched from the start is traced once.
    still = jnp.zeros(scene.build_model().nv) * joints[0]
    return Body(
        position=position,
        velocity=still,
        warmstart=still,
        target=kinematics.tip_pose(joints),
        joints=joints,
    )


@typed
def measured_joints(position: Float[Array, "23"]) -> Float[Array, "7"]:
    """Joint angles, rad."""
    return position[scene.places().arm]


@typed
def opening(position: Float[Array, "23"]) -> Float[Array, ""]:
    """How far the gripper is open, 0..1."""
    fingers = position[scene.places().fingers]
    return jnp.clip(jnp.sum(fingers) / (2 * panda.FINGER_TRAVEL), 0.0, 1.0)


@typed
def cube_centres(position: Float[Array, "23"]) -> Float[Array, "2 3"]:
    """m, the named cube first."""
    return jnp.stack([position[address : address + 3] for address in scene.places().cubes])


@typed
def next_target(target: Pose, measured: Pose, action: Float[Array, "7"]) -> Pose:
    """The commanded pose after an action, by the Open X-Embodiment convention.

    Args:
        target: commanded so far.
        measured: where the tip is.
        action: dx dy dz (m), rotation vector in the base frame (rad), gripper. Translations are
            cut at LONGEST_STEP per axis, rotations at LARGEST_TURN per axis.
    """
    move = jnp.clip(action[:3], -LONGEST_STEP, LONGEST_STEP)
    turn = jnp.clip(action[3:6], -LARGEST_TURN, LARGEST_TURN)
    wanted = target.position + move
    wanted = measured.position + jnp.clip(wanted - measured.position, -LEASH, LEASH)
    wanted = jnp.clip(wanted, jnp.array(WORKSPACE_LOW), jnp.array(WORKSPACE_HIGH))
    turned = rotations.multiply(rotations.from_vector(turn), target.turn)
    lead = rotations.to_vector(rotations.multiply(turned, rotations.conjugate(measured.turn)))
    lead = lead * jnp.minimum(1.0, LEASH_TURN / jnp.sqrt(jnp.sum(lead**2) + 1e-12))
    turned = rotations.multiply(rotations.from_vector(lead), measured.turn)
    return Pose(position=wanted, turn=turned / jnp.linalg.norm(turned))


@typed
def advance(body: Body, action: Float[Array, "7"]) -> Body:
    """The world one control tick later."""
    model, blank = _mjx_model()
    measured = kinematics.tip_pose(measured_joints(body.position))
    target = next_target(body.target, measured, action)
    joints = kinematics.solve(target, body.joints, IK_ITERATIONS)
    reach = jnp.asarray(panda.SPEED / scene.CONTROL_HZ, jnp.float32)
    joints = body.joints + jnp.clip(joints - body.joints, -reach, reach)
    lead = jnp.asarray(panda.DAMPING / panda.STIFFNESS, jnp.float32) * scene.CONTROL_HZ
    grip = jnp.clip(action[6:], 0.0, 1.0) * panda.FINGER_TRAVEL

    # Only what changes is carried: under vmap, constants in the carry cost more traces of MJX.
    def substep(carry: tuple, share: Array) -> tuple[tuple, None]:
        position, velocity, warmstart = carry
        ramp = body.joints + (share + lead) * (joints - body.joints)
        data = blank.replace(
            qpos=position,
            qvel=velocity,
            qacc_warmstart=warmstart,
            ctrl=jnp.concatenate([ramp, grip, grip]),
        )
        data = mjx.step(model, data)
        return (data.qpos, data.qvel, data.qacc_warmstart), None

    shares = jnp.arange(1, scene.SUBSTEPS + 1, dtype=jnp.float32) / scene.SUBSTEPS
    carry = (body.position, body.velocity, body.warmstart)
    (position, velocity, warmstart), _ = jax.lax.scan(substep, carry, shares)
    return Body(
        position=position,
        velocity=velocity,
        warmstart=warmstart,
        target=target,
        joints=joints,
    )


def is_sound(body: Body) -> Array:
    """Whether everything is finite and both cubes are on the table, bool []."""
    finite = jnp.array(True)
    for leaf in jax.tree.leaves(body):
        finite = finite & jnp.all(jnp.isfinite(leaf))
    cubes = cube_centres(body.position)
    on_table = jnp.all(cubes[:, 2] > LOWEST) & jnp.all(jnp.abs(cubes) < FARTHEST)
    return finite & on_table
